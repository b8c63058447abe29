"""Many-to-many matches and items that repeat, against plain loops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from embeddings.repeat_cases import RANDOM, Floats, emoji, many_to_many, unit
from hypothesis import given, settings
from hypothesis import strategies as st

import modalgap as mg
from modalgap import errors
from modalgap.advise.trial import halves
from modalgap.embeddings import Embeddings, Pair, join_repeats


def slow_retrieval(
    queries: Floats, gallery: Floats, right: dict[int, set[int]], k: int
) -> dict[str, float]:
    """Plain loops: a wrong item of the score of a right one stands before it."""
    first, precision, gain = [], [], []
    for q in sorted(right):
        scores = unit(queries) @ unit(gallery).T
        score = np.round(scores[q], 6)
        order = sorted(range(len(gallery)), key=lambda i: (-score[i], i in right[q], i))
        places = [place for place, item in enumerate(order, 1) if item in right[q]]
        first.append(places[0])
        precision.append(np.mean([(i + 1) / place for i, place in enumerate(places)]))
        ideal = sum(1 / np.log2(i + 2) for i in range(min(k, len(places))))
        gain.append(sum(1 / np.log2(place + 1) for place in places if place <= k) / ideal)
    return {
        "r1": float(np.mean([place <= 1 for place in first])),
        "r5": float(np.mean([place <= 5 for place in first])),
        "median_rank": float(sorted(first)[(len(first) - 1) // 2]),
        "map": float(np.mean(precision)),
        "ndcg": float(np.mean(gain)),
    }


def right_of(pairs: Any, column: int) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for row in pairs:
        found.setdefault(int(row[column]), set()).add(int(row[1 - column]))
    return found


class TestRetrieval:
    @settings(max_examples=150, deadline=None)
    @given(case=many_to_many())
    def test_every_right_answer_counts(self, case: Any) -> None:
        x, y, pairs = case
        scores = mg.evaluate.retrieval(Pair(x, y, pairs=pairs), ks=(1, 5)).scores
        for name, queries, gallery, column in (
            ("image_to_text", x, y, 0),
            ("text_to_image", y, x, 1),
        ):
            slow = slow_retrieval(queries, gallery, right_of(pairs, column), 10)
            for number in ("r1", "r5", "median_rank", "map"):
                assert scores[f"{name}_{number}"].value == pytest.approx(slow[number]), number

    @settings(max_examples=60, deadline=None)
    @given(case=many_to_many())
    def test_ndcg(self, case: Any) -> None:
        from modalgap.evaluate.ranking import ranks
        from modalgap.evaluate.ranks import Relevant

        x, y, pairs = case
        images, texts = np.array(sorted(set(pairs))).T
        rows = [torch.from_numpy(unit(side)).float() for side in (x, y)]
        found = ranks(rows[0], rows[1], Relevant.of(images, texts, len(x)))
        slow = slow_retrieval(x, y, right_of(pairs, 0), 10)
        assert found.ndcg(10).mean() == pytest.approx(slow["ndcg"])

    def test_other_tasks_take_every_right_answer(self) -> None:
        """Images that share a caption, in a space where each is nearest to its own."""
        content = RANDOM(0).normal(size=(30, 16))
        x = np.repeat(content, 4, 0) + 0.01 * RANDOM(1).normal(size=(120, 16))
        pair = Pair(x, content, pairs=[(i, i // 4) for i in range(120)])
        found = mg.evaluate(
            pair, ["retrieval", "robustness", "within", "calibration", "mixed"], indexes=[]
        )
        for name in (
            "retrieval.image_to_text_r1", "retrieval.text_to_image_r1",
            "retrieval.text_to_image_map", "robustness.flat_accuracy",
            "within.image_map", "within.image_r_precision",
            "calibration.image_text_auc", "calibration.image_image_auc",
            "mixed.text_ndcg10", "mixed.image_ndcg10", "mixed.image_r1",
        ):  # fmt: skip
            assert found[name].value == pytest.approx(1), name

    def test_robustness_of_texts(self) -> None:
        x = np.eye(6)
        pair = Pair(x, x[:3] + x[3:], pairs=[(i, i % 3) for i in range(6)])
        scores = mg.evaluate.robustness(pair, indexes=(), retrieved="text").scores
        assert scores["flat_accuracy"].value == 1
        assert len(scores["flat_accuracy"].values) == 6

    def test_within_needs_one_text_per_image(self) -> None:
        """Where sharing is no equivalence there are no classes, rather than wrong ones."""
        x = RANDOM(0).normal(size=(6, 4))
        chain = Pair(x, x, pairs=[(i, t) for i in range(6) for t in (i, (i + 1) % 6)])
        with pytest.raises(errors.NotApplicable, match="images have no classes"):
            mg.evaluate(chain, "within")

    def test_first_caption_needs_one_image_per_text(self) -> None:
        from modalgap.search import query_side

        x = RANDOM(0).normal(size=(6, 4))
        pair = Pair(x, x, pairs=[(i, i // 2) for i in range(6)])
        with pytest.raises(errors.NotApplicable, match="a text describes several images"):
            mg.search(query_side(pair, "first_caption"), pair, "first_caption")


def slow_mixed(pair: Pair, stored: list[int], asking: str, k: int) -> Floats:
    """NDCG@k of each query by plain loops; ``stored``: 0 image, 1 text, 2 both fused."""
    images, texts = pair.image.unit().double().numpy(), pair.text.unit().double().numpy()
    known = set(zip(*(index.tolist() for index in pair.matches), strict=True))
    captions = {i: sorted(t for j, t in known if j == i) for i in range(pair.image.n)}
    items = [i for i in range(pair.image.n) if captions[i]]
    second = all(len(captions[i]) > 1 for i in items)
    ask = {i: captions[i][0] for i in items}
    keep = {i: captions[i][1 if second else 0] for i in items}

    def document(item: int, form: int) -> Floats:
        parts = {0: images[item], 1: texts[keep[item]]}
        return parts[form] if form < 2 else unit((parts[0] + parts[1])[None])[0]

    found = []
    for q in items:
        query = texts[ask[q]] if asking == "text" else images[q]
        scores, right = [], []
        for place, item in enumerate(items):
            form = stored[place]
            if asking == "text":
                good = (item, ask[q]) in known
                holds = form != 0 and keep[item] == ask[q]
                form = 0 if holds else form
            else:
                good = (q, keep[item]) in known
                holds = form != 1 and item == q
                form = 1 if holds else form
            scores.append(round(float(document(item, form) @ query), 6))
            right.append(good)
        order = sorted(range(len(items)), key=lambda i: (-scores[i], right[i]))
        gains = [1 / np.log2(r + 2) for r, i in enumerate(order) if right[i] and r < k]
        ideal = sum(1 / np.log2(r + 2) for r in range(min(k, sum(right))))
        found.append(sum(gains) / ideal)
    return np.array(found)


class TestMixed:
    @settings(max_examples=80, deadline=None)
    @given(
        case=many_to_many(), ratio=st.sampled_from([0.0, 0.5, 1.0]), k=st.sampled_from([1, 3, 10])
    )
    def test_every_right_answer_counts(self, case: Any, ratio: float, k: int) -> None:
        x, y, pairs = case
        x = x + 0.1 * RANDOM(0).normal(size=x.shape)
        pair = Pair(x, y, pairs=pairs)
        n = len({image for image, _ in pairs})
        if n < 2:
            return
        found = mg.evaluate.mixed(pair, ratios=[ratio], k=k).scores
        stored = np.full(n, 1)
        order = RANDOM(0).permutation(n)
        stored[order[: round(ratio * n)]] = 0
        for asking in ("text", "image"):
            slow = slow_mixed(pair, stored.tolist(), asking, k)
            key = f"{asking}_ndcg{k}_{round(100 * ratio)}pct_images"
            assert found[key].values == pytest.approx(slow), asking

    def test_merged_lists(self) -> None:
        """Perfect features: each list has its right items first, and so has the merged one."""
        content = np.eye(9)
        pair = Pair(np.repeat(content, 3, 0), content, pairs=[(i, i // 3) for i in range(27)])
        found = mg.evaluate.mixed(pair).scores
        assert found["text_ndcg10"].value == pytest.approx(1)
        # of three right images in one list, places 1, 2, 3 are 2, 5, 8 among the lists of three
        gain = (1 / np.log2([3, 6, 9])).sum() / (1 / np.log2([2, 3, 4])).sum()
        right = found["text_ndcg10_rrf"].values
        assert right.min() == pytest.approx(gain)


class TestElsewhere:
    def test_halves_share_no_caption(self) -> None:
        x, y, captions = emoji()
        pair = join_repeats(Pair(Embeddings(x, "image"), Embeddings(y, "text", names=captions)))
        one, two = halves(pair, 0.5, 0)
        assert one.text.names is not None
        assert two.text.names is not None
        assert not set(one.text.names) & set(two.text.names)
        assert one.image.n + two.image.n == len(x)
        assert abs(one.image.n - two.image.n) < 20

    @pytest.mark.parametrize("method", ["center", "procrustes", "ridge", "cca", "realign"])
    def test_closed_pairs_keep_their_matches(self, method: str) -> None:
        x, y, captions = emoji()
        pair = join_repeats(Pair(Embeddings(x, "image"), Embeddings(y, "text", names=captions)))
        assert pair.pairs is not None
        closed = mg.close(pair, method)
        assert closed.pairs is not None
        assert np.array_equal(closed.pairs, pair.pairs)

    def test_the_report(self, tmp_path: Path) -> None:
        x, y, captions = emoji(120, 40)
        pair = join_repeats(Pair(Embeddings(x, "image"), Embeddings(y, "text", names=captions)))
        mg.report(pair, tmp_path / "a.html")
        assert "Matched by" in (tmp_path / "a.html").read_text()

    def test_matched_cosines_are_not_counted_as_unmatched(self) -> None:
        from modalgap.views import views

        content = np.eye(8)
        pair = Pair(np.repeat(content, 2, 0), content, pairs=[(i, i // 2) for i in range(16)])
        found = views(pair, mg.measure(pair, ["l2m"]))
        assert found.cosines is not None
        assert found.cosines.means["matched"] == pytest.approx(1)
        assert found.cosines.means["unmatched"] == pytest.approx(0, abs=1e-6)

    def test_inverted_texts_name_one_image_or_none(self) -> None:
        from modalgap.invert.inputs import known_features

        x = RANDOM(0).normal(size=(6, 4))
        shared = Pair(x, x, pairs=[(i, i // 2) for i in range(6)])
        assert "image" not in known_features(shared, shared.text, x, None).factors
        single = Pair(x, x, text_to_image=[0, 0, 1, 1, 2, 2])
        found = known_features(single, single.text, x, None)
        assert found.factors["image"].tolist() == [0, 0, 1, 1, 2, 2]


class TestTraining:
    def held_out(self, texts: list[str], described: Any = None) -> Any:
        from modalgap.train.batches import HeldOut

        return HeldOut(
            images=torch.zeros(len(texts), 3, 2, 2), texts=texts, factors={}, prompts={},
            described=described,
        )  # fmt: skip

    def match(self, held_out: Any, x: Floats, y: Floats) -> float:
        from modalgap.train.held_out import accuracies

        towers: Any = torch.nn.Linear(1, 1)
        return accuracies(towers, Pair(x, y), held_out, None)["match"]

    def test_match_counts_every_right_answer(self) -> None:
        """Two pictures of one caption, whose rows are the same: each is the answer to both."""
        y = np.eye(3)[[0, 0, 1, 2]]
        texts = ["a", "a", "b", "c"]
        assert self.match(self.held_out(texts), y, y) == 1
        assert self.match(self.held_out(["a", "d", "b", "c"]), y, y) == 0.5  # ties are wrong
        assert self.match(self.held_out(texts), y[[2, 1, 2, 3]], y) == 0.75

    def test_captions_that_describe_several_images(self) -> None:
        """Text 1 describes image 0 too, beside its own text; so does what is the same as text 1."""
        described = np.eye(4, dtype=bool)
        described[0, 1] = True
        found = self.held_out(["a", "b", "c", "b"], described)
        assert found.right.tolist() == [
            [True, True, False, True],
            [False, True, False, True],
            [False, False, True, False],
            [False, True, False, True],
        ]
        y = np.eye(4)
        assert self.match(found, y[[3, 1, 2, 3]], y) == 1
        assert self.match(self.held_out(["a", "b", "c", "d"]), y[[3, 1, 2, 3]], y) == 0.75
