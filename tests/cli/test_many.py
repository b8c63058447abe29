"""Files of three modalities through every command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from commands import Run

import modalgap as mg

NAMES = ("image", "text", "audio")


@pytest.fixture
def three(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    content = random.normal(size=(40, 8))
    sides = {
        name: content + random.normal(size=(40, 8)) + 2 * random.normal(size=8) for name in NAMES
    }
    mods = mg.Modalities(sides)
    for name, side in mods.items():
        mg.save(side, tmp_path / f"{name}.safetensors")
    return mg.save(mods, tmp_path / "three.safetensors")


def refused(run: Run, *arguments: str) -> str:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    return err


def test_measure(three: Path, run: Run) -> None:
    code, out, _ = run("measure", str(three), "--only", "rmg,cone,gram_volume,leakage")
    assert code == 0
    assert "40 images, 40 texts and 40 audios, 8 dimensions" in out
    found = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    result = mg.measure(mg.load(three), only=["rmg", "cone"])
    assert f"{float(result['cone_audio']):.4f}" in found["cone"]
    assert f"{float(result['rmg.image.audio']):.4f}" in found["rmg"]
    assert "items of all modalities" in out


def test_measure_as_json(three: Path, run: Run) -> None:
    code, out, _ = run("measure", str(three), "--only", "rmg", "--json")
    assert code == 0
    assert list(json.loads(out)["measures"]) == ["rmg.image.text", "rmg.image.audio",
                                                 "rmg.text.audio"]  # fmt: skip


def test_one_file_per_modality(three: Path, run: Run) -> None:
    paths = [str(three.parent / f"{name}.safetensors") for name in NAMES]
    together = run("measure", *paths, "--only", "rmg", "--json")
    assert together[:2] == run("measure", str(three), "--only", "rmg", "--json")[:2]


def test_a_pair_of_three(three: Path, run: Run) -> None:
    code, out, _ = run("measure", str(three), "--pair", "image,audio", "--only", "rmg", "--json")
    assert code == 0
    expected = mg.measure(mg.load(three).pair("image", "audio"), only="rmg")
    assert json.loads(out) == json.loads(expected.to_json())
    assert "did you mean 'audio'" in refused(run, "measure", str(three), "--pair", "image,audo")
    assert "must be two names, A,B" in refused(run, "measure", str(three), "--pair", "image")
    one = str(three.parent / "image.safetensors")
    assert "this is one: image" in refused(run, "measure", one, "--pair", "image,text")


def test_close(three: Path, run: Run, tmp_path: Path) -> None:
    map_, closed = str(tmp_path / "map.safetensors"), str(tmp_path / "closed.npz")
    assert run("close", "fit", "center", str(three), "-o", map_)[0] == 0
    assert run("close", "apply", map_, str(three), "-o", closed)[0] == 0
    found = mg.measure(mg.load(closed), only="l2m")
    assert max(float(value) for value in found.values()) < 0.3
    assert run("close", "whiten", str(three), "-o", closed, "--force")[0] == 0
    said = refused(run, "close", "fit", "procrustes", str(three), "-o", map_, "--force")
    assert "procrustes: closes the gap of two modalities; these are 3" in said
    assert run("close", "fit", "procrustes", str(three), "--pair", "text,audio", "-o", map_,
               "--force")[0] == 0  # fmt: skip


def test_evaluate(three: Path, run: Run) -> None:
    code, out, _ = run("evaluate", str(three), "--only", "retrieval,answers,clustering")
    assert code == 0
    for line in ("image_to_audio_r1", "text_to_text_top10", "image.audio.modality_v"):
        assert line in out


@pytest.mark.parametrize("command", ["compare", "preflight"])
def test_what_needs_two_says_how_to_pick_them(command: str, three: Path, run: Run) -> None:
    said = refused(run, command, str(three))
    assert f"{command} needs two modalities; these are 3 (image, text, audio)" in said
    assert "pick two with --pair image,text" in said


def test_convert(three: Path, run: Run, tmp_path: Path) -> None:
    target = tmp_path / "other.parquet"
    assert run("convert", str(three), str(target))[0] == 0
    assert mg.load(target).fingerprint == mg.load(three).fingerprint
    said = refused(run, "convert", str(three), str(target), "--force", "--join-repeats")
    assert "--join-repeats needs two modalities" in said


def test_convert_joins_files_of_modalities_by_row_or_by_name(
    three: Path, run: Run, tmp_path: Path
) -> None:
    paths = [str(three.parent / f"{name}.safetensors") for name in NAMES]
    target = str(tmp_path / "joined.npz")
    assert run("convert", *paths, target)[0] == 0
    assert mg.load(target).fingerprint == mg.load(three).fingerprint
    assert "needs names of every row" in refused(run, "convert", *paths, target, "--by-names",
                                                 "--force")  # fmt: skip
    for i, name in enumerate(NAMES):
        side = mg.Embeddings(np.eye(9)[:6], name, names=range(i, i + 6))
        mg.save(side, paths[i], overwrite=True)
    code, _, err = run("convert", *paths, target, "--by-names", "--force")
    assert code == 0
    assert "lack a modality: 2 images, 2 texts and 2 audios" in err
    found = mg.load(target)
    np.testing.assert_array_equal(found.tuples[:, 0], [2, 3, 4, 5])
    assert found.fingerprint == mg.load(paths, items="names").fingerprint
    assert mg.load(paths[:2], items="names").matched_by == "pairs"


def test_items_that_lack_a_modality_are_counted(run: Run, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    sides = {name: random.normal(size=(20, 4)) for name in NAMES}
    ids = {"image": range(20), "text": range(3, 23), "audio": range(20)}
    path = mg.save(mg.Modalities(sides, items=ids), tmp_path / "a.npz")
    _, _, err = run("measure", str(path), "--only", "rmg")
    assert "rows of items that lack a modality: 3 images, 3 texts and 3 audios" in err
