"""Files in: every format, every shape of it, in one file or many."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from embeddings.store_cases import T2I, D, M, N, holds, rows
from numpy.typing import NDArray
from safetensors.numpy import save_file

import modalgap as mg
from modalgap import errors
from modalgap.embeddings.store import load_any


class TestNpy:
    @pytest.mark.parametrize("order", ["C", "F"])
    @pytest.mark.parametrize("kind", ["<f2", "<f4", "<f8", ">f2", ">f4", ">f8"])
    def test_two_modalities(self, kind: str, order: str, lazily: bool, tmp_path: Path) -> None:
        both = np.asarray(np.stack([rows(), rows(seed=1)]), kind, order=order)
        np.save(tmp_path / "a.npy", both)
        pair = mg.load(tmp_path / "a.npy")
        holds(pair, both[0], both[1])
        assert pair.image.rows.in_memory == (not lazily or order == "F")
        assert pair.fingerprint == mg.Pair(both[0], both[1]).fingerprint
        some = torch.tensor([5, 0, 3])
        torch.testing.assert_close(pair.text.rows.take(some), pair.text.rows.read(0, N)[some])

    def test_one_modality_is_images_unless_told(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", rows())
        assert mg.load_embeddings(tmp_path / "a.npy").modality == "image"
        assert mg.load_embeddings(tmp_path / "a.npy", modality="audio").modality == "audio"
        found = load_any(tmp_path / "a.npy")
        assert isinstance(found, mg.Embeddings)
        with pytest.raises(errors.FileError, match=r"a\.npy.*found image only.*load_embeddings"):
            mg.load(tmp_path / "a.npy")

    def test_python_2_headers_are_read_without_a_warning(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.stack([rows(), rows(seed=1)]))
        content = (tmp_path / "a.npy").read_bytes()
        (tmp_path / "a.npy").write_bytes(content.replace(b"(2, 6, 4)  ", b"(2L, 6L, 4)"))
        assert mg.load(tmp_path / "a.npy").image.n == N


class TestTwoFiles:
    @pytest.fixture(autouse=True)
    def _files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        np.save("a.npy", rows())
        np.save("b.npy", rows(seed=1))
        np.save("long.npy", rows(M, seed=1))
        np.save("t2i.npy", T2I.astype(np.int16))

    def test_row_by_row(self) -> None:
        pair = mg.load(image="a.npy", text="b.npy")
        holds(pair, rows(), rows(seed=1))
        assert pair.matched_by == "rows"
        assert [side.source for side in pair.sides] == ["a.npy (image)", "b.npy (text)"]

    def test_each_side_names_its_own_file(self) -> None:
        with pytest.raises(errors.FileError) as caught:
            mg.load(image="a.npy", text="long.npy")
        assert str(caught.value).startswith("a.npy (image) and long.npy (text): without")
        broken = rows(seed=1)
        broken[3] = 0
        np.save("zero.npy", broken)
        with pytest.raises(errors.FileError) as caught:
            mg.load(image="a.npy", text="zero.npy")
        assert str(caught.value).startswith("zero.npy (text): every row must be finite")
        assert "a.npy" not in str(caught.value)

    def test_pairs_are_the_image_of_each_text(self) -> None:
        pair = mg.load(image="a.npy", text="long.npy", pairs="t2i.npy")
        np.testing.assert_array_equal(pair.text_to_image, T2I)

    def test_pairs_may_be_rows_of_image_and_text(self) -> None:
        order = np.random.default_rng(0).permutation(M)
        np.save("rows.npy", np.stack([T2I[order], order], 1))
        pair = mg.load(image="a.npy", text="long.npy", pairs="rows.npy")
        np.testing.assert_array_equal(pair.text_to_image, T2I)

    def test_each_may_be_shards(self) -> None:
        for i in range(3):
            np.save(f"i{i}.npy", rows()[2 * i : 2 * i + 2])
        pair = mg.load(image="i?.npy", text=["b.npy"])
        holds(pair, rows(), rows(seed=1))

    def test_labels_come_with_the_images(self) -> None:
        np.savez("labelled.npz", image=rows(), labels=np.array([0, 1, 2, 2, 1, 0]))
        np.save("prompts.npy", rows(3, seed=2))
        assert mg.load(image="labelled.npz", text="prompts.npy").matched_by == "labels"

    def test_one_of_two(self) -> None:
        found = load_any(text="b.npy")
        assert isinstance(found, mg.Embeddings)
        assert found.modality == "text"

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({}, "path: must be set, or image= and text= instead; got neither"),
            ({"path": "a.npy", "image": "b.npy"}, "path: give either path, or image and text"),
            ({"image": "a.npy", "pairs": "t2i.npy"}, "pairs: needs image= and text="),
            ({"image": "a.npy", "text": "long.npy"}, "same number of rows; got 6 and 9"),
            (
                {"image": "two.npy", "text": "b.npy"},
                r"two\.npy.*one modality as image=; found image and text",
            ),
            (
                {"image": "a.npy", "text": "long.npy", "pairs": "b.npy"},
                r"b\.npy.*integ.*float32",
            ),
            ({"image": "a.npy", "text": "b.npy", "pairs": "t2i.npy"}, r"\(6,\).*got \(9,\)"),
            ({"image": "a.npy", "text": "long.npy", "pairs": "p.csv"}, r"p\.csv.*\.npy.*\.csv"),
            ({"image": "a.npy", "text": "long.npy", "pairs": "out.npy"}, "0 … 5.*row 8 holds 6"),
            (
                {"image": "a.npy", "text": "long.npy", "pairs": "far.npy"},
                "0 … 8.*row 0 holds 9",
            ),
            ({"image": "a.npy", "text": "long.npy", "pairs": "cube.npy"}, r"\(k, 2\).*\(1, 1, 1\)"),
        ],
    )
    def test_what_does_not_fit(self, arguments: dict[str, str], message: str) -> None:
        np.save("two.npy", np.stack([rows(), rows()]))
        np.save("out.npy", np.array([0, 1, 2, 3, 4, 5, 0, 0, 6]))
        np.save("far.npy", np.array([[0, 9], [0, 0]]))
        np.save("cube.npy", np.zeros((1, 1, 1), int))
        with pytest.raises(errors.InputError, match=message):
            mg.load(**arguments)  # type: ignore[arg-type]


ALIASES = {
    "image": ["images", "img", "image_embeddings", "image_features", "img_emb", "image_embeds"],
    "text": ["texts", "txt", "caption_embeddings", "captions_embeddings", "text_embeddings",
             "text_features", "text_emb", "text_embeds"],
}  # fmt: skip


def write_keys(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """As other people write such a file."""
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.suffix == ".safetensors":
        save_file(arrays, path)
    else:
        length = max(map(len, arrays.values()))
        columns = {k: v.tolist() + [None] * (length - len(v)) for k, v in arrays.items()}
        types = {2: pa.large_list(pa.float32()), 1: None}
        pq.write_table(
            pa.table({k: pa.array(v, types[arrays[k].ndim]) for k, v in columns.items()}), path
        )


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".parquet"])
class TestKeys:
    @pytest.mark.parametrize("key", ["image", *ALIASES["image"]])
    def test_names_of_the_images(self, suffix: str, key: str, tmp_path: Path) -> None:
        write_keys(tmp_path / f"a{suffix}", {key: rows(), "text": rows(seed=1)})
        holds(mg.load(tmp_path / f"a{suffix}"), rows(), rows(seed=1))

    @pytest.mark.parametrize("key", ["text", *ALIASES["text"]])
    def test_names_of_the_texts(self, suffix: str, key: str, tmp_path: Path) -> None:
        path = tmp_path / f"a{suffix}"
        write_keys(path, {"image": rows(), key: rows(M, 1), "text_to_image": T2I, "other": T2I})
        pair = mg.load(path)
        holds(pair, rows(), rows(M, 1))
        np.testing.assert_array_equal(pair.text_to_image, T2I)

    def test_two_names_for_one_modality(self, suffix: str, tmp_path: Path) -> None:
        path = tmp_path / f"a{suffix}"
        write_keys(path, {"image": rows(), "img": rows(), "text": rows()})
        with pytest.raises(errors.FileError, match=r"a\..*one name only; found image and img"):
            mg.load(path)

    def test_neither_modality(self, suffix: str, tmp_path: Path) -> None:
        write_keys(tmp_path / f"a{suffix}", {"pictures": rows(), "words": rows()})
        with pytest.raises(errors.FileError, match=r"a\..*'image' or 'text'.*'pictures', 'words'"):
            mg.load(tmp_path / f"a{suffix}")

    def test_factors(self, suffix: str, tmp_path: Path) -> None:
        path = tmp_path / f"a{suffix}"
        write_keys(path, {"image": rows(), "text": rows(), "image_factor_object": np.arange(N) % 2})
        np.testing.assert_array_equal(mg.load(path).image.factors["object"], np.arange(N) % 2)

    def test_float_matches(self, suffix: str, tmp_path: Path) -> None:
        path = tmp_path / f"a{suffix}"
        write_keys(path, {"image": rows(), "text": rows(), "labels": np.zeros(N)})
        with pytest.raises(errors.FileError, match=r"a\..*labels.*integers.*(float64|double)"):
            mg.load(path)

    def test_one_side_of_two(self, suffix: str, tmp_path: Path) -> None:
        path = tmp_path / f"a{suffix}"
        write_keys(path, {"image": rows(), "text": rows(seed=1)})
        assert mg.load_embeddings(path, modality="text").modality == "text"
        with pytest.raises(errors.FileError, match=r"a\..*one modality.*found image and text"):
            mg.load_embeddings(path)
        with pytest.raises(errors.FileError, match=r"a\..*must hold 'audio'; found image and text"):
            mg.load_embeddings(path, modality="audio")


class TestOthersFiles:
    def test_captions_beside_their_vectors(self, tmp_path: Path) -> None:
        words = np.array(["a cat", "a dog"] * 3)
        np.savez(tmp_path / "a.npz", image=rows(), text=words, text_features=rows(seed=1))
        holds(mg.load(tmp_path / "a.npz"), rows(), rows(seed=1))
        table = {"image": rows().tolist(), "text": words.tolist(), "txt": rows(seed=1).tolist()}
        pq.write_table(pa.table(table), tmp_path / "a.parquet")
        assert mg.load(tmp_path / "a.parquet").text.n == N

    def test_numpy_strings_are_names(self, tmp_path: Path) -> None:
        names = np.array([f"é{i}" for i in range(N)])
        np.savez(tmp_path / "a.npz", image=rows(), text=rows(), image_names=names)
        assert mg.load(tmp_path / "a.npz").image.names == tuple(names.tolist())

    @pytest.mark.parametrize("kind", [pa.list_(pa.float16()), pa.list_(pa.float64(), D),
                                      pa.large_list(pa.float32())])  # fmt: skip
    def test_kinds_of_parquet_list(self, kind: pa.DataType, tmp_path: Path) -> None:
        values = rows().astype(kind.value_type.to_pandas_dtype())
        column = pa.array(list(values), kind)
        pq.write_table(pa.table({"image": column, "text": column}), tmp_path / "a.parquet")
        holds(mg.load(tmp_path / "a.parquet"), values, values)

    def test_parquet_names_may_be_missing(self, tmp_path: Path) -> None:
        table = {"image": rows(2).tolist(), "image_name": ["a", None]}
        pq.write_table(pa.table(table), tmp_path / "a.parquet")
        assert mg.load_embeddings(tmp_path / "a.parquet").names == ("a", "")

    @pytest.mark.usefixtures("lazily")
    def test_bfloat16(self, tmp_path: Path) -> None:
        from safetensors.torch import save_file as save_torch

        x = torch.from_numpy(rows()).bfloat16()
        save_torch({"image": x, "text": x.clone()}, tmp_path / "a.safetensors")
        assert torch.equal(mg.load(tmp_path / "a.safetensors").image.rows.read(0, N), x)

    def test_a_stored_npz_stays_on_disk(self, tmp_path: Path, lazily: bool) -> None:
        np.savez(tmp_path / "a.npz", image=rows(), text=np.asfortranarray(rows(seed=1)))
        pair = mg.load(tmp_path / "a.npz")
        holds(pair, rows(), rows(seed=1))
        assert pair.image.rows.in_memory is not lazily
        np.savez_compressed(tmp_path / "b.npz", image=rows(), text=rows(seed=1))
        assert mg.load(tmp_path / "b.npz").image.rows.in_memory
        assert mg.load(tmp_path / "b.npz").fingerprint == pair.fingerprint
