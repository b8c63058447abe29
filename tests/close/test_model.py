"""IsoCLIP from the weights of a model: the same as the paper's, which works before projection."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from commands import Run
from PIL import Image
from torch import nn

import modalgap as mg


@pytest.fixture(scope="module", autouse=True)
def _configs(tmp_path_factory: pytest.TempPathFactory) -> None:
    tiny.add_configs(tmp_path_factory.mktemp("configs"))


def test_projections_are_the_last_layer() -> None:
    encoder = tiny.encoder("clip")
    weights = encoder.projections()
    assert weights is not None
    random = np.random.default_rng(0)
    pictures = [Image.fromarray(random.integers(0, 255, (40, 40, 3), np.uint8)) for _ in range(5)]
    batch = torch.stack([encoder.prepare(picture) for picture in pictures])
    tokens = encoder.tokenize(["one", "two words", "three words here"])
    with torch.inference_mode():
        after = {
            "image": encoder.encode_media(batch),
            "text": encoder.model.encode_text(tokens.ids),
        }
        encoder.model.visual.proj = None
        text = getattr(encoder.model, "text", encoder.model)
        text.text_projection = nn.Parameter(torch.eye(text.text_projection.shape[0]))
        before = {
            "image": encoder.encode_media(batch),
            "text": encoder.model.encode_text(tokens.ids),
        }
    numbers = {role: each.double().numpy() for role, each in weights.items()}
    U, _, Vt = np.linalg.svd(numbers["image"].T @ numbers["text"], full_matrices=False)
    map_ = mg.close.fit(weights, "isoclip", top=3, bottom=2)
    kept = slice(3, map_.facts["rank"] - 2)
    for role, basis in (("image", U[:, kept]), ("text", Vt[kept].T)):
        torch.testing.assert_close(before[role] @ weights[role].T, after[role], atol=1e-5, rtol=0)
        theirs = before[role].double().numpy() @ basis @ basis.T @ numbers[role].T
        theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
        np.testing.assert_allclose(map_(after[role], role), theirs, atol=1e-5)


def test_command(tmp_path: Path, run: Run) -> None:
    output = tmp_path / "m.safetensors"
    model = ("--model", "open_clip:tiny-clip/random")
    code, out, err = run(
        "close", "fit", "isoclip", *model, "--set", "top=3", "--set", "bottom=2", "-o", output
    )
    assert (code, out.strip()) == (0, str(output)), err
    assert mg.close.load(output).dims == {"image": 16, "text": 16}
    np.save(tmp_path / "a.npy", np.eye(3))
    code, _, err = run(
        "close", "fit", "isoclip", tmp_path / "a.npy", *model, "-o", tmp_path / "n.safetensors"
    )
    assert (code, err.count("\n")) == (2, 1)
    code, _, err = run(
        "close", "fit", "isoclip", "--model", "open_clip:tiny-resnet/random",
        "-o", tmp_path / "n.safetensors",
    )  # fmt: skip
    assert (code, err.count("\n")) == (2, 1), err
    assert "no plain projections" in err
