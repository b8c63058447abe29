"""The verb: features of one modality as features of the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modalgap.arguments import checked
from modalgap.embeddings import Embeddings, Pair
from modalgap.embeddings.store import load_any
from modalgap.encode import Encoder
from modalgap.invert.method import Inversion
from modalgap.invert.output import Inverted
from modalgap.invert.registry import METHODS
from modalgap.method import pick


@checked
def invert(
    data: Embeddings | Pair | str | Path,
    method: str | Inversion | None = None,
    model: str | Encoder | None = None,
    output: str | Path | None = None,
    *,
    bank: Pair | Embeddings | str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "fp32",
    batch_size: int | None = None,
    jobs: int = 1,
    compiled: bool = False,
    overwrite: bool = False,
    **options: Any,
) -> Inverted:
    """Carry features of one modality over to the other.

    Args:
        data: embeddings, or a pair of which the side that the method takes is meant, or a file of
            either. They must come from the model.
        method: the name of an inversion, ``modalgap.invert.METHODS`` lists them; or one of your
            own. By default "oti" for images and "ovi" for texts.
        model: LIBRARY:MODEL or an ``Encoder``: what ``data`` were encoded with.
        output: the .safetensors to write. Work in progress lies beside it, and the same call after
            a kill goes on from there.
        bank: pairs, or embeddings of the other modality, for methods that learn from some.
        seed: of noise. Each item's depends on it and on the item's name alone.
        device: "cpu", "cuda", "mps", "auto", or several with commas, for a process on each.
        precision: "fp32", "bf16" or "fp16" for passes through the model.
        batch_size: items at once; by default as many as memory allows. It changes no result beyond
            rounding.
        jobs: processes on the CPU.
        compiled: whether passes go through ``torch.compile``.
        overwrite: replace the file, and throw away unfinished work of other settings.
        **options: of the method: ``steps``, ``tokens``, ``template``, ``wanted`` …

    Returns:
        The inverted features, n unit rows, and what they were made from.

    Raises:
        InputError: data that are not of this model, names that are there twice, options that
            nothing has, or a run of other settings beside the output.
        NotApplicable: a tower that cannot be entered.
        OutputError: the file cannot be written.
    """
    found = load_any(data) if isinstance(data, str | Path) else data
    if method is None:
        texts = isinstance(found, Embeddings) and found.modality == "text"
        method = "ovi" if texts else "oti"
    return pick(method, METHODS, Inversion, "method")(
        found,
        model,
        output,
        bank=bank,
        seed=seed,
        device=device,
        precision=precision,
        batch_size=batch_size,
        jobs=jobs,
        compiled=compiled,
        overwrite=overwrite,
        **options,
    )
