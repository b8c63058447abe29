"""Many-to-many matches and items that repeat, against plain loops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import Run
from hypothesis import given, settings
from hypothesis import strategies as st

import modalgap as mg
from modalgap import errors
from modalgap.advise.trial import halves
from modalgap.embeddings import GROUPS, Embeddings, Pair, join_repeats, pair_moments, pick_images
from modalgap.embeddings.store import load_any

Floats = np.ndarray[Any, np.dtype[np.float64]]
RANDOM = np.random.default_rng


def unit(rows: Floats) -> Floats:
    found: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found


@st.composite
def many_to_many(draw: st.DrawFn) -> tuple[Floats, Floats, list[tuple[int, int]]]:
    """Rows on a coarse grid, so that scores tie, and any matches."""
    n, m = draw(st.integers(2, 9)), draw(st.integers(2, 9))
    random = RANDOM(draw(st.integers(0, 2**32)))
    sides = [random.integers(-1, 2, (k, 3)).astype(float) for k in (n, m)]
    for side in sides:
        side[~side.any(1)] = 1.0
    match = st.tuples(st.integers(0, n - 1), st.integers(0, m - 1))
    pairs = draw(st.lists(match, min_size=1, max_size=20))
    return sides[0], sides[1], pairs


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


class TestPair:
    @settings(max_examples=100, deadline=None)
    @given(case=many_to_many())
    def test_matches_are_those_given(self, case: Any) -> None:
        x, y, pairs = case
        pair = Pair(x, y, pairs=pairs)
        found = set(zip(*(index.tolist() for index in pair.matches), strict=True))
        assert found == set(pairs)
        single = sorted(text for _, text in found) == list(range(len(y)))
        assert (pair.pairs is None) == single
        assert (pair.matched_by == "pairs") == (not single)
        again = Pair(x, y, pairs=pairs[::-1] + pairs)
        assert again.fingerprint == pair.fingerprint

    def test_the_simplest_form_is_kept(self) -> None:
        x, y = np.eye(4), np.eye(4)
        assert Pair(x, y, pairs=[(i, i) for i in range(4)]).matched_by == "rows"
        found = Pair(x, y, pairs=[(1, 0), (1, 3), (0, 2), (0, 1)])
        assert found.matched_by == "text_to_image"
        assert found.fingerprint == Pair(x, y, text_to_image=[1, 0, 0, 1]).fingerprint
        shared = Pair(x, y, pairs=[(0, 0), (1, 0)])
        assert shared.matched_by == "pairs"
        assert shared.captions_per_image is None

    @settings(max_examples=100, deadline=None)
    @given(case=many_to_many())
    def test_distinct_matches(self, case: Any) -> None:
        """No image matches the text of another; none could be added; captions keep their first."""
        x, y, pairs = case
        pair = Pair(x, y, pairs=pairs)
        chosen = list(zip(*(index.tolist() for index in pair.distinct_matches), strict=True))
        known = set(pairs)
        for image, text in chosen:
            assert (image, text) in known
            assert all((image, other) not in known for _, other in chosen if other != text)
        texts = [text for _, text in chosen]
        assert len(set(texts)) == len(texts)
        for image, text in known:
            clash = any((image, t) in known or (i, text) in known for i, t in chosen)
            assert clash
        if pair.pairs is None:
            firsts = zip(*(index.tolist() for index in pair.first_matches), strict=True)
            assert chosen == list(firsts)

    @settings(max_examples=100, deadline=None)
    @given(case=many_to_many())
    def test_clusters_are_what_is_connected(self, case: Any) -> None:
        x, y, pairs = case
        pair = Pair(x, y, pairs=pairs)
        group = list(range(len(x) + len(y)))  # union by repeated relabelling
        for _ in range(len(group)):
            for image, text in pairs:
                low = min(group[image], group[len(x) + text])
                group = [low if g in (group[image], group[len(x) + text]) else g for g in group]
        images, texts = pair.clusters
        found = [*images.tolist(), *texts.tolist()]
        if pair.pairs is not None:
            same = [[a == b for b in found] for a in found]
            assert same == [[a == b for b in group] for a in group]
        for image, text in pairs:
            assert images[image] == texts[text]

    @pytest.mark.parametrize(
        ("pairs", "message"),
        [
            ([(0, 0), (4, 1)], "pairs: column 0 must lie in 0 … 3.*row 1 holds 4"),
            ([(0, -1)], "pairs: column 1 must lie in 0 … 4.*row 0 holds -1"),
            ([[0, 1, 2]], r"pairs: must have shape \(k, 2\)"),
            ([], r"pairs: must have shape \(k, 2\)"),
            (np.empty((0, 2), int), "pairs: must hold at least one match"),
            ([(0.0, 1.0)], "pairs: must hold integers; got float64"),
        ],
    )
    def test_refused(self, pairs: Any, message: str) -> None:
        with pytest.raises(errors.InputError, match=message):
            Pair(RANDOM(0).normal(size=(4, 3)), RANDOM(1).normal(size=(5, 3)), pairs=pairs)

    def test_one_kind_of_match(self) -> None:
        with pytest.raises(errors.InputError, match="labels and pairs: give one or neither"):
            Pair(np.eye(3), np.eye(3), labels=[0, 1, 2], pairs=[(0, 1)])

    @settings(max_examples=60, deadline=None)
    @given(case=many_to_many(), data=st.data())
    def test_picked_images_keep_their_matches(self, case: Any, data: st.DataObject) -> None:
        x, y, pairs = case
        pair = Pair(x, y, pairs=pairs)
        chosen = sorted(data.draw(st.sets(st.integers(0, len(x) - 1), min_size=2)))
        kept = {(i, t) for i, t in pairs if i in chosen}
        if len({t for _, t in kept}) < 2:
            return
        part = pick_images(pair, np.array(chosen))
        texts = sorted({t for _, t in kept})
        found = zip(*(index.tolist() for index in part.matches), strict=True)
        assert {(chosen[i], texts[t]) for i, t in found} == kept


class TestFiles:
    @pytest.mark.parametrize("ending", [".npz", ".safetensors", ".parquet"])
    @settings(max_examples=25, deadline=None)
    @given(case=many_to_many())
    def test_what_is_saved_is_read(
        self, tmp_path_factory: pytest.TempPathFactory, ending: str, case: Any
    ) -> None:
        x, y, pairs = case
        pair = Pair(Embeddings(x, "audio", names=[str(i) for i in range(len(x))]), y, pairs=pairs)
        path = mg.save(pair, tmp_path_factory.mktemp("x") / f"a{ending}")
        again = mg.load(path)
        assert again.fingerprint == pair.fingerprint
        assert again.matched_by == pair.matched_by
        assert again.image.names == pair.image.names

    def test_shards(self, tmp_path: Path) -> None:
        """Each counts its own rows; a shard that needs no pairs may stand beside one that does."""
        random = RANDOM(0)
        sides = [(random.normal(size=(4, 3)), random.normal(size=(4, 3))) for _ in range(3)]
        kinds: list[dict[str, Any]] = [
            {"pairs": [(0, 0), (1, 0), (3, 2)]}, {}, {"text_to_image": [1, 1, 0, 3]},
        ]  # fmt: skip
        for i, ((x, y), kind) in enumerate(zip(sides, kinds, strict=True)):
            mg.save(Pair(x, y, **kind), tmp_path / f"{i}.npz")
        pair = mg.load(tmp_path)
        expected = {(0, 0), (1, 0), (3, 2), *((4 + i, 4 + i) for i in range(4))}
        expected |= {(9, 8), (9, 9), (8, 10), (11, 11)}
        assert set(zip(*(i.tolist() for i in pair.matches), strict=True)) == expected

    def test_pairs_option_takes_any(self, tmp_path: Path, run: Run) -> None:
        np.save(tmp_path / "x.npy", RANDOM(0).normal(size=(4, 3)))
        np.save(tmp_path / "y.npy", RANDOM(1).normal(size=(5, 3)))
        np.save(tmp_path / "p.npy", np.array([[2, 1], [0, 1], [0, 4], [0, 4]], np.uint8))
        pair = mg.load(image=tmp_path / "x.npy", text=tmp_path / "y.npy", pairs=tmp_path / "p.npy")
        assert pair.pairs is not None
        assert pair.pairs.tolist() == [[0, 1], [0, 4], [2, 1]]
        code, _, err = run(
            "measure", "--image", str(tmp_path / "x.npy"), "--text", str(tmp_path / "y.npy"),
            "--pairs", str(tmp_path / "p.npy"), "--only", "l2m",
        )  # fmt: skip
        assert code == 0
        assert "without a match: 2 images and 3 texts" in err


class TestMeasures:
    @settings(max_examples=60, deadline=None)
    @given(case=many_to_many())
    def test_sums_and_groups(self, case: Any) -> None:
        """Of all rows, and with the items of each jackknife group left out."""
        x, y, pairs = case
        pair = Pair(x, y, pairs=pairs)
        found = pair_moments(pair, scatter=True)
        distance = [np.linalg.norm(unit(x)[i] - unit(y)[t]) for i, t in sorted(set(pairs))]
        assert found.matches.counts.sum() == len(distance)
        assert found.matches.distance.sum() == pytest.approx(sum(distance), abs=1e-5)
        assert found.text.mean == pytest.approx(unit(y).mean(0), abs=1e-6)
        if pair.pairs is None:
            return
        groups = len(found.image.counts) - 1
        images, texts = (each % GROUPS for each in pair.clusters)
        assert groups == max(images.max(), texts.max()) + 1
        for side, rows, own in ((found.image, x, images), (found.text, y, texts)):
            count, total = side.leave_one_group_out()
            for group in range(groups):
                left = unit(rows)[own != group]
                assert count[group + 1] == len(left)
                assert total[group + 1] == pytest.approx(left.sum(0), abs=1e-5)
        counts, _, _ = found.matches.leave_one_group_out()
        for group in range(groups):
            assert counts[group + 1] == sum(images[i] != group for i, _ in set(pairs))

    def test_every_measure(self) -> None:
        """Where each caption is said of three images; and each item of its own by distinct ones."""
        random = RANDOM(0)
        content = random.normal(size=(60, 16))
        x = np.repeat(content, 3, 0) + random.normal(size=(180, 16))
        pair = Pair(x, content + 0.5, pairs=[(i, i // 3) for i in range(180)])
        found = mg.measure(pair)
        assert {"l2m", "rmg", "nas", "infonce", "matched_cosine", "itr", "hubness_text"} <= set(
            found
        )
        first = Pair(x[::3], content + 0.5)
        for name in ("nas", "infonce", "kendall_tau"):
            assert found[name].value == pytest.approx(mg.measure(first, name)[name].value)
        assert all(v.interval is not None for k, v in found.items() if k in ("l2m", "rmg", "itr"))

    def test_large_clusters_cost_no_more(self) -> None:
        """Uniformity's jackknife of one cluster of many rows, against deleting it."""
        x = RANDOM(0).normal(size=(150, 5))
        y = RANDOM(1).normal(size=(9, 5))
        pairs = [(i, 0) for i in range(100)] + [(100 + i, 1 + i % 8) for i in range(50)]
        pair = Pair(x, y, pairs=pairs)
        value = mg.measure(pair, "uniformity_image")["uniformity_image"]

        def direct(rows: Floats) -> float:
            u = unit(rows)
            apart = ((u[:, None] - u[None]) ** 2).sum(2)
            return float(np.log(np.exp(-2 * apart)[~np.eye(len(u), dtype=bool)].mean()))

        groups = pair.clusters[0]
        left = np.array([direct(x[groups != g]) for g in range(9)])
        error = np.sqrt(8 / 9 * ((left - left.mean()) ** 2).sum())
        assert value.value == pytest.approx(direct(x), abs=1e-5)
        assert value.interval is not None
        assert value.interval[0] == pytest.approx(direct(x) - 1.959964 * error, abs=1e-4)


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
        from modalgap.evaluate.ranks import Relevant, ranks

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


