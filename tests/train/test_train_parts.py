"""Training: what it gives, and that nothing is lost or changed by a kill."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import trained
from commands import Run as Command
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from trained import VIT, config, losses, write

from modalgap.data import read
from modalgap.data.mad import FACTORS, WORDS, Captions, build, digits
from modalgap.encode import load_model
from modalgap.encode.trainable import build as build_model
from modalgap.encode.trainable import own_architectures
from modalgap.encode.word_tokenizer import vocabulary, write_tokenizer
from modalgap.errors import FileError, InputError, OptionError
from modalgap.train import Run, checkpoint, load_config, train
from modalgap.train.batches import Sampler, split
from modalgap.train.mad_batches import MadBatches
from modalgap.train.source_batches import SourceBatches


def test_words_are_tokens(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    write_tokenizer(WORDS, tmp_path)
    found = AutoTokenizer.from_pretrained(tmp_path)
    ids = found("three-Red large unheard-three").input_ids
    place = {word: i for i, word in enumerate(WORDS, start=3)}
    end = len(WORDS) + 3
    assert ids == [1, place["three"], place["red"], place["large"], 2, place["three"], end]
    for words in (["a", "A"], ["a b"], ["a-b"], [""]):
        with pytest.raises(OptionError, match="words: must be distinct"):
            write_tokenizer(words, tmp_path)


def test_a_caption_longer_than_the_context_is_noticed(finished: Run) -> None:
    tokens = load_model(finished.spec).tokenize(["three-red", "-".join(["three"] * 9)])
    assert tokens.cut.tolist() == [False, True]
    assert tokens.lengths.tolist() == [4, 8]


@pytest.mark.parametrize("name", own_architectures())
def test_own_architectures(name: str, tmp_path: Path) -> None:
    words = name != "small_vit"
    made = build_model(name, words=WORDS)
    made.save(tmp_path / "model")
    found = load_model(f"open_clip:{tmp_path / 'model'}")
    assert found.dim == made.dim
    if words:
        with pytest.raises(OptionError, match="reads whole words, and needs captions"):
            build_model(name)
    if name.startswith("mad_"):
        assert sum(each.numel() for each in made.model.parameters()) < 500_000


def test_words_of_captions() -> None:
    texts = ["Red-heart", "red apple", " ", "apple pie"]
    assert vocabulary(texts) == ["apple", "heart", "pie", "red"]
    assert vocabulary(texts, most=2) == ["apple", "red"]
    asked = []

    def words() -> list[str]:
        asked.append(1)
        return vocabulary(texts)

    made = build_model(VIT, words=words)
    assert made.config["model_cfg"]["text_cfg"]["vocab_size"] == 4 + 4
    build_model("small_vit", words=words)
    assert len(asked) == 1  # not for a tokenizer of its own


def test_groups_are_held_out_as_a_whole() -> None:
    groups = ["a"] * 5 + ["b"] * 3 + ["c"] * 2 + ["d"] * 10
    for seed in range(20):
        train, kept = split(20, 0.25, seed, groups)
        assert sorted([*train, *kept]) == list(range(20))
        assert not {groups[i] for i in train} & {groups[i] for i in kept}
        last = min(
            sum(groups.count(g) for g in {groups[i] for i in kept} - {left})
            for left in {groups[i] for i in kept}
        )
        assert last < 5 <= len(kept)  # no group too many
    assert not len(split(20, 0, 0, groups)[1])
    np.testing.assert_array_equal(split(20, 0.25, 0)[0], split(20, 0.25, 0, None)[0])
    again = split(20, 0.25, 3, groups)
    np.testing.assert_array_equal(again[1], split(20, 0.25, 3, groups)[1])


def test_turned_texts_are_turned_features() -> None:
    made = build_model(VIT, words=WORDS, seed=3)
    ids = made.tokenizer(["three-red", "four"])
    turn = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(0)))[0]
    with torch.no_grad():
        before = made.model.encode_text(ids)
        made.turn_texts(turn)
        after = made.model.encode_text(ids)
    torch.testing.assert_close(after, before @ turn.T, atol=1e-5, rtol=1e-5)


def test_a_mad_batch_is_what_the_encoder_prepares(finished: Run) -> None:
    """The whole batch at once against Pillow and the model's own preprocessing, one by one."""
    mad = build(digits(limit=50))
    model = load_model(finished.spec)
    batches = MadBatches(
        mad,
        Captions(attributes=5),
        None,
        model.tokenizer,
        28,
        [0.5] * 3,
        [0.5] * 3,
        Sampler(batch=8),
    )
    (batch,) = batches.steps(3, 4)
    rng = Sampler(batch=8).rng(1, 3)
    _, rows = Sampler(batch=8).rows(3, batches.pairs)
    variant, colour = rng.integers(24, size=8), rng.integers(7, size=8)
    chosen = mad.train[rows]
    pixels = mad.pixels(chosen, variant, colour)
    expected = torch.stack([model.prepare(Image.fromarray(each)) for each in pixels])
    torch.testing.assert_close(batch.images, expected)
    codes = mad.codes(chosen, variant, colour)
    table = [list(values) for values in FACTORS.values()]
    ids = {word: i for i, word in enumerate(WORDS, start=3)}
    for row, own in zip(batch.ids.tolist(), codes.tolist(), strict=True):
        words = {ids[table[factor][code]] for factor, code in enumerate(own)}
        assert set(row) - {0, 1, len(WORDS) + 3} == words


