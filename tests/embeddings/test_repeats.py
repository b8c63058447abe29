"""Many-to-many matches and items that repeat, against plain loops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Run
from embeddings.repeat_cases import RANDOM, Floats, emoji, many_to_many, unit
from hypothesis import given, settings
from hypothesis import strategies as st

import modalgap as mg
from modalgap import errors
from modalgap.embeddings import GROUPS, Embeddings, Pair, join_repeats, pair_moments, pick_images
from modalgap.embeddings.store import load_any


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