def emoji(n: int = 400, captions: int = 130, d: int = 24) -> tuple[Floats, Floats, list[str]]:
    """Pictures with few captions: (n, d) images, (n, d) one text for each, and the captions."""
    random = RANDOM(5)
    content = random.normal(size=(captions, d))
    which = random.integers(0, captions, n)
    x = content[which] + 1.2 * random.normal(size=(n, d)) + 2 * np.eye(d)[0]
    y = (content + 0.8 * random.normal(size=(captions, d)) - 2 * np.eye(d)[1])[which]
    return x.astype(np.float32), y.astype(np.float32), [f"caption {i}" for i in which]


class TestRepeats:
    def test_the_numbers_of_many_images_with_few_captions(self) -> None:
        """Row by row the numbers are wrong; as matches, or by name, they are those of loops."""
        x, y, captions = emoji()
        right = {i: {j for j, c in enumerate(captions) if c == captions[i]} for i in range(len(x))}
        scores = unit(x.astype(float)) @ unit(y.astype(float)).T
        expected = {
            "image_to_text": np.mean([scores[i].argmax() in right[i] for i in right]),
            "text_to_image": np.mean(
                [scores[:, t].argmax() in right[t] for t in right if t == min(right[t])]
            ),
        }
        bare = mg.evaluate(Pair(x, y), "retrieval")
        named = Pair(Embeddings(x, "image"), Embeddings(y, "text", names=captions))
        found = mg.evaluate(named, "retrieval")
        for name, value in expected.items():
            assert found[f"retrieval.{name}_r1"].value == pytest.approx(value)
            assert bare[f"retrieval.{name}_r1"].value < value - 0.1
        distinct = sorted(set(captions), key=captions.index)
        rows = [captions.index(each) for each in distinct]
        pairs = [(i, distinct.index(caption)) for i, caption in enumerate(captions)]
        direct = mg.evaluate(Pair(x, y[rows], pairs=pairs), "retrieval")
        assert {k: v.value for k, v in direct.items()} == {k: v.value for k, v in found.items()}
        assert {k: v.interval for k, v in direct.items()} == {
            k: v.interval for k, v in found.items()
        }

    def test_what_the_result_says(self) -> None:
        x, y, captions = emoji()
        distinct = len(set(captions))
        pair = Pair(Embeddings(x, "audio"), Embeddings(y, "text", names=captions))
        result = mg.evaluate(pair, "retrieval")
        about = result.pair["repeats"]
        assert about["distinct"] == {"text": distinct}
        assert f"400 texts are {distinct} distinct ones" in about["note"]
        assert about["note"] in str(result)
        assert result.pair["fingerprint"] == pair.fingerprint  # of what was given
        assert "repeats" not in mg.evaluate(Pair(x, x), "retrieval").pair

    def test_vectors_alone_are_no_proof(self) -> None:
        """A model that has collapsed must not score 1."""
        rows = np.ones((20, 3))
        result = mg.evaluate(Pair(rows, rows), "retrieval")
        assert result["retrieval.image_to_text_r1"].value == 0
        about = result.pair["repeats"]
        assert about["unnamed"] == {"image": 19, "text": 19}
        assert "19 of 20 images have the vector of an earlier one and no names" in about["note"]
        named = Pair(
            Embeddings(rows, "image", names=[f"{i}.jpg" for i in range(20)]),
            Embeddings(rows, "text", names=[f"a text {i}" for i in range(20)]),
        )
        result = mg.evaluate(named, "retrieval")
        assert result["retrieval.image_to_text_r1"].value == 0
        assert "repeats" not in result.pair

    def test_names_alone_are_no_proof(self) -> None:
        x = RANDOM(0).normal(size=(6, 4))
        pair = Pair(
            Embeddings(x, "image", names=["1.jpg"] * 6), Embeddings(x, "text", names=["x"] * 6)
        )
        assert join_repeats(pair) is pair

    def test_several_vectors_of_one_name(self) -> None:
        """Of rows A B B A of one name there are two items."""
        a, b, c = np.eye(3)
        text = Embeddings(np.stack([a, b, b, a, c]), "text", names=["x"] * 4 + ["y"])
        found = join_repeats(Pair(RANDOM(0).normal(size=(5, 3)), text))
        assert found.text.names == ("x", "x", "y")
        assert found.pairs is not None
        assert found.pairs.tolist() == [[0, 0], [1, 1], [2, 1], [3, 0], [4, 2]]

    def test_one_text_in_two_batches(self) -> None:
        """Features of one text differ in their last digits from batch to batch."""
        y = RANDOM(0).normal(size=(3, 8)).astype(np.float32)
        rows = np.concatenate([y, y * (1 + 3e-7), y + 1e-6])
        text = Embeddings(rows, "text", names=["a", "b", "c"] * 3)
        assert join_repeats(Pair(RANDOM(1).normal(size=(9, 8)), text)).text.n == 3

    def test_factors(self) -> None:
        """Images of other factors are other items; a text is the same text whatever they are."""
        rows = np.repeat(np.eye(3), 2, 0)
        image = Embeddings(
            rows, "image", names=list("aabbcc"), factors={"size": [0, 1, 2, 2, 3, 3]}
        )
        text = Embeddings(
            rows,
            "text",
            names=list("aabbcc"),
            factors={"row": range(6), "long": [0, 0, 1, 1, 0, 0]},
        )
        found = join_repeats(Pair(image, text))
        assert found.image.names == ("a", "a", "b", "c")
        assert found.text.names == ("a", "b", "c")
        assert found.text.factors.keys() == {"long"}
        assert found.image.factors["size"].tolist() == [0, 1, 2, 3]

    def test_class_prompts_are_left_alone(self) -> None:
        text = Embeddings(np.repeat(np.eye(3), 2, 0), "text", names=list("aabbcc"))
        pair = Pair(RANDOM(0).normal(size=(8, 3)), text, labels=[0, 1, 2, 3, 4, 5, 0, 1])
        assert join_repeats(pair) is pair

    def test_one_item_only(self) -> None:
        text = Embeddings(np.ones((4, 3)), "text", names=["x"] * 4)
        with pytest.raises(errors.InputError, match="all 4 rows are one text"):
            join_repeats(Pair(RANDOM(0).normal(size=(4, 3)), text))

    @settings(max_examples=60, deadline=None)
    @given(
        names=st.lists(st.sampled_from("abcd"), min_size=3, max_size=12),
        pictures=st.lists(st.integers(0, 3), min_size=12, max_size=12),
    )
    def test_joined_matches_are_those_of_the_rows(self, names: Any, pictures: Any) -> None:
        pictures = pictures[: len(names)]
        if len(set(names)) < 2 or len(set(pictures)) < 2:
            return
        vectors = {each: RANDOM(i).normal(size=4) for i, each in enumerate("abcd")}
        image = Embeddings(
            np.stack([RANDOM(10 + i).normal(size=4) for i in pictures]), "image",
            names=[f"{i}.png" for i in pictures],
        )  # fmt: skip
        text = Embeddings(np.stack([vectors[each] for each in names]), "text", names=names)
        found = join_repeats(Pair(image, text))
        assert found.image.names is not None
        assert found.text.names is not None
        assert len(set(found.text.names)) == found.text.n == len(set(names))
        matched = {
            (found.image.names[i], found.text.names[t])
            for i, t in zip(*(index.tolist() for index in found.matches), strict=True)
        }
        assert matched == {(f"{i}.png", name) for i, name in zip(pictures, names, strict=True)}

    def test_other_text_follows(self) -> None:
        """Texts by another template, one row for each text as given."""
        x, y, captions = emoji(60, 20)
        pair = Pair(Embeddings(x, "image"), Embeddings(y, "text", names=captions))
        found = mg.evaluate(pair, "robustness", other_text=y, indexes=[])
        assert found["robustness.template_rob"].value == 1

    def test_commands(self, tmp_path: Path, run: Run) -> None:
        x, y, captions = emoji(120, 40)
        pair = Pair(Embeddings(x, "image"), Embeddings(y, "text", names=captions))
        path = mg.save(pair, tmp_path / "a.safetensors")
        distinct = len(set(captions))
        code, out, err = run("evaluate", str(path), "--only", "retrieval")
        assert code == 0, err
        assert f"120 texts are {distinct} distinct ones" in err
        code, out, err = run("preflight", str(path), "--only", "retrieval")
        assert f"120 texts are {distinct} distinct ones" in " ".join(out.split())
        code, out, err = run("compare", str(path), "--only", "center,retrieval", "--json")
        assert f"120 texts are {distinct} distinct ones" in err
        code, out, err = run("convert", "--join-repeats", str(path), str(tmp_path / "b.npz"))
        assert code == 0, err
        assert f"120 texts joined to {distinct}" in err
        again = load_any(tmp_path / "b.npz")
        assert isinstance(again, Pair)
        assert again.text.n == distinct
        assert again.matched_by == "pairs"
        assert mg.evaluate(again, "retrieval").measures.keys() >= {"retrieval.image_to_text_r1"}
        _, _, err = run("evaluate", str(tmp_path / "b.npz"), "--only", "retrieval")
        assert "distinct" not in err


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
