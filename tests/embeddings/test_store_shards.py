"""Files in: every format, every shape of it, in one file or many."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from embeddings.store_cases import T2I, M, N, holds, rows

import modalgap as mg
from modalgap import errors
from modalgap.embeddings.store import load_any


def labelled(n: int, prompts: int = 3, seed: int = 0) -> mg.Pair:
    labels = np.random.default_rng(seed).integers(0, prompts, n)
    return mg.Pair(rows(n, seed), rows(prompts, 99), labels=labels)


class TestShards:
    @pytest.mark.usefixtures("lazily")
    def test_in_natural_order_however_they_are_named(self, tmp_path: Path) -> None:
        whole = np.stack([rows(24), rows(24, 1)])
        for i in range(12):
            np.save(tmp_path / f"part_{i}.npy", whole[:, 2 * i : 2 * i + 2])
        listed = [tmp_path / f"part_{i}.npy" for i in range(12)]
        for path in (tmp_path, str(tmp_path / "part_*.npy"), listed, list(map(str, listed))):
            pair = mg.load(path)
            holds(pair, *whole)
            assert pair.fingerprint == mg.Pair(*whole).fingerprint
        assert "part_0.npy … " in pair.image.source
        some = torch.tensor([23, 0, 11, 11])
        torch.testing.assert_close(pair.image.rows.take(some), torch.from_numpy(whole[0])[some])

    def test_what_was_joined_and_what_was_not_read(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name in ("a.npy", "b.npy"):
            np.save(tmp_path / name, np.ones((2, 3, 4)))
        (tmp_path / "notes.md").touch()
        assert mg.load(tmp_path).image.n == 6
        said = "read as shards of one data set: a.npy, b.npy; not read: notes.md"
        assert capsys.readouterr().err == f"modalgap: {tmp_path}: {said}\n"
        (tmp_path / "notes.md").unlink()
        (tmp_path / "a.npy").rename(tmp_path / "b2.npy")
        (tmp_path / "b.npy").rename(tmp_path / "b10.npy")
        mg.load(tmp_path)
        assert not capsys.readouterr().err

    def test_a_shard_may_hold_a_single_row(self, tmp_path: Path) -> None:
        for i in range(2):
            np.save(tmp_path / f"{i}.npy", rows(1, i)[None].repeat(2, 0))
        assert mg.load(tmp_path).image.n == 2

    def test_text_to_image_counts_on(self, tmp_path: Path) -> None:
        for i in range(3):
            image = mg.Embeddings(rows(N, i), names=[f"{i}{j}" for j in range(N)])
            text = mg.Embeddings(rows(M, 9 + i), "text", factors={"k": [f"{i}"] * M})
            mg.save(mg.Pair(image, text, T2I), tmp_path / f"{i}.npz")
        pair = mg.load(tmp_path)
        np.testing.assert_array_equal(pair.text_to_image, np.concatenate([T2I, T2I + 6, T2I + 12]))
        assert pair.image.names is not None
        assert pair.image.names[-1] == "25"
        assert pair.text.factors["k"].tolist() == ["0"] * M + ["1"] * M + ["2"] * M

    def test_labels_share_the_prompts(self, tmp_path: Path) -> None:
        parts = [labelled(N, seed=i) for i in range(2)]
        for i, part in enumerate(parts):
            mg.save(part, tmp_path / f"{i}.safetensors")
        pair = mg.load(tmp_path)
        assert (pair.image.n, pair.text.n) == (2 * N, 3)
        np.testing.assert_array_equal(pair.labels, np.concatenate([p.labels for p in parts]))

    def test_provenance_that_all_share_is_kept(self, tmp_path: Path) -> None:
        for i in range(2):
            about = {"model": "m", "part": str(i)}
            mg.save(mg.Embeddings(rows(), provenance=about), tmp_path / f"{i}.npz")
        assert mg.load_embeddings(tmp_path).provenance == {"model": "m"}

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda i: mg.Pair(rows(d=3 + i), rows(d=3 + i)), "same width"),
            (
                lambda i: mg.Pair(rows().astype(f"f{4 + 4 * i}"), rows().astype(f"f{4 + 4 * i}")),
                "one dtype",
            ),
            (
                lambda i: labelled(N) if i else mg.Pair(rows(), rows()),
                "kind of match.*rows and",
            ),
            (lambda i: labelled(N, 3 + i), "class prompts"),
            (lambda i: mg.Pair(rows(), rows()) if i else mg.Embeddings(rows()), "modalities"),
            (lambda i: mg.Embeddings(rows(), names=list("abcdef") if i else None), "image names"),
            (
                lambda i: mg.Embeddings(rows(), factors={"k": range(N)} if i else {}),
                "image factors",
            ),
            (
                lambda i: mg.Embeddings(rows(), factors={"k": list("abcdef") if i else range(N)}),
                "integers or strings",
            ),
            (
                lambda i: mg.Embeddings(rows(), ["image", "audio"][i]),
                "same modalities; found image and audio",
            ),
        ],
    )
    def test_that_do_not_fit(
        self, make: Callable[[int], mg.Pair | mg.Embeddings], message: str, tmp_path: Path
    ) -> None:
        for i in range(2):
            mg.save(make(i), tmp_path / f"{i}.npz")
        with pytest.raises(errors.FileError, match=message) as caught:
            load_any(tmp_path)
        assert str(tmp_path / "0.npz") in str(caught.value)

    def test_a_shard_may_not_point_into_the_next(self, tmp_path: Path) -> None:
        for i in range(2):
            np.savez(
                tmp_path / f"{i}.npz", image=rows(), text=rows(), text_to_image=np.arange(N) + 1
            )
        with pytest.raises(errors.FileError, match=r"0\.npz.*0 … 5; row 5 holds 6"):
            mg.load(tmp_path)

    def test_rows_may_not_slip_between_shards(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "0.npz", image=rows(2), text=rows(4))
        np.savez(tmp_path / "1.npz", image=rows(4), text=rows(2))
        with pytest.raises(errors.FileError, match=r"0\.npz: row i matches row i.*found 2 and 4"):
            mg.load(tmp_path)

    def test_names_may_not_slip_between_shards(self, tmp_path: Path) -> None:
        for i, names in enumerate(["abcde", "fghijkl"]):
            np.savez(tmp_path / f"{i}.npz", image=rows(), image_names=np.array(list(names)))
        with pytest.raises(errors.FileError, match=r"0\.npz: image 'names' must have 6.*found 5"):
            load_any(tmp_path)

    def test_short_matches_in_a_shard(self, tmp_path: Path) -> None:
        for i in range(2):
            np.savez(tmp_path / f"{i}.npz", image=rows(), text=rows(), text_to_image=np.arange(3))
        with pytest.raises(errors.FileError, match=r"0\.npz: 'text_to_image' must have 6.*found 3"):
            mg.load(tmp_path)


class TestClipRetrieval:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Eleven shards of two rows, as clip-retrieval writes them."""
        for name in ("img_emb", "text_emb", "metadata"):
            (tmp_path / name).mkdir()
        for i in range(11):
            part = slice(2 * i, 2 * i + 2)
            np.save(tmp_path / f"img_emb/img_emb_{i}.npy", rows(22)[part].astype(np.float16))
            np.save(tmp_path / f"text_emb/text_emb_{i}.npy", rows(22, 1)[part].astype(np.float16))
            table = {
                "image_path": [f"{i}a.jpg", f"{i}b.jpg"],
                "caption": ["x", None],
                "nsfw": [0, 1],
            }
            pq.write_table(pa.table(table), tmp_path / f"metadata/metadata_{i}.parquet")
        return tmp_path

    def test_whole(self, folder: Path, lazily: bool) -> None:
        pair = mg.load(folder)
        holds(pair, rows(22).astype(np.float16), rows(22, 1).astype(np.float16))
        assert pair.image.rows.in_memory is not lazily
        assert pair.image.names is not None
        assert pair.image.names[20:] == ("10a.jpg", "10b.jpg")
        assert pair.text.names is not None
        assert pair.text.names[:2] == ("x", "")

    def test_without_metadata(self, folder: Path) -> None:
        shutil.rmtree(folder / "metadata")
        assert mg.load(folder).image.names is None

    def test_one_side(self, folder: Path) -> None:
        shutil.rmtree(folder / "img_emb")
        assert mg.load_embeddings(folder).modality == "text"
        assert mg.load_embeddings(folder).names is not None

    def test_counts_differ_within_a_number(self, folder: Path) -> None:
        np.save(folder / "text_emb/text_emb_3.npy", rows(3))
        with pytest.raises(errors.FileError, match=r"2 in .*img_emb_3.npy, 3 in .*text_emb_3.npy"):
            mg.load(folder)

    def test_a_missing_shard(self, folder: Path) -> None:
        (folder / "text_emb/text_emb_3.npy").unlink()
        with pytest.raises(errors.FileError, match="text_emb lacks 3"):
            mg.load(folder)

    def test_empty(self, tmp_path: Path) -> None:
        (tmp_path / "img_emb").mkdir()
        with pytest.raises(errors.FileError, match=r"img_emb/img_emb_\*\.npy.*found neither"):
            mg.load(tmp_path)
