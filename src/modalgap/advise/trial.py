"""A trial: fit one candidate on one part of a pair, and evaluate one task on another part."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from modalgap import checks
from modalgap.arguments import hints, parsed
from modalgap.close.affine import AffineMap
from modalgap.close.base import Closer, Transductive
from modalgap.close.registry import CLOSERS
from modalgap.close.scores import CORRECTIONS, correct
from modalgap.close.scores.base import CorrectionRule
from modalgap.close.verb import close, fit
from modalgap.embeddings import Pair, pick_images
from modalgap.errors import InputError, NotApplicable, OptionError, quoted
from modalgap.evaluate.base import Outcome, Task
from modalgap.evaluate.mixed import mixed, search_mixed
from modalgap.evaluate.mixed_index import Change, Forms, standardized
from modalgap.evaluate.retrieval import retrieval, retrieve
from modalgap.modality import plural

FEWEST = 10  # images per part


@dataclass(frozen=True)
class Candidate:
    """A candidate: a closer with its options, or a correction of scores.

    Attributes:
        name: its name with options: "center", "shift:alpha=0.5", "nnn".
        method: the closer or correction.
        options: its options.
    """

    name: str
    method: Closer | CorrectionRule
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def corrects(self) -> bool:
        """Whether it changes scores instead of vectors."""
        return isinstance(self.method, CorrectionRule)

    @property
    def transductive(self) -> bool:
        """Whether it is fitted on the evaluated rows themselves."""
        return isinstance(self.method, Closer) and self.method.fit is None

    @property
    def closer(self) -> Closer:
        """The closer."""
        assert isinstance(self.method, Closer)  # noqa: S101 - not a correction
        return self.method

    @classmethod
    def by(cls, method: Closer | CorrectionRule) -> Candidate:
        """A closer or correction with its default options."""
        return cls(method.name, method)

    @classmethod
    def parse(cls, text: str) -> Candidate:
        """Parse NAME or NAME:OPTION=VALUE:OPTION=VALUE."""
        name, *settings = text.split(":")
        method = (CLOSERS | CORRECTIONS).get(name)
        if method is None:
            raise OptionError.unknown("closer or correction", name, [*CLOSERS, *CORRECTIONS])
        options: dict[str, Any] = {}
        for each in settings:
            option, equals, value = each.partition("=")
            if not equals:
                raise OptionError(f"only must be NAME:OPTION=VALUE; got {quoted(text)}")
            method.check_options({option: value})
            options[option] = parsed(option, value, hints(method.body).get(option, Any))
        return cls(text, method, options)


def halves(pair: Pair, fit_fraction: float, seed: int) -> tuple[Pair, Pair]:
    """Split a pair into two parts without a common image or caption: to fit, and to evaluate.

    Captions stay with their images, and images that share captions stay together. Class prompts
    are in both parts: they are known in advance.

    Raises:
        NotApplicable: too few images.
    """
    images, texts = (plural(side.modality) for side in pair.sides)
    clusters = pair.clusters[0]
    sizes = np.bincount(clusters)
    order = np.random.default_rng(seed).permutation(len(sizes))
    wanted = round(fit_fraction * pair.image.n)
    taken = order[: int(np.searchsorted(np.cumsum(sizes[order]), wanted, "right"))]
    fitted = np.isin(clusters, taken)
    cut = int(fitted.sum())
    parts: list[Pair] = []
    for index in (np.flatnonzero(fitted), np.flatnonzero(~fitted)):
        if len(index) < FEWEST:
            raise NotApplicable(
                f"a trial needs {FEWEST} {images} in each part; {pair.image.n} {images} give"
                f" {cut} and {pair.image.n - cut}"
            )
        try:
            parts.append(pick_images(pair, index.astype(np.int64)))
        except InputError as error:
            raise NotApplicable(f"a part of the {images} has too few {texts} ({error})") from None
    return parts[0], parts[1]


@dataclass(frozen=True, eq=False)
class Closed:
    """The evaluated part, closed by a candidate.

    Attributes:
        candidate: the candidate.
        fitted: the part that was fitted on.
        judged: the part to evaluate, closed.
        sample: the part that was fitted on, closed; None for a transductive closer.
        facts: statistics of the fit.
    """

    candidate: Candidate
    fitted: Pair
    judged: Pair
    sample: Pair | None
    facts: Mapping[str, Any]

    @classmethod
    def by(cls, candidate: Candidate, fitted: Pair, judged: Pair) -> Closed:
        """Fit on one part and close the other."""
        if candidate.corrects:
            return cls(candidate, fitted, judged, fitted, {})
        if candidate.transductive:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Transductive)
                closed = close(judged, candidate.closer, **candidate.options)
                return cls(candidate, fitted, closed, None, {})
        map_: AffineMap = fit(fitted, candidate.closer, **candidate.options)
        return cls(candidate, fitted, map_.apply(judged), map_.apply(fitted), map_.facts)

    def do(self, task: Task, options: Mapping[str, Any]) -> Outcome:
        """Run a task on the evaluated part, with those of the options that it has."""
        options = {name: value for name, value in options.items() if name in task.options}
        if self.candidate.corrects:
            if task not in (retrieval, mixed):
                raise NotApplicable(
                    f"{self.candidate.name} corrects scores: it applies to retrieval and mixed only"
                )
            return self._corrected(task, options)
        if task is mixed and self.sample is not None and self.sample.labels is None:
            return search_mixed(self.judged, **options, scales=Forms.of(self.sample).scales())
        return task.outcome(self.judged, options)

    def _corrected(self, task: Task, options: Mapping[str, Any]) -> Outcome:
        """Retrieval or mixed search by corrected scores; fitted queries are the bank."""
        if task is retrieval:
            sides = (self.judged.text, self.fitted.image), (self.judged.image, self.fitted.text)
            changes = [self._change(gallery, bank) for gallery, bank in sides]
            return retrieve(self.judged, options.get("ks", (1, 5, 10)), changes)
        checks.needs(self.fitted.labels is None, "class prompts are not documents")
        sample = Forms.of(self.fitted)
        banks, scales = sample.queries, sample.scales()

        def correct_forms(asks: str, documents: Tensor) -> list[Change]:
            if self.candidate.name == "zscore":  # needs no row of the index, unlike the others
                return standardized(scales[asks])
            return [self._change(rows, banks[asks]) for rows in documents]

        return search_mixed(self.judged, **options, correct=correct_forms)

    def _change(self, gallery: Any, bank: Any) -> Change:
        """The correction of the scores of this gallery."""
        assert isinstance(self.candidate.method, CorrectionRule)  # noqa: S101 - it is a correction
        found = correct(gallery, bank, self.candidate.method, **self.candidate.options)
        return lambda scores: found.rule.apply(scores, found.learnt, found.used)
