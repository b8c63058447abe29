"""Inversion as a whole: what comes out, what is refused, and what is kept on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from invert.cases import QUICK, bank, pick, same, some
from safetensors import safe_open

from modalgap.embeddings import Embeddings, Pair
from modalgap.encode import Encoder
from modalgap.errors import (
    FileError,
    InputError,
    ModalgapError,
    OptionError,
)
from modalgap.invert import (
    Inverted,
    invert,
    oti,
    ovi,
    parts,
    read,
)
from modalgap.invert.optimise import Descender
from modalgap.work import Parts


@pytest.fixture
def broken_off(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Run something, and break it off once two batches are kept."""

    def broken(work: Callable[[], Any]) -> None:
        kept: list[Any] = []
        real = parts.write

        def write(*given: Any) -> None:
            real(*given)
            kept.append(given)
            if len(kept) == 2:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(parts, "write", write)
            with pytest.raises(KeyboardInterrupt):
                work()

    return broken


def test_broken_off_it_goes_on_under_another_batch_size(
    pair: Pair, model: Encoder, tmp_path: Path, broken_off: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "o.safetensors"
    whole = oti(pair, model, **QUICK, batch_size=5)
    broken_off(lambda: oti(pair, model, output, **QUICK, batch_size=5))
    folder = tmp_path / "o.safetensors.parts"
    assert Parts(folder, "items").spans() == [(0, 5), (5, 10)]
    sizes = []
    real = Descender.__call__

    def noted(self: Descender, names: Sequence[str], *given: Any) -> Any:
        sizes.append(len(names))
        return real(self, names, *given)

    monkeypatch.setattr(Descender, "__call__", noted)
    same(oti(pair, model, output, **QUICK, batch_size=9), whole, within=1e-4)
    assert sizes == [9, 5]  # 14 were left
    assert not folder.exists()
    same(read(output), whole, within=1e-4)


@pytest.mark.parametrize(
    "how", ["cut", "empty", "no number", "other lengths", "not of this run", "of other items"]
)
def test_a_damaged_part(
    how: str, pair: Pair, model: Encoder, tmp_path: Path, broken_off: Any
) -> None:
    output = tmp_path / "o.safetensors"

    def work(**more: Any) -> Inverted:
        made: Inverted = oti(pair, model, output, **QUICK, batch_size=5, **more)
        return made

    broken_off(work)
    folder = tmp_path / "o.safetensors.parts"
    part = folder / "items-000000005-000000010.safetensors"
    found = safetensors.torch.load(part.read_bytes())
    with safe_open(part, framework="pt") as file:
        said = file.metadata()
    damaged = {
        "cut": part.read_bytes()[:200],
        "empty": b"",
        "no number": safetensors.torch.save(
            found | {"cosines": found["cosines"] * torch.nan}, said
        ),
        "other lengths": safetensors.torch.save({k: v[1:].clone() for k, v in found.items()}, said),
        "not of this run": safetensors.torch.save(found, said | {"run": "another"}),
        "of other items": (folder / "items-000000000-000000005.safetensors").read_bytes(),
    }
    part.write_bytes(damaged[how])
    with pytest.raises(FileError, match=r"items-000000005-000000010\.safetensors: ") as error:
        work()
    assert str(error.value).count("\n") == 0
    assert not output.exists()
    part.unlink()
    same(work(), oti(pair, model, **QUICK, batch_size=5))


@pytest.mark.parametrize("key", ["features", "vectors", "losses"])
def test_parts_that_do_not_fit_together(
    key: str, pair: Pair, model: Encoder, tmp_path: Path, broken_off: Any
) -> None:
    output = tmp_path / "o.safetensors"
    broken_off(lambda: oti(pair, model, output, **QUICK, batch_size=5))
    part = tmp_path / "o.safetensors.parts" / "items-000000005-000000010.safetensors"
    found = safetensors.torch.load(part.read_bytes())
    found[key] = found[key][..., :3].contiguous()
    with safe_open(part, framework="pt") as file:
        said = file.metadata()
    part.write_bytes(safetensors.torch.save(found, said))
    with pytest.raises(FileError, match=r"damaged|do not fit together"):
        oti(pair, model, output, **QUICK, batch_size=5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": 7}, r"\(steps: 6, now 7\)"),
        ({"seed": 1}, r"\(seed: 0, now 1\)"),
        ({"template": "red {}"}, r'\(template: "\{\}", now "red \{\}"\)'),
        ({"lr": 0.5, "keep": "best"}, r'\(lr: 0\.02, now 0\.5; keep: "last", now "best"\)'),
        ({"precision": "bf16"}, "precision"),
    ],
)
def test_a_run_of_other_settings(
    changes: dict[str, Any],
    said: str,
    pair: Pair,
    model: Encoder,
    tmp_path: Path,
    broken_off: Any,
) -> None:
    output = tmp_path / "o.safetensors"
    broken_off(lambda: oti(pair, model, output, **QUICK, batch_size=5))
    with pytest.raises(InputError, match=f"holds a run made with other settings .*{said}"):
        oti(pair, model, output, **(QUICK | changes))
    made = oti(pair, model, output, **(QUICK | changes), batch_size=5, overwrite=True)
    same(made, oti(pair, model, **(QUICK | changes), batch_size=5))


def test_a_run_of_other_data(pair: Pair, model: Encoder, tmp_path: Path, broken_off: Any) -> None:
    output = tmp_path / "o.safetensors"
    broken_off(lambda: oti(pair, model, output, **QUICK, batch_size=5))
    order = list(range(24))[::-1]
    with pytest.raises(InputError, match="the embeddings have changed; the names have changed"):
        oti(pick(pair.image, order), model, output, **QUICK)
    renamed = Embeddings(
        pair.image.rows, names=[f"n{i}" for i in range(24)], factors=pair.image.factors
    )
    with pytest.raises(InputError, match=r"\(the names have changed\)"):
        oti(renamed, model, output, **QUICK)
    with pytest.raises(InputError, match='method: "oti", now "ovi"'):
        ovi(pair, model, output, **QUICK)


def test_a_run_with_a_function_cannot_be_taken_up_again(
    pair: Pair, model: Encoder, tmp_path: Path
) -> None:
    def loss(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
        return 1 - (ours * theirs).sum(1)

    output = tmp_path / "o.safetensors"
    with pytest.raises(OptionError, match=r"loss: a run with a function cannot be resumed.*\.save"):
        oti(pair, model, output, steps=3, loss=loss)
    assert list(tmp_path.iterdir()) == []
    oti(pair, model, steps=3, loss=loss).save(output)


FAILING = {  # options that fail once work has begun, and others that do not
    "lr": ("oti", {"steps": 20, "lr": 1e6, "weight_decay": 1e6}, {"steps": 2}),
    "amount": ("gap_shift", {"amount": 1e38}, {}),
}


@pytest.mark.parametrize("what", FAILING)
def test_a_run_that_failed_does_not_hinder_the_next(
    what: str, model: Encoder, tmp_path: Path
) -> None:
    method, wrong, right = FAILING[what]
    output = tmp_path / "o.safetensors"
    given: dict[str, Any] = {"model": model} if method == "oti" else {"bank": bank()}
    with pytest.raises(ModalgapError):
        invert(some(), method, output=output, **given, **wrong)
    invert(some(), method, output=output, **given, **right)
