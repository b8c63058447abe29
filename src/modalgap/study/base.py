"""Study: a card, a plan, a run, and the panels that show the resulting table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from modalgap.arguments import checked
from modalgap.atomic import made_folder
from modalgap.card import Card
from modalgap.checks import whole
from modalgap.errors import InputError, NotApplicable
from modalgap.extras import require
from modalgap.method import Method
from modalgap.panels import Part, files
from modalgap.result import Table
from modalgap.study.keeping import finished_table, write_files
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Published

if TYPE_CHECKING:
    from modalgap.train import Run

# options for files that replace the embedded models
INSTEAD = ("pair", "classes", "zoo", "queries", "inverted")
# all options for such files
FILES = (
    *INSTEAD, "untrained", "other", "more", "direction", "train_images", "prompts", "gallery",
)  # fmt: skip


@checked
@dataclass(frozen=True, kw_only=True, repr=False)
class Study(Method):
    """A figure or table of a paper, computed again. Call it with a folder.

    Attributes:
        card: the description; its source is the paper with the figure or table.
        plan: the function from options to a ``Plan``. It checks the options and computes nothing.
        run: the function from a ``Work`` to the table.
        parts: the parts of the page, with the panels that show the table.
        published: published results to compare with.
        minutes: duration in minutes on two cores with the default options.
        extras: the pip extra that the study needs, then modules of that extra; empty for none.
        real: commands that compute it from the data of the paper, in order; empty for a study
            that needs no such data.
    """

    kind: ClassVar[str] = "study"
    skip: ClassVar[int] = 0
    card: Card
    plan: Callable[..., Plan]
    run: Callable[[Work], Table]
    parts: Sequence[Part] = ()
    published: Sequence[Published] = ()
    minutes: float = 0
    extras: tuple[str, ...] = ()
    real: Sequence[str] = ()

    @property
    def body(self) -> Callable[..., Plan]:
        """The function whose signature has the options."""
        return self.plan

    @property
    def duration(self) -> str:
        """Its duration in words."""
        unit = "minute" if self.minutes == 1 else "minutes"
        time = "less than a minute" if self.minutes < 1 else f"about {self.minutes:g} {unit}"
        return f"{time} on two cores with the default options"

    def __call__(
        self,
        output: str | Path,
        *,
        jobs: int | None = None,
        models: str | Path | None = None,
        overwrite: bool = False,
        **options: Any,
    ) -> Table:
        """Run the study, or reuse its finished result, and write its files.

        Args:
            output: folder for ``study.json``, ``table.csv``, ``table.md``, ``report.html``, the
                figure as PNG and SVG, and trained models.
            jobs: models trained at the same time; by default one per processor.
            models: folder of trained models that several studies share, so that each model is
                trained once; by default the folder ``runs`` of this study.
            overwrite: discard results and models with other settings and start over.
            **options: options of this study.

        Returns:
            The table, with verdicts on the published results.

        Raises:
            OptionError: an unknown option, or a value outside its range.
            InputError: the folder has a result with other settings, and ``overwrite`` is false.
            ModalgapError: the study could not finish; finished models are reused by the next call.
        """
        self.check_installed(options)
        plan = self.planned(options)
        return self.computed(plan, output, jobs=jobs, models=models, overwrite=overwrite)

    def computed(
        self,
        plan: Plan,
        output: str | Path,
        *,
        jobs: int | None = None,
        models: str | Path | None = None,
        overwrite: bool = False,
    ) -> Table:
        """The table of a plan made by ``planned``; the arguments are those of a call."""
        if jobs is not None:
            whole("jobs", jobs, 1, 1024)
        folder = Path(output)
        table = self.finished(plan, folder, overwrite=overwrite)
        if table is None:
            table = self._computed(plan, folder, jobs, models, overwrite)
        verdicts = [each.verdict(table) for each in self.published]
        table = replace(table, verdicts=verdicts)
        write_files(table, self.card, self.parts, folder, self.real)
        return table

    def finished(self, plan: Plan, output: str | Path, *, overwrite: bool = False) -> Table | None:
        """The finished result of a plan in a folder; None if there is none.

        Raises:
            InputError: the folder has a result with other settings, and ``overwrite`` is false.
        """
        needed = files(self.parts)
        return finished_table(
            self.name, Path(output), plan.all_settings, needed, overwrite=overwrite
        )

    def planned(self, options: Mapping[str, Any]) -> Plan:
        """Check the options and return the plan; nothing is computed.

        Raises:
            OptionError: an unknown option, or a value outside its range.
        """
        self.check_options(options)
        texts = {name: str(v) if isinstance(v, Path) else v for name, v in options.items()}
        return self.plan(**texts)

    def check_installed(self, options: Mapping[str, Any]) -> None:
        """Refuse to start without the libraries that the study needs.

        With files of embeddings the study trains no models, so it needs no libraries.

        Raises:
            InputError: a library is missing; the error says what to install.
        """
        if self.extras and not any(options.get(name) for name in INSTEAD):
            require(self.extras[0], f"the study {self.name}", *self.extras[1:])

    def _computed(
        self,
        plan: Plan,
        folder: Path,
        jobs: int | None,
        models: str | Path | None,
        overwrite: bool,
    ) -> Table:
        runs: Mapping[str, Run] = {}
        with made_folder(folder):
            if plan.models:
                from modalgap.study.training import train_planned

                runs = train_planned(plan, folder / "runs", models, jobs=jobs, overwrite=overwrite)
            try:
                table = self.run(Work(settings=plan.settings, folder=folder, runs=runs, jobs=jobs))
            except (InputError, NotApplicable) as error:
                given = _files(plan.settings)
                if not given or any(each in str(error) for each in given):
                    raise
                raise type(error)(f"{', '.join(given)}: {error}") from error
        return replace(table, settings=plan.all_settings)


def _files(settings: Mapping[str, Any]) -> list[str]:
    """The files of embeddings that a plan names, in the order of its settings."""
    found = [settings[name] for name in FILES if settings.get(name)]
    return [file for each in found for file in ([each] if isinstance(each, str) else each)]
