"""ScoreScaler: a mean and a standard deviation of scores per kind of query and form of document.

In one index of images and texts, unrelated items of one modality have higher and more widely spread
scores than unrelated items of two. Standardised scores, s' = (s − μ) / σ with μ and σ of the scores
of unrelated items, are comparable across forms. Vectors do not change, and neither does the ranking
among documents of one form.

``ScoreScaler.fit(pair)`` computes μ and σ, ``scaler(scores, "text", "image")`` applies them,
``scaler.save(path)`` and ``ScoreScaler.load(path)`` keep them as JSON, and ``scaler.augmented``
stores them in one more column of the vectors, for an index that is searched by one kind of query.

Source: z-scores from pseudo-positives, arXiv 2511.22141; the closed form is modalgap's own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from modalgap._version import __version__
from modalgap.arguments import checked
from modalgap.atomic import check_target, replacing
from modalgap.close.affine import IDENTITY_OF, AffineMap
from modalgap.close.scores.estimates import Data, Scale, estimate_scales
from modalgap.close.step import Step
from modalgap.embeddings import Embeddings
from modalgap.embeddings.cosine_moments import SMALLEST
from modalgap.errors import FileError, InputError, NotApplicable, OptionError, OutputError, quoted

FORMAT, VERSION = "modalgap.score_scaler", 1
RECIPE = (
    "Search each form of document by itself. Replace each score s by (s - mean) / sd, with the mean"
    " and the sd of the query's modality and the document's form. Merge the lists and sort."
)


@checked
@dataclass(frozen=True, eq=False, kw_only=True)
class ScoreScaler:
    """Means and standard deviations of the scores of unrelated items.

    Attributes:
        scales: modality of the query to form of the document to (mean, standard deviation) of
            their cosines. Forms are modalities, and "fused" for documents of both.
        fitted_on: modality to facts about the vectors: model, weights_hash, closed.
        facts: how it was fitted: estimate, number of rows of each form, dim.
    """

    scales: Mapping[str, Mapping[str, Scale]]
    fitted_on: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for query, forms in self.scales.items():
            for form, (mean, deviation) in forms.items():
                if not (np.isfinite([mean, deviation]).all() and deviation > SMALLEST):
                    raise NotApplicable(
                        f"the scores of {query} queries and {form} documents do not vary (standard"
                        f" deviation {deviation:.1e}), so they cannot be standardised"
                    )

    def __repr__(self) -> str:
        queries, forms = ", ".join(self.scales), ", ".join(self.forms)
        return f"ScoreScaler({queries} queries; {forms} documents)"

    @property
    def forms(self) -> tuple[str, ...]:
        """Forms of documents."""
        return tuple(dict.fromkeys(form for forms in self.scales.values() for form in forms))

    @classmethod
    def fit(
        cls,
        data: Data,
        estimate: str = "closed",
        *,
        fused: bool = True,
        max_rows: int = 10_000,
        seed: int = 0,
    ) -> ScoreScaler:
        """Compute means and standard deviations on a sample.

        Args:
            data: a ``Pair`` or several modalities; or a mapping from names of modalities to
                ``Embeddings``, ``Moments`` with their scatter matrix, or (mean (d,), covariance
                (d, d)) of unit rows, such as published ones.
            estimate: "closed": from means and covariances of each form, in one pass, without
                matches. "pairs": counted over pairs that do not match. "best": from the best
                score of each query among the other items of each form (pseudo-positives, arXiv
                2511.22141).
            fused: whether there are documents that hold both modalities (the normalised mean of a
                matched pair); for a ``Pair`` with matches.
            max_rows: largest number of rows per form for "pairs" and "best".
            seed: of the choice of these rows.

        Raises:
            OptionError: an unknown estimate.
            InputError: data without rows or matches where the estimate needs them, or of different
                widths.
            NotApplicable: scores that do not vary.
        """
        scales, rows, dim = estimate_scales(
            data, estimate, fused=fused, max_rows=max_rows, seed=seed
        )
        fitted_on = {}
        sides = data.sides if hasattr(data, "sides") else data.values()
        for side in sides:
            if isinstance(side, Embeddings):
                keys = {key: str(side.provenance.get(key, "")) for key in IDENTITY_OF}
                fitted_on[side.modality] = {key: value for key, value in keys.items() if value}
        facts = {"estimate": estimate, "rows": rows, "dim": dim}
        return cls(scales=scales, fitted_on=fitted_on, facts=facts)

    def scale(self, query: str, form: str) -> Scale:
        """Mean and standard deviation of the scores of a kind of query in a form of document.

        Raises:
            OptionError: it was not fitted for this modality or form.
        """
        if query not in self.scales:
            raise OptionError.unknown("modality of queries", query, self.scales)
        if form not in self.scales[query]:
            raise OptionError.unknown("form of documents", form, self.scales[query])
        return self.scales[query][form]

    def __call__(
        self, scores: ArrayLike | Tensor, query: str, form: str | Sequence[str]
    ) -> NDArray[np.float64]:
        """Standardised scores.

        Args:
            scores: (…, m) cosines of queries of one modality and m documents.
            query: the modality of the queries.
            form: the form of all documents, or one form per document, m in all.

        Returns:
            (…, m) float64.
        """
        values = scores.numpy(force=True) if isinstance(scores, Tensor) else np.asarray(scores)
        values = values.astype(np.float64)
        names = [form] if isinstance(form, str) else list(form)
        if not isinstance(form, str) and values.shape[-1:] != (len(names),):
            raise InputError(
                f"form: must name one form per document, {values.shape[-1]} in all;"
                f" got {len(names)}"
            )
        known = {name: self.scale(query, name) for name in dict.fromkeys(names)}
        mean, deviation = np.array([known[name] for name in names]).T
        found: NDArray[np.float64] = (values - mean) / deviation
        return found

    def check(self, side: Embeddings, *, force: bool = False) -> None:
        """Refuse vectors of another model, or closed in another way, than those fitted on.

        Args:
            side: queries or documents.
            force: accept them all the same.

        Raises:
            InputError: another width, or provenance names another model, other weights or another
                map.
        """
        dim = self.facts.get("dim")
        if dim is not None and side.dim != dim:
            raise InputError(
                f"{side.source}: must have {dim} columns, as the score scaler was fitted; found"
                f" {side.dim}"
            )
        fitted = self.fitted_on.get(side.modality)
        if force or fitted is None:
            return
        for key in IDENTITY_OF:
            ours, theirs = fitted.get(key, ""), str(side.provenance.get(key, ""))
            if ours != theirs and (key == "closed" or (ours and theirs)):
                raise InputError(
                    f"{side.source}: must come from what the score scaler was fitted on, {key}"
                    f" {quoted(ours) if ours else 'none'};"
                    f" found {quoted(theirs) if theirs else 'none'}"
                )

    def augmented(self, query: str) -> AffineMap:
        """The same ranking by an inner product, for an index that one kind of query searches.

        Documents of a form become [x/σ ; −μ/σ], queries [q ; 1], with one more column; then the
        inner product is (q·x − μ)/σ. The roles of the map are the forms, and "query".

        Args:
            query: the modality of the queries.

        Raises:
            OptionError: it was not fitted for this modality.
            NotApplicable: the number of columns is not known.
        """
        dim = self.facts.get("dim")
        if not isinstance(dim, int):
            raise NotApplicable("augmented: the number of columns is not known")
        if query not in self.scales:
            raise OptionError.unknown("modality of queries", query, self.scales)
        last = np.zeros(dim + 1)
        last[-1] = 1.0
        wider = np.eye(dim + 1, dim)
        roles = {
            form: (Step(wider / deviation, last * (-mean / deviation), unit=False),)
            for form, (mean, deviation) in self.scales[query].items()
        }
        roles["query"] = (Step(wider, last, unit=False),)
        return AffineMap(
            dims=dict.fromkeys(roles, dim),
            roles=roles,
            method="zscore",
            options={"query": query},
            fitted_on={**self.fitted_on, "query": dict(self.fitted_on.get(query, {}))},
        )

    # files --------------------------------------------------------------------------------------

    def to_json(self) -> str:
        """All numbers as one JSON object, with a recipe for any vector store."""
        scales = {
            query: {form: {"mean": mean, "sd": sd} for form, (mean, sd) in forms.items()}
            for query, forms in self.scales.items()
        }
        found = {
            "format": FORMAT,
            "version": VERSION,
            "recipe": RECIPE,
            "scales": scales,
            "fitted_on": {name: dict(facts) for name, facts in self.fitted_on.items()},
            "facts": dict(self.facts),
            "modalgap": __version__,
        }
        return json.dumps(found, allow_nan=False, indent=2)

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write it as JSON.

        Raises:
            OutputError: the extension is not .json, or the file exists or cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() != ".json":
            raise OutputError(f"{path}: must end in .json; found {path.suffix or 'nothing'}")
        check_target(path, overwrite=overwrite)
        with replacing(path, overwrite=overwrite) as file:
            file.write(self.to_json().encode())
        return path

    @classmethod
    def load(cls, path: str | Path) -> ScoreScaler:
        """Read what ``save`` wrote.

        Raises:
            FileError: no such file, or not a score scaler.
        """
        path = Path(path)
        try:
            found = json.loads(path.read_text("utf-8"))
        except OSError as error:
            raise FileError(f"{path}: cannot be read ({error.strerror})") from None
        except (ValueError, RecursionError):
            raise FileError(f"{path}: must be JSON") from None
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise FileError(f"{path}: must be a score scaler, as close fit zscore writes it")
        if found.get("version") != VERSION:
            raise FileError(
                f"{path}: must be of version {VERSION}; found {quoted(found.get('version'))}"
            )
        try:
            scales = {
                str(query): {
                    str(form): (float(each["mean"]), float(each["sd"]))
                    for form, each in forms.items()
                }
                for query, forms in found["scales"].items()
            }
            fitted_on = {
                str(name): {str(key): str(value) for key, value in facts.items()}
                for name, facts in found["fitted_on"].items()
            }
            facts = dict(found["facts"])
            if not scales or not all(scales.values()):
                raise ValueError
            return cls(scales=scales, fitted_on=fitted_on, facts=facts)
        except (KeyError, TypeError, ValueError, AttributeError, NotApplicable):
            raise FileError(
                f"{path}: is damaged: its scales must be means and deviations"
            ) from None