def test_an_epoch_has_each_pair_once_and_processes_share_it() -> None:
    sampler = Sampler(batch=8, seed=5)
    rows = np.concatenate([sampler.rows(step, 43)[1] for step in range(5)])
    assert len(set(rows.tolist())) == 40
    assert sampler.rows(5, 43)[0] == 1
    assert sampler.rows(0, 43)[1].tolist() != sampler.rows(5, 43)[1].tolist()
    halves = [Sampler(batch=8, rank=rank, world=2).mine for rank in (0, 1)]
    assert list(range(8))[halves[0]] + list(range(8))[halves[1]] == list(range(8))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """40 images with captions, one of them broken."""
    rng = np.random.default_rng(0)
    lines = ["filepath,title"]
    for i in range(40):
        Image.fromarray(rng.integers(0, 255, (30, 36, 3), np.uint8)).save(tmp_path / f"{i}.png")
        lines.append(f"{i}.png,{WORDS[i % 26]} {WORDS[(7 * i) % 26]}")
    (tmp_path / "3.png").write_bytes(b"broken")
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    return tmp_path


SMALL_BPE = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 28, "layers": 1, "width": 32, "head_width": 16, "patch_size": 7},
    "text_cfg": {"context_length": 12, "width": 32, "heads": 2, "layers": 1},
}


@pytest.mark.parametrize("workers", [0, 2])
def test_any_source_trains(pictures: Path, workers: int, tmp_path: Path) -> None:
    made = config(
        model={"architecture": SMALL_BPE},
        data={"source": str(pictures / "pairs.csv"), "limit": None,
              "held_out": 8, "transforms": ["half"]},
        batch=8, steps=9, workers=workers, losses={"infonce": 1, "intra_simclr": 1},
    )  # fmt: skip
    found = train(made, tmp_path / f"run{workers}")
    assert [step for step, _ in losses(found.folder)] == list(range(1, 10))
    assert 0 <= found.last["accuracy/match"] <= 1
    again = train({**made, "workers": 2 - workers}, tmp_path / "again")
    assert losses(again.folder) == losses(found.folder), "workers do not change the numbers"


def test_classes_train_with_their_sentences(pictures: Path, tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "set" / name).mkdir(parents=True)
    for i in range(10, 34):
        (pictures / f"{i}.png").rename(tmp_path / "set" / ("cat", "dog")[i % 2] / f"{i}.png")
    found = train(
        config(model={"architecture": SMALL_BPE}, batch=8, steps=3, workers=0,
               data={"source": str(tmp_path / "set"), "held_out": 6}),
        tmp_path / "run",
    )  # fmt: skip
    assert found.last["accuracy/class"] in [k / 6 for k in range(7)]


def test_tar_shards_train(pictures: Path, tmp_path: Path) -> None:
    import io
    import tarfile

    with tarfile.open(tmp_path / "00000.tar", "w") as tar:
        for i in range(10, 40):
            for suffix, data in (
                ("png", (pictures / f"{i}.png").read_bytes()),
                ("txt", f"caption {i}".encode()),
            ):
                member = tarfile.TarInfo(f"{i:05d}.{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    found = train(
        config(model={"architecture": SMALL_BPE}, batch=8, steps=4, workers=1,
               data={"source": str(tmp_path / "00000.tar"), "held_out": 4}),
        tmp_path / "run",
    )  # fmt: skip
    assert found.steps == 4


def test_an_image_that_cannot_be_read_is_replaced(pictures: Path) -> None:
    found = read(pictures / "pairs.csv")
    made = build_model(SMALL_BPE)
    batches = SourceBatches(
        found, None, made.tokenizer, made.prepare(augment=True), made.prepare(),
        made.prepare_view(), Sampler(batch=40), 0, 0,
    )  # fmt: skip
    (batch,) = batches.steps(0, 1)
    assert batch.images.shape == (40, 3, 28, 28)
    for path in pictures.glob("*.png"):
        path.write_bytes(b"broken")
    with pytest.raises(InputError, match=r"images from .* cannot be read"):
        next(iter(batches.steps(1, 2)))


def test_texts_alone_do_not_train(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("a\nb\nc\n")
    with pytest.raises(InputError, match="training needs images and captions"):
        train(config(model={"architecture": SMALL_BPE}, data={"source": str(tmp_path / "t.txt"),
              "limit": None}), tmp_path / "run")  # fmt: skip


def test_from_the_shell(run: Command, tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml")
    code, out, err = run("train", path, "-o", tmp_path / "run", "--set", "steps=3")
    assert code == 0, err
    assert "rmg" in out
    assert f"model  open_clip:{tmp_path / 'run' / 'model'}" in out
    code, _, err = run("train", path, "-o", tmp_path / "x", "--set", "optimizer.lr=1")
    assert code == 2
    assert err == (
        "modalgap: unknown key of the configuration 'optimizer'; did you mean 'optimiser'?\n"
    )
    code, out, _ = run("list", "configs")
    assert code == 0
    assert "mad_k3" in out
    code, out, _ = run("list", "losses", "--json")
    assert "infonce" in json.loads(out)["losses"]


assert load_config(trained.TINY)


def test_a_checkpoint_with_deeply_nested_facts(tmp_path: Path) -> None:
    model = torch.nn.Linear(3, 2)
    checkpoint.save(tmp_path, 4, model, torch.optim.AdamW(model.parameters()), {"run": "a"}, keep=1)
    (path,) = tmp_path.iterdir()
    with safe_open(path, "pt") as file:
        metadata = dict(file.metadata()) | {"facts": "[" * 100_000}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tensors, path, metadata)
    with pytest.raises(FileError, match="is damaged"):
        checkpoint._read(path)
