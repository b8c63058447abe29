"""Every version of the file format is read; version 3 is written as docs/format.md says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from by_hand import (
    KINDS,
    LABELS,
    PAIRS,
    SUFFIXES,
    T2I,
    M,
    N,
    columns_of,
    earlier_columns,
    earlier_metadata,
    lists,
    matches,
    metadata_of,
    pair,
    plain,
    read,
    same,
    side,
    vectors,
    write,
    write_earlier,
)

import modalgap as mg
from modalgap import errors, files
from modalgap.embeddings.store import load_any


@pytest.fixture(params=["at once", "as needed"])
def lazily(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files read into memory at once, or left on disk as large ones are."""
    if request.param == "as needed":
        monkeypatch.setattr(files, "SMALL", -1)


@pytest.mark.parametrize("suffix", SUFFIXES)
class TestEarlierVersions:
    @pytest.mark.usefixtures("lazily")
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize(
        "two", [("image", "text"), ("audio", "video"), ("text", "image"), ("a.b", "names")]
    )
    def test_pairs_are_read(
        self, suffix: str, kind: str, two: tuple[str, str], tmp_path: Path
    ) -> None:
        expected = pair(kind, *two)
        version = "2" if kind == "pairs" else "1"
        same(mg.load(write_earlier(tmp_path / f"a{suffix}", expected, version)), expected)

    @pytest.mark.parametrize(
        ("place", "modality"), [("image", "image"), ("text", "text"), ("image", "audio")]
    )
    def test_one_modality_is_read(
        self, suffix: str, place: str, modality: str, tmp_path: Path
    ) -> None:
        data = side(modality, N, 1)
        metadata = {"format": "modalgap", "version": "1", **earlier_metadata(place, data)}
        path = write(tmp_path / f"a{suffix}", earlier_columns(place, data, suffix), metadata)
        same(load_any(path), data)
        same(mg.load_embeddings(path, modality=modality), data)

    def test_matches_beside_one_modality(self, suffix: str, tmp_path: Path) -> None:
        """Versions 1 and 2 allowed a file of images with the labels of prompts in another file."""
        one = write(tmp_path / f"a{suffix}", {"image": vectors(N, 1), "labels": LABELS})
        two = write(tmp_path / f"b{suffix}", {"text": vectors(4, 2)})
        found = mg.load(image=one, text=two)
        np.testing.assert_array_equal(found.labels, LABELS)
        one = write(tmp_path / f"c{suffix}", {"image": vectors(N, 1)})
        two = write(tmp_path / f"d{suffix}", {"text": vectors(M, 2), "text_to_image": T2I})
        found = mg.load(image=one, text=two)
        np.testing.assert_array_equal(found.text_to_image, T2I)

    def test_a_shard_of_each_version(self, suffix: str, tmp_path: Path) -> None:
        expected = pair("text_to_image", "audio", "video")
        write_earlier(tmp_path / f"0{suffix}", expected, "1")
        mg.save(expected, tmp_path / f"1{suffix}")
        found = mg.load(tmp_path)
        assert [each.modality for each in found.sides] == ["audio", "video"]
        np.testing.assert_array_equal(found.text_to_image, [*T2I, *(T2I + N)])

    def test_two_modalities_of_one_name(self, suffix: str, tmp_path: Path) -> None:
        columns = {"image": vectors(N, 1), "text": vectors(N, 2)}
        metadata = {"format": "modalgap", "version": "1", "image_modality": "text"}
        path = write(tmp_path / f"a{suffix}", columns, metadata)
        with pytest.raises(errors.FileError, match=r"two names; both are 'text'"):
            load_any(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
class TestVersion3:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("two", [("image", "text"), ("audio", "ü / b")])
    def test_written_and_read_by_hand(
        self, suffix: str, kind: str, two: tuple[str, str], tmp_path: Path
    ) -> None:
        expected = pair(kind, *two)
        columns = {**columns_of(expected.image), **columns_of(expected.text)}
        columns |= matches(kind, *two, suffix)
        path = write(tmp_path / f"a{suffix}", columns, metadata_of(*expected.sides))
        same(mg.load(path), expected)
        found, metadata = read(mg.save(expected, tmp_path / f"b{suffix}"))
        assert found == {key: list(map(plain, values)) for key, values in columns.items()}
        assert json.loads(metadata.pop("modalities")) == list(two)
        assert (
            metadata.items()
            == {
                key: value
                for key, value in metadata_of(*expected.sides).items()
                if key != "modalities"
            }.items()
        )

    def test_the_order_of_the_modalities_is_kept(self, suffix: str, tmp_path: Path) -> None:
        expected = pair("text_to_image", "text", "image")
        same(mg.load(mg.save(expected, tmp_path / f"a{suffix}")), expected)

    def test_one_modality(self, suffix: str, tmp_path: Path) -> None:
        data = side("audio", N, 1)
        found, metadata = read(mg.save(data, tmp_path / f"a{suffix}"))
        assert set(found) == set(columns_of(data))
        assert metadata == metadata_of(data)
        same(load_any(tmp_path / f"a{suffix}"), data)

    def test_matches_may_be_listed_from_either_side(self, suffix: str, tmp_path: Path) -> None:
        expected = pair("pairs")
        columns = {**columns_of(expected.image), **columns_of(expected.text)}
        if suffix == ".parquet":
            columns["matches.image.text"] = lists(PAIRS, N)
        else:
            columns["matches.text.image"] = PAIRS[::-1, ::-1].copy()
        path = write(tmp_path / f"a{suffix}", columns, metadata_of(*expected.sides))
        same(mg.load(path), expected)

    @pytest.mark.parametrize("reverse", [False, True])
    def test_shards_of_pairs(self, suffix: str, reverse: bool, tmp_path: Path) -> None:
        expected = pair("pairs")
        columns = {**columns_of(expected.image), **columns_of(expected.text)}
        columns |= matches("pairs", "image", "text", suffix)
        if reverse and suffix != ".parquet":
            columns["matches.text.image"] = columns.pop("matches.image.text")[:, ::-1].copy()
        for i in range(2):
            write(tmp_path / f"{i}{suffix}", columns, metadata_of(*expected.sides))
        found = mg.load(tmp_path)
        np.testing.assert_array_equal(found.pairs, np.concatenate([PAIRS, np.add(PAIRS, [N, 7])]))

    def test_other_keys_and_metadata_are_ignored(self, suffix: str, tmp_path: Path) -> None:
        expected = pair("labels")
        columns = {**columns_of(expected.image), **columns_of(expected.text)}
        columns |= matches("labels", "image", "text", suffix)
        columns |= {"video": vectors(N, 3), "text_to_image": LABELS, "notes.image": ["a"] * N}
        metadata = metadata_of(*expected.sides) | {"video.model": "x", "version": "3.1"}
        same(mg.load(write(tmp_path / f"a{suffix}", columns, metadata)), expected)
