"""Files of the present format that break a rule, and files of more than two modalities."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from by_hand import (
    LABELS,
    SUFFIXES,
    T2I,
    M,
    N,
    columns_of,
    matches,
    pair,
    same,
    vectors,
    write,
)
from commands import Run

import modalgap as mg
from modalgap import errors
from modalgap.embeddings.store import load_all

BASE: dict[str, Any] = {"image": vectors(N, 1), "text": vectors(N, 2)}
ABOUT = {"format": "modalgap", "version": "3", "modalities": '["image", "text"]'}
BAD: dict[str, tuple[dict[str, Any], dict[str, str], str]] = {  # columns, metadata, message
    "a newer version": ({}, {"version": "4"}, "version 3 or lower.*found '4'"),
    "a much newer version": ({}, {"version": "9" * 5000}, "version 3 or lower.*found '9"),
    "no version": ({}, {"version": "x"}, "must give its format version; found 'x'"),
    "no list": ({}, {"modalities": ""}, "'modalities' must be a JSON list.*found ''"),
    "broken JSON": ({}, {"modalities": '["image"'}, "'modalities' must be a JSON list"),
    "deep JSON": ({}, {"modalities": "[" * 100_000}, "'modalities' must be a JSON list"),
    "an object": ({}, {"modalities": '{"image": 1}'}, "'modalities' must be a JSON list"),
    "an empty list": ({}, {"modalities": "[]"}, "'modalities' must be a JSON list"),
    "numbers": ({}, {"modalities": "[1, 2]"}, "'modalities' must be a JSON list"),
    "a name twice": ({}, {"modalities": '["text", "text"]'}, "different names"),
    "a dot": ({}, {"modalities": '["a.b"]'}, "modality must have a printable name.*'a.b'"),
    "no name": ({}, {"modalities": '["image", ""]'}, "modality must have a printable name.*''"),
    "a line end": ({}, {"modalities": '["a\\nb"]'}, "modality must have a printable name"),
    "a key": ({}, {"modalities": '["names"]'}, "modality must not be called 'names'"),
    "no vectors": (
        {},
        {"modalities": '["image", "audio"]'},
        r"vectors of every modality that it lists \(image, audio\); found none of 'audio'",
    ),
    "names of another": (
        {"names.audio": ["a"] * N}, {}, r"'names.audio' .*modalities.*\(image, text\).*'audio'",
    ),
    "factors of another": (
        {"factors.audio.x": LABELS}, {}, r"'factors.audio.x' .*\(image, text\).*'audio'",
    ),
    "matches of another": (
        {"matches.image.audio": LABELS}, {}, r"'matches.image.audio' .*\(image, text\).*'audio'",
    ),
    "matches from another": ({"matches.audio.text": LABELS}, {}, r"'matches.audio.text' .*'audio'"),
    "matches of one": ({"matches.image": LABELS}, {}, "'matches.image' must name two"),
    "matches with itself": ({"matches.text.text": LABELS}, {}, "must name two different"),
    "matches of three": ({"matches.image.text.x": LABELS}, {}, "'matches.image.text.x' must name"),
    "matches twice": (
        {"matches.image.text": LABELS, "matches.text.image": LABELS},
        {},
        "in one way only; found matches.image.text and matches.text.image",
    ),
    "matches out of range": (
        {"matches.image.text": LABELS + 5},
        {},
        r"matches.image.text: must lie in 0 … 5 \(the texts\); row 1 holds 6",
    ),
    "negative matches": (
        {"matches.text.image": LABELS - 1}, {}, r"matches.text.image: .* \(the images\); row 0",
    ),
    "too few matches": (
        {"matches.image.text": LABELS[:4]}, {}, r"matches.image.text: .*\(6,\).*got \(4,\)",
    ),
    "matches of floats": ({"matches.image.text": LABELS + 0.5}, {}, "matches.image.text.*integers"),
}  # fmt: skip


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("case", BAD)
def test_files_that_break_a_rule(case: str, suffix: str, tmp_path: Path) -> None:
    columns, metadata, message = BAD[case]
    path = write(tmp_path / f"a{suffix}", {**BASE, **columns}, {**ABOUT, **metadata})
    with pytest.raises(errors.FileError, match=message) as caught:
        load_all(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_matches_of_a_missing_modality(suffix: str, tmp_path: Path) -> None:
    """One modality, with matches that need a second one."""
    columns = {"image": vectors(N, 1), "matches.image.text": LABELS}
    metadata = {**ABOUT, "modalities": '["image"]'}
    for about in (metadata, None):  # also in a file that another program wrote
        path = write(tmp_path / f"a{suffix}", columns, about)
        with pytest.raises(errors.FileError, match=r"'matches.image.text'.*\(image\).*'text'"):
            mg.load_embeddings(path)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("shape", [(2, 3), (1, 2, 2)])
def test_matches_of_another_shape(suffix: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    path = write(
        tmp_path / f"a{suffix}", {**BASE, "matches.image.text": np.ones(shape, int)}, ABOUT
    )
    with pytest.raises(errors.FileError, match=r"'matches.image.text' must have shape \(n,\) or"):
        load_all(path)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_names_too_short(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"a{suffix}", {**BASE, "names.image": ["a"] * 4}, ABOUT)
    with pytest.raises(errors.FileError, match=r"names must be 6.*got 4"):
        load_all(path)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_strings_in_place_of_numbers(suffix: str, tmp_path: Path) -> None:
    for columns in ({**BASE, "text": ["a"] * N}, {**BASE, "matches.image.text": ["a"] * N}):
        path = write(tmp_path / f"a{suffix}", columns, ABOUT)
        with pytest.raises(errors.FileError, match="must be numbers; found strings"):
            load_all(path)


def test_columns_of_a_table_that_are_no_vectors_or_matches(tmp_path: Path) -> None:
    for columns, message in (
        ({**BASE, "text": ["a"] * N}, "'text' must be lists of float16.*found string"),
        ({**BASE, "text": LABELS}, "'text' must be lists of float16.*found int64"),
        ({**BASE, "matches.text.image": ["a"] * N}, "'matches.text.image' must be integers"),
        ({**BASE, "matches.text.image": [[True]] * N}, "'matches.text.image' must be integers"),
        ({**BASE, "matches.text.image": [None] * N}, r"matches.text.image: .*got \(0,\)"),
        ({**BASE, "matches.text.image": [[0], None, [1]]}, "must have its nulls at the end"),
        ({**BASE, "matches.text.image": [[0], [None], [1]]}, "must have its nulls at the end"),
        ({**BASE, "matches.text.image": [[0], [6]]}, "matches.text.image: column 1 .* holds 6"),
    ):
        path = write(tmp_path / "a.parquet", columns, ABOUT)
        with pytest.raises(errors.FileError, match=message):
            load_all(path)


THREE = {**ABOUT, "modalities": '["image", "text", "audio"]'}


@pytest.mark.parametrize("suffix", SUFFIXES)
class TestThreeModalities:
    def columns(self) -> dict[str, Any]:
        return {
            **BASE,
            "audio": vectors(M, 3),
            "names.audio": list("abcdefghi"),
            "matches.audio.image": T2I,
            "matches.image.text": LABELS,
        }

    def test_they_are_read_together_and_one_by_one(self, suffix: str, tmp_path: Path) -> None:
        path = write(tmp_path / f"a{suffix}", self.columns(), THREE)
        for read_them in (mg.load, load_all):
            found = read_them(path)
            assert isinstance(found, mg.Modalities)
            assert list(found) == ["image", "text", "audio"]
            assert found.pair("image", "text").matched_by == "labels"
            np.testing.assert_array_equal(found.pair("image", "audio").text_to_image, T2I)
            with pytest.raises(errors.NotApplicable, match=r"text and audio: .* found 0"):
                found.pair("text", "audio")
        audio = mg.load_embeddings(path, modality="audio")
        assert audio.names == tuple("abcdefghi")
        np.testing.assert_array_equal(audio.rows.read(0, M).numpy(), vectors(M, 3))
        with pytest.raises(errors.FileError, match="text, audio: read one with modality="):
            mg.load_embeddings(path)
        with pytest.raises(errors.FileError, match=r"must hold 'video'; found 3: image, text, au"):
            mg.load_embeddings(path, modality="video")

    def test_as_one_of_two_files(self, suffix: str, tmp_path: Path) -> None:
        path = write(tmp_path / f"a{suffix}", self.columns(), THREE)
        with pytest.raises(errors.FileError, match="one modality as image=; found 3: image, text"):
            mg.load(image=path, text=path)

    def test_shards(self, suffix: str, tmp_path: Path) -> None:
        for i in range(2):
            write(tmp_path / f"{i}{suffix}", self.columns(), THREE)
        with pytest.raises(errors.FileError, match=r"0\..*must match by row; found matches"):
            mg.load(tmp_path)

    def test_shards_by_row(self, suffix: str, tmp_path: Path) -> None:
        parts = [{name: vectors(N, i + 2) for name in json.loads(THREE["modalities"])}
                 for i in range(2)]  # fmt: skip
        for i, part in enumerate(parts):
            write(tmp_path / f"{i}{suffix}", part, THREE)
        found = mg.load(tmp_path)
        assert found.by_row
        np.testing.assert_array_equal(found["audio"].rows.read(N, 2 * N).numpy(), parts[1]["audio"])

    def test_matches_are_checked(self, suffix: str, tmp_path: Path) -> None:
        columns = {**self.columns(), "matches.audio.video": T2I}
        path = write(tmp_path / f"a{suffix}", columns, THREE)
        with pytest.raises(errors.FileError, match=r"\(image, text, audio\); found 'video'"):
            mg.load(path)


def test_three_modalities_without_matches_have_the_same_number_of_rows(
    tmp_path: Path, run: Run
) -> None:
    path = write(tmp_path / "a.npz", {**BASE, "audio": vectors(M, 3)}, THREE)
    code, out, err = run("measure", str(path))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert f"all need the same number of rows; got {N}, {N} and {M}" in err


@pytest.mark.parametrize("suffix", SUFFIXES)
class TestOtherPrograms:
    """Without metadata, the keys of every version are understood."""

    def test_keys_of_this_version(self, suffix: str, tmp_path: Path) -> None:
        expected = pair("text_to_image")
        columns = {**columns_of(expected.image), **columns_of(expected.text)}
        columns["image_embeds"] = columns.pop("image")
        columns |= matches("text_to_image", "image", "text", suffix)
        found = mg.load(write(tmp_path / f"a{suffix}", columns))
        assert found.fingerprint == expected.fingerprint
        assert found.image.names == expected.image.names

    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ({"image_factor_x": LABELS, "factors.image.x": LABELS}, "image_factor_x and factors"),
            ({"labels": LABELS, "matches.image.text": LABELS}, "labels and matches.image.text"),
            ({"labels": LABELS, "matches.text.image": LABELS}, "labels and matches.text.image"),
            ({"matches.image.audio": LABELS}, r"'matches.image.audio' .*\(image, text\).*'audio'"),
        ],
    )
    def test_one_thing_twice_or_unknown(
        self, suffix: str, columns: dict[str, Any], message: str, tmp_path: Path
    ) -> None:
        path = write(tmp_path / f"a{suffix}", {**BASE, **columns})
        with pytest.raises(errors.FileError, match=message):
            mg.load(path)

    def test_names_twice(self, suffix: str, tmp_path: Path) -> None:
        key = "image_name" if suffix == ".parquet" else "image_names"
        columns = {**BASE, key: ["a"] * N, "names.image": ["a"] * N}
        with pytest.raises(errors.FileError, match=f"one name only; found {key} and names.image"):
            mg.load(write(tmp_path / f"a{suffix}", columns))

    def test_labels_of_two_dimensions(self, suffix: str, tmp_path: Path) -> None:
        """(k, 2) is for ``pairs``: no earlier version allowed it under another key."""
        values = [[0, 0]] * N if suffix == ".parquet" else np.zeros((N, 2), int)
        path = write(tmp_path / f"a{suffix}", {**BASE, "labels": values})
        with pytest.raises(errors.FileError, match=r"labels: must have shape \(6,\)"):
            mg.load(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
class TestNamesOfModalities:
    @pytest.mark.parametrize("name", ["a.b", "a\nb", "x" * 201, "\u202e"])
    def test_that_cannot_be_keys(self, suffix: str, name: str, tmp_path: Path) -> None:
        data = mg.Embeddings(vectors(N, 1), name)
        with pytest.raises(errors.InputError, match=rf"a\{suffix}: a modality .*printable name"):
            mg.save(data, tmp_path / f"a{suffix}")
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("name", ["names", "factors", "matches", "modalgap", "__metadata__"])
    def test_that_are_keys(self, suffix: str, name: str, tmp_path: Path) -> None:
        with pytest.raises(errors.InputError, match=f"must not be called '{name}'"):
            mg.save(mg.Embeddings(vectors(N, 1), name), tmp_path / f"a{suffix}")
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("name", ["bytes", "offsets", "labels", "a/b", "пара", "format"])
    def test_that_only_look_like_keys(self, suffix: str, name: str, tmp_path: Path) -> None:
        expected = pair("pairs", name, "text")
        same(mg.load(mg.save(expected, tmp_path / f"a{suffix}")), expected)


def test_an_inversion_whose_modality_is_called_like_a_key_of_its_file(tmp_path: Path) -> None:
    import torch

    from modalgap.invert.output import Inverted

    features = mg.Embeddings(vectors(N, 1), "cosines", provenance={"inverted_from": "text"})
    with pytest.raises(errors.InputError, match="modality must not be 'cosines'"):
        Inverted(features, torch.ones(N)).save(tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_damaged_member_is_one_line(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("modalgap.npy", b"not an array")
        archive.writestr("image.npy", b"not an array")
    with pytest.raises(errors.FileError, match=r"a\.npz: must be a whole npz file"):
        load_all(tmp_path / "a.npz")
