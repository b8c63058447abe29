"""The verb: map features of one modality to the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modalgap.arguments import checked
from modalgap.embeddings import Embeddings, Modalities, Pair
from modalgap.embeddings.store import load_all
from modalgap.encode import Encoder
from modalgap.invert.method import Inversion
from modalgap.invert.output import Inverted
from modalgap.invert.registry import METHODS
from modalgap.method import pick


@checked
def invert(
    data: Embeddings | Pair | Modalities | str | Path,
    method: str | Inversion | None = None,
    model: str | Encoder | None = None,
    output: str | Path | None = None,
    *,
    bank: Pair | Embeddings | Modalities | str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "fp32",
    batch_size: int | None = None,
    jobs: int = 1,
    compiled: bool = False,
    overwrite: bool = False,
    **options: Any,
) -> Inverted:
    """Map features of one modality to the other.

    Args:
        data: embeddings; a pair or several modalities, from which the method takes its side; or a
            file of these. They must come from the model.
        method: the name of an inversion method (``modalgap.invert.METHODS`` lists them), or your
            own. By default "oti" for images and "ovi" for texts.
        model: LIBRARY:MODEL or an ``Encoder``: the model that encoded ``data``.
        output: the .safetensors to write. Unfinished work is stored next to it, and the same call
            resumes an interrupted run.
        bank: pairs, or embeddings of the target modality, for methods that are fitted on them.
        seed: seed of the noise. The noise of an item depends only on the seed and its name.
        device: "cpu", "cuda", "mps", "auto", or several separated by commas, one process per
            device.
        precision: "fp32", "bf16" or "fp16" for passes through the model.
        batch_size: items per batch; by default as many as memory allows. It changes the result
            by rounding only.
        jobs: number of processes on the CPU.
        compiled: whether to pass the model through ``torch.compile``.
        overwrite: replace the file, and delete unfinished work of other settings.
        **options: options of the method: ``steps``, ``tokens``, ``template``, ``wanted`` …

    Returns:
        The inverted features, n unit rows, and their statistics.

    Raises:
        InputError: data of another model, different rows with one name, an unknown option, or
            unfinished work of other settings next to the output.
        NotApplicable: the method cannot use this model, such as OVI with a tower without patches.
        OutputError: the file cannot be written.
    """
    if method is None:
        data = load_all(data) if isinstance(data, str | Path) else data
        texts = isinstance(data, Embeddings) and data.modality == "text"
        method = "ovi" if texts else "oti"
    return pick(method, METHODS, Inversion, "method")(
        data,
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
