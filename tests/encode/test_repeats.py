"""Encode merges identical captions and identical images, reports it, or keeps them separate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import functions
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import modalgap as mg
from modalgap import errors
from modalgap.data.repeats import join_texts
from modalgap.data.source import Source
from modalgap.encode import Options
from modalgap.encode import run as work
from modalgap.encode.engine import output as writing
from modalgap.train.source_batches import _captions_of


class Pictures:
    """Images by number: the same number is the same bytes."""

    kind = "image"

    def __init__(self, numbers: list[int]) -> None:
        self.numbers = numbers
        self.names = [f"{i}.png" for i in range(len(numbers))]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, position: int) -> Any:
        from PIL import Image

        random = np.random.default_rng(self.numbers[position])
        return Image.fromarray(random.integers(0, 255, (48, 48, 3), dtype=np.uint8))


def source(pictures: list[int], texts: list[str], **more: Any) -> Source:
    return Source(name="s", media=Pictures(pictures), texts=texts, **more)


def encoded(found: Source, **options: Any) -> Any:
    return work(found, functions.encoder(), None, Options(workers=0, **options))


def matched(pair: mg.Pair) -> set[tuple[str, str]]:
    assert pair.image.names is not None
    assert pair.text.names is not None
    both = zip(*(index.tolist() for index in pair.matches), strict=True)
    return {(pair.image.names[i], pair.text.names[t]) for i, t in both}


def test_many_images_of_one_caption() -> None:
    done = encoded(source([0, 1, 2, 3, 4], ["a", "b", "a", "c", "a"]))
    pair = done.data
    assert (pair.image.n, pair.text.n, pair.matched_by) == (5, 3, "pairs")
    assert pair.text.names == ("a", "b", "c")
    assert pair.pairs.tolist() == [[0, 0], [1, 1], [2, 0], [3, 2], [4, 0]]
    note = (
        "5 images share 3 distinct texts; identical texts were merged (--keep-repeats keeps them"
        " separate)"
    )
    assert note in done.source.notes
    kept = encoded(source([0, 1, 2, 3, 4], ["a", "b", "a", "c", "a"]), keep_repeats=True)
    assert kept.data.matched_by == "rows"
    assert kept.data.text.names == ("a", "b", "a", "c", "a")
    assert not kept.source.notes
    for row, name in enumerate("abaca"):
        own = pair.text.unit()["abc".index(name)]
        assert kept.data.text.unit()[row].tolist() == pytest.approx(own.tolist(), abs=1e-6)


def test_identical_images() -> None:
    """The same bytes under two names: one image, with the captions of both."""
    done = encoded(source([7, 8, 7, 9], ["a", "b", "c", "d"]))
    pair = done.data
    assert (pair.image.n, pair.text.n) == (3, 4)
    assert matched(pair) == {("0.png", "a"), ("0.png", "c"), ("1.png", "b"), ("3.png", "d")}
    assert done.notes == (
        "4 images are 3 distinct ones (same bytes); identical images were merged (--keep-repeats"
        " keeps them separate)",
    )
    assert done.to_dict()["joined"] == list(done.notes)
    assert encoded(source([7, 8, 7, 9], ["a", "b", "c", "d"]), keep_repeats=True).data.image.n == 4


def test_other_factors_are_kept_apart() -> None:
    """Joining them would lose what is known of one of them."""
    found = source(
        [7, 7, 7, 8], ["a", "a", "b", "b"],
        factors={"style": ["x", "y", "x", "x"]}, text_factors={"tone": [0, 1, 0, 0]},
    )  # fmt: skip
    done = encoded(found)
    assert done.data.image.n == 3
    assert done.data.text.n == 3
    assert done.data.image.factors["style"].tolist() == ["x", "y", "x"]
    assert any("1 identical texts differ in their factors (tone)" in n for n in done.source.notes)
    assert any("1 identical images differ in their factors (style)" in n for n in done.notes)
    assert matched(done.data) == {("0.png", "a"), ("1.png", "a"), ("0.png", "b"), ("3.png", "b")}


def test_classes_are_never_joined() -> None:
    done = encoded(source([7, 7, 8, 9], ["cat", "dog"], labels=[0, 0, 1, 1]))
    assert (done.data.image.n, done.data.text.n) == (4, 2)
    assert not done.notes


def test_all_the_same() -> None:
    done = encoded(source([1, 2, 3], ["a", "a", "a"]))
    assert done.data.text.n == 3
    assert "all texts are identical; they were not merged" in done.source.notes
    done = encoded(source([1, 1, 1], ["a", "b", "c"]))
    assert done.data.image.n == 3
    assert "all images are identical; they were not merged" in done.notes


@settings(max_examples=40, deadline=None)
@given(
    pictures=st.lists(st.integers(0, 5), min_size=2, max_size=9),
    captions=st.lists(
        st.tuples(st.integers(0, 8), st.sampled_from(["a", "b", "c", "d", " "])), min_size=2
    ),
    keep=st.booleans(),
)
def test_matches_are_those_of_the_source(
    pictures: list[int], captions: list[tuple[int, str]], keep: bool
) -> None:
    """Of which picture, by its bytes, each caption is said; blank texts are listed one by one."""
    captions = [(i % len(pictures), text) for i, text in captions]
    found = source(pictures, [text for _, text in captions], text_to_image=[i for i, _ in captions])
    said = {(pictures[i], text) for i, text in captions if text != " "}
    if len(said) < 2:
        return
    try:
        done = encoded(found, keep_repeats=keep)
    except errors.InputError as error:
        assert "needs at least 2 texts" in str(error)
        return
    pair = done.data
    number = {name: pictures[i] for i, name in enumerate(found.media.names if found.media else [])}
    assert {(number[name], text) for name, text in matched(pair)} == said
    assert len(done.skipped) == sum(text == " " for _, text in captions)
    texts = {text for _, text in said}
    if not keep and len(texts) > 1:
        assert pair.text.n == len(texts)
        assert pair.image.n == (len(set(pictures)) if len(set(pictures)) > 1 else len(pictures))


def test_a_kill_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was joined is found again by the run that resumes."""
    made = source([7, 8, 7, 9, 5, 8], ["a", "b", "a", "d", "b", "e"])
    options = Options(workers=0, batch_size=2)
    whole = work(made, functions.encoder(), tmp_path / "whole.npz", options)

    def killed(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("modalgap.encode.verb.write", killed)
        with pytest.raises(KeyboardInterrupt):
            work(made, functions.encoder(), tmp_path / "again.npz", options)
    again = work(made, functions.encoder(), tmp_path / "again.npz", options)
    assert again.resumed
    assert again.notes == whole.notes
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    other = Options(workers=0, batch_size=2, keep_repeats=True)
    assert work(made, functions.encoder(), tmp_path / "kept.npz", other).data.image.n == 6


def test_shards_of_shared_captions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caption of images in two shards is in both; evaluate counts it once."""
    monkeypatch.setattr(writing, "SHARD", 300)
    made = source(list(range(12)), [f"t{i % 5}" for i in range(12)])
    done = work(made, functions.encoder(), tmp_path / "a.safetensors", Options(workers=0))
    assert len(done.files) > 1
    assert matched(done.data) == {(f"{i}.png", f"t{i % 5}") for i in range(12)}
    from modalgap.embeddings import join_repeats

    assert join_repeats(done.data).text.n == 5


class TestSource:
    def test_any_matching(self) -> None:
        made = source([0, 1, 2], ["a", "b"], pairs=[(2, 1), (0, 0), (2, 0), (2, 0)])
        assert made.matches.tolist() == [[0, 0], [2, 0], [2, 1]]
        done = encoded(made)
        assert matched(done.data) == {("0.png", "a"), ("2.png", "a"), ("2.png", "b")}
        assert done.data.image.n == 3

    def test_a_sample_keeps_its_matches(self) -> None:
        made = source(
            list(range(6)), ["a", "b", "c"], pairs=[(i, i % 3) for i in range(6)],
            text_factors={"number": [0, 1, 2]},
        )  # fmt: skip
        some = made.limited(3, 0)
        assert some.texts is not None
        assert some.media is not None
        for image, text in some.matches.tolist():
            assert int(some.media.names[image][0]) % 3 == "abc".index(some.texts[text])
            assert some.text_factors["number"][text] == "abc".index(some.texts[text])
        assert len(some.matches) == 3

    def test_captions_of_each_image(self) -> None:
        made = source([0, 1, 2, 3], ["a", "b"], pairs=[(3, 0), (0, 1), (0, 0)])
        assert [each.tolist() for each in _captions_of(made)] == [[0, 1], [], [], [0]]
        joined = join_texts(source([0, 1, 2], ["a", "b", "a"]))
        assert [each.tolist() for each in _captions_of(joined)] == [[0], [1], [0]]

    @pytest.mark.parametrize(
        ("more", "message"),
        [
            ({"pairs": [(0, 2)]}, "s: pairs: column 1 must lie in 0 … 1"),
            ({"pairs": [0, 1]}, r"s: pairs: must have shape \(k, 2\)"),
            ({"pairs": [(0, 1)], "labels": [0, 1, 1]}, "labels and pairs: use one"),
        ],
    )
    def test_refused(self, more: dict[str, Any], message: str) -> None:
        with pytest.raises(errors.InputError, match=message):
            source([0, 1, 2], ["a", "b"], **more)
