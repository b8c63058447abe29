"""A closed or standardised model that MTEB evaluates like any other (its ``EncoderProtocol``).

Requires ``pip install 'modalgap[mteb]'``. A map closes queries and documents; its role "query", if
it has one, closes all queries. Documents of an image and a text are fused, as ``AffineMap.fuse``
does. A score scaler adds one column that holds the means (its ``augmented``), so that the inner
product, which ``similarity`` computes, is the standardised score.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modalgap.arguments import checked
from modalgap.close.affine import AffineMap
from modalgap.close.exports.model_folder import check_fit
from modalgap.close.scores import ScoreScaler
from modalgap.errors import InputError, NotApplicable
from modalgap.extras import import_extra

Rows = NDArray[np.float32]
MEDIA = ("image", "audio")
LETTERS = {"i": "image", "t": "text", "a": "audio"}  # of the categories of MTEB, such as t2i


class MtebModel:
    """A model of MTEB: unit features, closed by a map, or standardised.

    Args:
        encoder: the model, on its device.
        closing: the map or the score scaler; None leaves the unit features as they are.
        device: where batches go.
    """

    def __init__(
        self, encoder: Any, closing: AffineMap | ScoreScaler | None, device: torch.device
    ) -> None:
        self.encoder, self.closing, self.device = encoder, closing, device
        self.mteb_model_meta = _meta(encoder, closing)

    def encode(
        self,
        inputs: Iterable[Mapping[str, Any]],
        *,
        task_metadata: Any,
        prompt_type: Any = None,
        **_: Any,
    ) -> Rows:
        """Rows (n, e) of batches that map modalities to lists.

        Args:
            inputs: batches; a list may hold None where a document lacks a modality.
            task_metadata: of the task; its category names the modality of the queries.
            prompt_type: "query", "document", or None.

        Raises:
            InputError: a row without a modality that the model takes.
            NotApplicable: a map that lacks a modality.
        """
        kind = str(getattr(prompt_type, "value", prompt_type))
        closing: AffineMap | None = None
        if not isinstance(self.closing, ScoreScaler):
            closing = self.closing
        elif kind in ("query", "document"):
            closing = self.closing.augmented(_asking(task_metadata))
        parts = [self._batch(batch, closing, kind == "query") for batch in inputs]
        return np.concatenate(parts) if parts else np.empty((0, self.encoder.dim), np.float32)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """Inner products (n, m): cosines, or standardised scores."""
        scores: torch.Tensor = _matrix(embeddings1) @ _matrix(embeddings2).T
        return scores

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """Inner products (n,) of rows in pairs."""
        return (_matrix(embeddings1) * _matrix(embeddings2)).sum(1)

    def _batch(self, batch: Mapping[str, Any], closing: AffineMap | None, asks: bool) -> Rows:
        """Rows of a batch, by the modalities that each of its items has."""
        if not isinstance(batch, Mapping):
            raise InputError(
                "inputs: must be batches that map modalities to lists; found a"
                f" {type(batch).__name__}"
            )
        given = {name: _items(name, batch) for name in self.encoder.modalities if name in batch}
        if len(sizes := set(map(len, given.values()))) > 1:
            counts = " and ".join(f"{len(items)} {name}s" for name, items in given.items())
            raise InputError(f"inputs: lists of one batch must be of the same length; has {counts}")
        size = sizes.pop() if sizes else 0
        if not size:
            raise InputError(
                f"{self.encoder.spec}: takes {' and '.join(self.encoder.modalities)}; the batch has"
                f" {', '.join(map(str, batch))}"
            )
        forms: dict[tuple[str, ...], list[int]] = {}
        for row in range(size):
            own = tuple(name for name, values in given.items() if _there(name, values[row]))
            # an empty text alone is encoded, since MTEB expects a row
            forms.setdefault(own or ("text",) * ("text" in given), []).append(row)
        found: Rows | None = None
        for form, places in forms.items():
            if not form:
                raise InputError(f"{self.encoder.spec}: a document must have an image or a text")
            rows = {name: self._features(name, [given[name][i] for i in places]) for name in form}
            closed = _closed(rows, closing, asks)
            if found is None:
                found = np.empty((size, closed.shape[1]), np.float32)
            found[places] = closed
        assert found is not None  # noqa: S101 - a batch has a row
        return found

    @torch.inference_mode()
    def _features(self, name: str, items: Sequence[Any]) -> Rows:
        """Unit features (n, d)."""
        from modalgap.data import pixels

        encoder = self.encoder
        if name in MEDIA:
            decode = pixels.decode if name == "image" else _sound
            prepared = [encoder.prepare(decode(item)) for item in items]
            join = getattr(encoder.prepare, "join", torch.stack)
            features = encoder.encode_media(join(prepared).to(self.device))
        else:
            features = encoder.encode_text(encoder.tokenize(items).to(self.device))
        return torch.nn.functional.normalize(features.float(), dim=1).cpu().numpy()


@checked
def to_mteb(
    closing: AffineMap | ScoreScaler | None,
    model: Any,
    *,
    device: str = "auto",
    force: bool = False,
) -> MtebModel:
    """Wrap a closed or standardised model for ``mteb.evaluate``.

    Args:
        closing: a map, which closes queries and documents; a ``ScoreScaler``, which standardises
            scores; or None for the model itself.
        model: LIBRARY:MODEL, or an encoder.
        device: cpu, cuda, cuda:1, mps or auto.
        force: wrap the model even if the map was fitted on the embeddings of another model.

    Returns:
        A model with the methods of MTEB's ``EncoderProtocol``.

    Raises:
        InputError: the map or the scaler takes rows of another width, or was fitted on another
            model; or mteb is not installed.
    """
    from modalgap.encode import load_model  # imports what maps alone do not need
    from modalgap.encode.device import requested_device

    place = requested_device(device)
    encoder = load_model(model)
    if isinstance(closing, AffineMap):
        check_fit(closing.dims, closing.fitted_on, encoder, "the map", force=force)
    elif closing is not None:
        width = closing.facts.get("dim", encoder.dim)
        dims = dict.fromkeys(closing.fitted_on or closing.scales, width)
        check_fit(dims, closing.fitted_on, encoder, "the scaler", force=force)
    encoder.to(place)
    return MtebModel(encoder, closing, place)


def _closed(rows: Mapping[str, Rows], closing: AffineMap | None, asks: bool) -> Rows:
    """Closed rows of one form of document, or of queries."""
    names = list(rows)
    fused = len(names) > 1
    if asks and closing is not None and "query" in closing.roles:
        return closing(_mean(rows), "query")
    if closing is not None and fused and "fused" in closing.roles:
        return closing(_mean(rows), "fused")
    if not fused:
        return rows[names[0]] if closing is None else closing(rows[names[0]], names[0])
    if closing is None:
        return _mean(rows)
    if set(names) != {"image", "text"}:
        raise NotApplicable(f"a map closes documents of image and text; got {' and '.join(names)}")
    return closing.fuse(rows["image"], rows["text"])


def _mean(rows: Mapping[str, Rows]) -> Rows:
    """The normalised mean of the rows of an item."""
    total: Rows = np.sum(list(rows.values()), axis=0)
    unit: Rows = total / np.linalg.norm(total, axis=1, keepdims=True)
    return unit


def _items(name: str, batch: Mapping[str, Any]) -> list[Any]:
    """The items of one modality; a text is no list of its characters."""
    items = batch[name]
    if isinstance(items, str | bytes | Mapping) or not isinstance(items, Iterable):
        raise InputError(f"inputs: {name} must be a list; found a {type(items).__name__}")
    return list(items)


def _there(name: str, value: Any) -> bool:
    return value is not None and not (name == "text" and not str(value).strip())


def _asking(task_metadata: Any) -> str:
    """The modality of the queries of a task, by its category, such as t2i or it2it."""
    first = str(task_metadata.category).partition("2")[0]
    if first not in LETTERS:
        raise NotApplicable(
            f"{task_metadata.name}: standardised scores need queries of one modality; the category"
            f" is {task_metadata.category}"
        )
    return LETTERS[first]


def _sound(stored: Any) -> tuple[Rows, int]:
    """(samples, rate) of a mapping with array and sampling_rate, or of a decoder of datasets."""
    if isinstance(stored, Mapping):
        samples, rate = np.asarray(stored["array"], np.float32), int(stored["sampling_rate"])
    else:
        found = stored.get_all_samples()
        samples, rate = np.asarray(found.data, np.float32), int(found.sample_rate)
    return samples if samples.ndim == 1 else samples.mean(0), rate


def _matrix(rows: Any) -> torch.Tensor:
    found = torch.as_tensor(rows).float()
    return found if found.ndim > 1 else found[None]


def _meta(encoder: Any, closing: AffineMap | ScoreScaler | None) -> Any:
    """What MTEB stores with results: a name and a revision that are the model's own."""
    mteb = import_extra("mteb.models.model_meta", "mteb", "to_mteb")
    name = re.sub(r"[^\w.-]+", "-", encoder.spec).strip("-")
    revision = encoder.provenance.get("weights_hash", "")[:12] or "unknown"
    if isinstance(closing, AffineMap):
        name += f"-{re.sub(r'[^a-z0-9]+', '-', closing.method)}"
        revision += f"-{closing.fingerprint[:12]}"
    elif closing is not None:
        name += "-zscore"
        scales = json.dumps({query: dict(forms) for query, forms in closing.scales.items()})
        revision += f"-{hashlib.sha256(scales.encode()).hexdigest()[:12]}"
    return mteb.ModelMeta.create_empty(
        {
            "name": f"modalgap/{name}",
            "revision": revision,
            "modalities": list(encoder.modalities),
            "similarity_fn_name": "dot",
            "embed_dim": encoder.dim,
        }
    )
