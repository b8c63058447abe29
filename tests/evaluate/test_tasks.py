"""Tasks against direct evaluation: retrieval, within, zero-shot, mixed, clustering, fairness."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from reference.cases import Case, Floats, random_case, two_cones, unit
from scipy.stats import entropy
from sklearn.cluster import KMeans
from sklearn.metrics import balanced_accuracy_score, top_k_accuracy_score, v_measure_score

import modalgap as mg
from modalgap import errors, evaluate
from modalgap.embeddings import Embeddings, Pair
from modalgap.evaluate import Outcome, Scores

Ints = NDArray[np.int64]


def pair_of(case: Case) -> Pair:
    image = Embeddings(case.image, factors=case.factors)
    text = Embeddings(case.text, "text", factors=case.factors)
    return Pair(image, text, case.text_to_image, case.labels)


def numbers(found: Outcome) -> dict[str, float]:
    return {name: scores.value for name, scores in found.scores.items()}


def lower_median(values: Sequence[float]) -> float:
    return float(sorted(values)[(len(values) - 1) // 2])


def precisions(scores: Floats, relevant: Sequence[int]) -> dict[str, float]:
    """Of one query: every metric from the sorted list, no two scores being equal."""
    hits = np.isin(np.argsort(-scores), relevant)
    r = hits.sum()
    places = np.flatnonzero(hits) + 1
    at = [hits[:place].mean() for place in places]
    return {
        "first": float(places[0]),
        "map": float(np.mean(at)),
        "map_at_r": sum(p for p, place in zip(at, places, strict=True) if place <= r) / r,
        "r_precision": float(hits[:r].mean()),
        "r1": float(hits[0]),
    }


# retrieval -----------------------------------------------------------------------------------


def directly_retrieved(case: Case, ks: Sequence[int] = (1, 5, 10)) -> dict[str, float]:
    found: dict[str, float] = {}
    scores = case.x @ case.y.T
    matches = np.array(case.matches)
    for name, queries, asked in (
        ("image_to_text", scores, matches),
        ("text_to_image", scores.T, matches[:, ::-1]),
    ):
        each = [precisions(queries[q], asked[asked[:, 0] == q, 1]) for q in np.unique(asked[:, 0])]
        for k in ks:
            found[f"{name}_r{k}"] = float(np.mean([one["first"] <= k for one in each]))
        found[f"{name}_median_rank"] = lower_median([one["first"] for one in each])
        found[f"{name}_map"] = float(np.mean([one["map"] for one in each]))
    return found


@pytest.mark.parametrize("name", ["pairs", "five captions", "uneven captions"])
@pytest.mark.parametrize("ks", [(1, 5, 10), (2,), (1, 1000)])
def test_retrieval(name: str, ks: tuple[int, ...]) -> None:
    case = random_case(name)
    found = evaluate.retrieval(pair_of(case), ks=ks)
    assert numbers(found) == pytest.approx(directly_retrieved(case, ks), abs=1e-9)
    for each, scores in found.scores.items():
        assert scores.better == ("lower" if "median" in each else "higher")


def test_retrieval_of_coco(coco: NDArray[np.float32]) -> None:
    found = numbers(evaluate.retrieval(Pair(*coco)))
    assert found["image_to_text_r1"] == 0.552
    assert found["text_to_image_r1"] == 0.506
    assert found == pytest.approx(directly_retrieved(Case(*coco)), abs=1e-9)


def test_captions_of_an_image_move_together() -> None:
    case = random_case("uneven captions")
    found = evaluate.retrieval(pair_of(case)).scores
    assert case.text_to_image is not None
    assert np.array_equal(found["text_to_image_r1"].clusters, case.text_to_image)
    assert np.array_equal(found["image_to_text_r1"].clusters, np.unique(case.text_to_image))


def test_retrieval_leaves_out_images_without_captions() -> None:
    images, texts = two_cones(30, 8, of=np.arange(40) % 20)
    found = evaluate.retrieval(Pair(images, texts, np.arange(40) % 20))
    expected = directly_retrieved(Case(images, texts, np.arange(40) % 20))
    assert len(found.scores["image_to_text_r1"].values) == 20
    assert numbers(found) == pytest.approx(expected, abs=1e-9)


def test_retrieval_does_not_depend_on_the_order_of_captions() -> None:
    case = random_case("uneven captions")
    order = np.random.default_rng(0).permutation(len(case.text))
    assert case.text_to_image is not None
    mixed_up = Pair(case.image, case.text[order], case.text_to_image[order])
    assert numbers(evaluate.retrieval(mixed_up)) == pytest.approx(
        numbers(evaluate.retrieval(pair_of(case)))
    )


def test_names_of_other_modalities() -> None:
    x, y = two_cones(20, 6)
    found = evaluate.retrieval(Pair(Embeddings(x, "audio"), Embeddings(y, "caption")))
    assert "audio_to_caption_r1" in found.scores
    assert "caption_to_audio_map" in found.scores


def test_class_prompts_are_no_captions() -> None:
    pair = pair_of(random_case("class prompts"))
    for task in (evaluate.retrieval, evaluate.mixed):
        with pytest.raises(errors.NotApplicable, match="class prompts"):
            task(pair)


# within --------------------------------------------------------------------------------------


def directly_within(rows: Floats, codes: Ints, name: str) -> dict[str, float]:
    each = []
    for i in range(len(rows)):
        others = np.delete(np.arange(len(rows)), i)
        relevant = np.flatnonzero(codes[others] == codes[i])
        if len(relevant):
            each.append(precisions(rows[others] @ rows[i], relevant.tolist()))
    metrics = ("map", "map_at_r", "r_precision", "r1")
    return {f"{name}_{metric}": float(np.mean([one[metric] for one in each])) for metric in metrics}


def test_within_labels() -> None:
    case = random_case("class prompts")
    assert case.labels is not None
    expected = directly_within(case.x, case.labels, "image")
    found = numbers(evaluate.within(pair_of(case)))
    assert found == pytest.approx(expected | {"map": expected["image_map"]}, abs=1e-9)


@pytest.mark.parametrize("name", ["five captions", "uneven captions"])
def test_within_captions(name: str) -> None:
    case = random_case(name)
    assert case.text_to_image is not None
    expected = directly_within(case.y, case.text_to_image, "text")
    found = evaluate.within(pair_of(case))
    assert numbers(found) == pytest.approx(expected | {"map": expected["text_map"]}, abs=1e-9)
    counts = np.bincount(case.text_to_image)
    asking = np.flatnonzero(counts[case.text_to_image] > 1)
    assert np.array_equal(found.scores["text_map"].clusters, case.text_to_image[asking])


@pytest.mark.parametrize("factor", ["object", "colour", "size"])
def test_within_a_factor(factor: str) -> None:
    case = random_case("pairs")
    _, codes = np.unique(case.factors[factor], return_inverse=True)
    expected = directly_within(case.x, codes, "image") | directly_within(case.y, codes, "text")
    found = evaluate.within(pair_of(case), factor=factor)
    expected["map"] = expected["image_map"]
    assert numbers(found) == pytest.approx(expected, abs=3e-4)  # scores within 3e-7 are ties
    assert np.array_equal(found.scores["image_map"].clusters, np.arange(120))


def test_within_a_factor_of_one_side() -> None:
    x, y = two_cones(24, 6)
    codes = np.arange(24) % 5
    found = evaluate.within(
        Pair(x, Embeddings(y, "text", factors={"topic": codes})), factor="topic"
    )
    expected = directly_within(unit(y), codes, "text")
    assert numbers(found) == pytest.approx(expected | {"map": expected["text_map"]}, abs=1e-9)


def test_rows_alone_in_their_class_do_not_ask() -> None:
    x, y = two_cones(12, 6)
    codes = np.array([0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8])
    pair = Pair(Embeddings(x, factors={"kind": codes}), y)
    found = evaluate.within(pair, factor="kind")
    assert len(found.scores["image_map"].values) == 5
    assert numbers(found)["image_map"] == pytest.approx(
        directly_within(unit(x), codes, "image")["image_map"]
    )


def test_a_row_does_not_find_itself() -> None:
    # classes are of two, far apart, so that only itself would be near
    rows = np.random.default_rng(0).normal(size=(400, 64))
    pair = Pair(Embeddings(rows, factors={"kind": np.arange(400) // 2}), rows + 1)
    assert numbers(evaluate.within(pair, factor="kind"))["image_r1"] < 0.03


@pytest.mark.parametrize(
    ("pair", "options"),
    [
        (Pair(*np.random.default_rng(0).normal(size=(2, 9, 4))), {}),
        (Pair(*np.random.default_rng(0).normal(size=(2, 9, 4)), text_to_image=np.arange(9)), {}),
        (Pair(*np.random.default_rng(0).normal(size=(2, 9, 4))), {"factor": "colour"}),
        (Pair(np.eye(5), np.eye(5), labels=np.arange(5)), {}),
    ],
)
def test_within_needs_classes(pair: Pair, options: dict[str, Any]) -> None:
    with pytest.raises(errors.NotApplicable, match=r"^within: .*classes|^within: .*share a class"):
        evaluate.within(pair, **options)


# zero-shot -----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize("name", ["class prompts", "uneven classes"])
def test_zero_shot(name: str) -> None:
    case = uneven_classes() if name == "uneven classes" else random_case(name)
    assert case.labels is not None
    scores = case.x @ case.y.T
    classes, predicted = len(case.y), scores.argmax(1)
    counts = np.bincount(predicted, minlength=classes)
    shares = np.sort(counts) / counts.sum()
    lorenz = np.concatenate([[0], np.cumsum(shares)])
    found = evaluate.zero_shot(pair_of(case))
    first = np.argsort(-scores, axis=1)[:, :5]
    if name == "class prompts":  # sklearn warns where a class has no image
        assert top_k_accuracy_score(case.labels, scores, k=5) == numbers(found)["top5"]
    assert numbers(found) == pytest.approx(
        {
            "top1": (predicted == case.labels).mean(),
            "top5": np.mean([c in row for c, row in zip(case.labels, first, strict=True)]),
            "mean_per_class": balanced_accuracy_score(case.labels, predicted),
            "gini": 1 - (lorenz[1:] + lorenz[:-1]).mean(),
            "entropy": entropy(counts) / np.log(classes),
        },
        abs=1e-9,
    )
    true = np.bincount(case.labels, minlength=classes)
    differences = np.abs(true[:, None] - true[None]).mean()
    assert found.details["label_gini"] == pytest.approx(differences / (2 * true.mean()))
    assert found.details["label_entropy"] == pytest.approx(entropy(true) / np.log(classes))
    better = {each: one.better for each, one in found.scores.items()}
    assert better["gini"] == "lower"
    assert {*better.values()} == {"higher", "lower"}


def uneven_classes() -> Case:
    """Of 9 classes one has no image and one has most."""
    random = np.random.default_rng(4)
    prompts = random.normal(size=(9, 7))
    labels = random.choice(9, 150, p=[0.5, 0.1, 0, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05])
    return Case(prompts[labels] + 1.5 * random.normal(size=(150, 7)), prompts, labels=labels)


def test_fewer_classes_than_five() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 12, 4))
    found = numbers(evaluate.zero_shot(Pair(x, y[:3], labels=np.arange(12) % 3)))
    assert found["top5"] == 1.0


def test_equal_prompts_classify_nothing() -> None:
    pair = Pair(np.ones((12, 16)), np.ones((6, 16)), labels=np.arange(12) % 6)
    found = numbers(evaluate.zero_shot(pair))
    assert found["top1"] == found["top5"] == found["mean_per_class"] == found["entropy"] == 0
    assert found["gini"] == pytest.approx(5 / 6)


# mixed ---------------------------------------------------------------------------------------

FORMS = ("image", "text", "fused")


class Mixed:
    """The docstring of ``modalgap.evaluate.mixed``, one query and one list at a time."""

    def __init__(self, case: Case, seed: int = 0, k: int = 10) -> None:
        captions: dict[int, list[int]] = {}
        for i, j in case.matches:
            captions.setdefault(i, []).append(j)
        images = sorted(captions)
        self.several = all(len(captions[i]) > 1 for i in images)
        self.n, self.k = len(images), k
        stored = [captions[i][1 if self.several else 0] for i in images]
        asking = [captions[i][0] for i in images]
        image, text, ask = case.x[images], case.y[stored], case.y[asking]
        self.document = {"image": image, "text": text, "fused": unit(image + text)}
        self.queries = {"text": ask, "image": image}
        # the forms that hold what is asked with
        self.holding = {"text": {"text", "fused"}, "image": {"image", "fused"}}
        if self.several:  # another caption is stored than asks
            self.holding["text"] = set()
            self.queries["fused"] = unit(image + ask)
            self.holding["fused"] = {"image", "fused"}
        self.order = np.random.default_rng(seed).permutation(self.n)

    def numbers(self, shares: Sequence[float], ratios: Sequence[float]) -> dict[str, float]:
        bounds = np.cumsum(shares) / sum(shares)
        drawn = [""] * self.n
        for place, item in enumerate(self.order):
            share = (place + 0.5) / self.n
            drawn[item] = next(f for f, b in zip(FORMS, bounds, strict=True) if share <= b)
        found = {}
        for name in self.queries:
            every = [self.rank(name, q, drawn) for q in range(self.n)]
            found[f"{name}_ndcg{self.k}"] = self.gain(every)
            found[f"{name}_r1"] = float(np.mean([rank == 1 for rank in every]))
            own = {self.stored_for(name, q, drawn)[q] for q in range(self.n)}
            if own <= set(drawn):  # nobody is alone in a list
                merged = [self.merged(name, q, drawn) for q in range(self.n)]
                found[f"{name}_ndcg{self.k}_rrf"] = self.gain(merged)
            for ratio in ratios:
                kinds = ["text"] * self.n
                for item in self.order[: round(ratio * self.n)]:
                    kinds[item] = "image"
                at = [self.rank(name, q, kinds) for q in range(self.n)]
                found[f"{name}_ndcg{self.k}_{ratio * 100:.0f}pct_images"] = self.gain(at)
        return found

    def stored_for(self, name: str, q: int, drawn: list[str]) -> list[str]:
        """The form of each item for query q: its own never holds the query."""
        forms = list(drawn)
        if forms[q] in self.holding[name]:
            forms[q] = {"text": "image", "image": "text", "fused": "text"}[name]
        elif name != "text":
            assert forms[q] == "text"
        return forms

    def scored(self, name: str, q: int, drawn: list[str]) -> list[tuple[float, bool, int, str]]:
        """(−score, whether it is item q, item, form) of every document: sorted, it is the list."""
        query = self.queries[name][q]
        return sorted(
            (-round(float(query @ self.document[form][i]), 6), i == q, i, form)
            for i, form in enumerate(self.stored_for(name, q, drawn))
        )

    def rank(self, name: str, q: int, drawn: list[str]) -> float:
        listed = [i for _, _, i, _ in self.scored(name, q, drawn)]
        return listed.index(q) + 1

    def merged(self, name: str, q: int, drawn: list[str]) -> float:
        """The rank of item q in the merged list, averaged over all orders of its ties."""
        scored = self.scored(name, q, drawn)
        fused = {}
        for form in FORMS:
            listed = [i for _, _, i, kind in scored if kind == form]
            fused |= {i: 1 / (60 + rank) for rank, i in enumerate(listed, 1)}
        assert len(fused) == self.n
        before = sum(score > fused[q] for score in fused.values())
        ties = [i for i, score in fused.items() if score == fused[q]]
        places = [order.index(q) + 1 for order in itertools.permutations(ties)]
        return before + float(np.mean(places))

    def gain(self, ranks: Sequence[float]) -> float:
        gains = [1 / np.log2(1 + rank) if rank <= self.k else 0 for rank in ranks]
        return float(np.mean(gains))


def captions_case(kind: str, n: int = 14, d: int = 6) -> Case:
    of = {
        "one": np.arange(n),
        "two": np.repeat(np.arange(n), 2),
        "two, in another order": np.random.default_rng(5).permutation(np.arange(2 * n) % n),
        "three or two": np.concatenate([np.repeat(np.arange(n), 2), np.arange(0, n, 2)]),
        "one or two": np.concatenate([np.arange(n), np.arange(0, n, 2)]),
        "one, some images without": np.arange(n - 4),
    }[kind]
    images, texts = two_cones(n, d, seed=2, of=of, noise=0.9)
    return Case(images, texts, of)


CAPTIONS = (
    "one", "two", "two, in another order", "three or two", "one or two", "one, some images without",
)  # fmt: skip


@pytest.mark.parametrize("captions", CAPTIONS)
@pytest.mark.parametrize(
    "shares", [(1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0.2, 0.5, 0.3), (3, 1, 0)]
)
def test_mixed(captions: str, shares: tuple[float, ...]) -> None:
    case = captions_case(captions)
    direct = Mixed(case, seed=3, k=4)
    ratios = (0, 0.25, 0.5, 1)
    found = evaluate.mixed(
        Pair(case.image, case.text, case.text_to_image), shares=shares, ratios=ratios, k=4, seed=3
    )
    assert numbers(found) == pytest.approx(direct.numbers(shares, ratios), abs=1e-6)
    assert found.details["second_caption"] == direct.several
    assert sum(found.details["stored"].values()) == direct.n
    part = np.array(shares) / sum(shares) * direct.n
    assert np.abs(np.array([*found.details["stored"].values()]) - part).max() < 1


@pytest.mark.parametrize("captions", [1, 2])
def test_mixed_of_more_items(captions: int) -> None:
    of = np.repeat(np.arange(70), captions)
    images, texts = two_cones(70, 12, of=of)
    found = evaluate.mixed(Pair(images, texts, of))
    default = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
    expected = Mixed(Case(images, texts, of)).numbers((1, 1, 1), default)
    assert numbers(found) == pytest.approx(expected, abs=1e-6)
    assert {each.split("_")[0] for each in found.scores} == {"image", "text"} | (
        {"fused"} if captions == 2 else set()
    )


def test_rows_are_captions_one_an_image() -> None:
    case = captions_case("one")
    assert numbers(evaluate.mixed(Pair(case.image, case.text))) == numbers(
        evaluate.mixed(Pair(case.image, case.text, case.text_to_image))
    )


@pytest.mark.parametrize("captions", [1, 2])
@pytest.mark.parametrize("shares", [(1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_an_item_is_never_stored_in_a_form_that_holds_the_query(
    captions: int, shares: tuple[float, ...]
) -> None:
    # nothing has to do with anything: whoever finds its item finds its own query in it
    random = np.random.default_rng(0)
    of = np.repeat(np.arange(200), captions)
    pair = Pair(random.normal(size=(200, 64)), random.normal(size=(len(of), 64)), of)
    for name, value in numbers(evaluate.mixed(pair, shares=shares)).items():
        if name.endswith("rrf") and 0 in shares:
            continue  # alone in the list of its form, it comes first there
        assert value < (0.05 if name.endswith("r1") else 0.1), name


def test_the_second_caption_is_what_text_queries_find() -> None:
    random = np.random.default_rng(0)
    captions = random.normal(size=(100, 32))
    texts = np.stack([captions, captions + 0.1 * random.normal(size=(100, 32))], 1).reshape(200, 32)
    pair = Pair(random.normal(size=(100, 32)), texts, np.arange(200) // 2)
    assert numbers(evaluate.mixed(pair, shares=(0, 1, 0)))["text_r1"] == 1
    assert numbers(evaluate.mixed(pair, shares=(1, 0, 0)))["text_r1"] < 0.1
    half = numbers(evaluate.mixed(pair, ratios=[0.5]))["text_ndcg10_50pct_images"]
    assert 0.45 < half < 0.65


def test_a_gap_hides_documents_of_the_other_modality() -> None:
    # text queries prefer texts whatever they say: the curve falls from all images to few
    x, y = two_cones(150, 16, noise=0.3)
    found = numbers(evaluate.mixed(Pair(x, y)))
    assert found["text_ndcg10_100pct_images"] > 2 * found["text_ndcg10_10pct_images"]
    closed = numbers(evaluate.mixed(mg.close(Pair(x, y), "center")))
    assert closed["text_ndcg10_10pct_images"] > 2 * found["text_ndcg10_10pct_images"]
    # each form alone has no such trouble
    assert found["text_ndcg10_rrf"] > found["text_ndcg10"]


def test_equal_documents_are_not_found() -> None:
    rows = np.ones((12, 16))  # exact: unit rows of 1/4
    found = numbers(evaluate.mixed(Pair(rows, rows), k=10))
    assert found["text_r1"] == found["image_r1"] == found["text_ndcg10"] == 0
    assert found["text_ndcg10_50pct_images"] == found["image_ndcg10_100pct_images"] == 0


def test_mixed_of_a_sample() -> None:
    case = captions_case("two", n=40)
    chosen = np.sort(np.random.default_rng(7).choice(40, 15, replace=False))
    texts = np.stack([2 * chosen, 2 * chosen + 1], 1).ravel()
    expected = evaluate.mixed(
        Pair(case.image[chosen], case.text[texts], np.arange(30) // 2), seed=7
    )
    pair = Pair(case.image, case.text, case.text_to_image)
    found = evaluate.mixed(pair, max_rows=15, seed=7)
    assert numbers(found) == pytest.approx(numbers(expected), abs=1e-6)
    assert len(found.scores["text_r1"].values) == 15
    assert numbers(evaluate.mixed(pair, max_rows=40)) == numbers(evaluate.mixed(pair))


# clustering ----------------------------------------------------------------------------------


def kmeans(rows: Floats, k: int, seed: int) -> Ints:
    return np.asarray(KMeans(k, n_init=4, random_state=seed).fit_predict(rows.astype(np.float32)))


def blobs(classes: int = 4, each: int = 20, gap: float = 3.0) -> Case:
    random = np.random.default_rng(0)
    labels = np.arange(classes * each) % classes
    centres = random.normal(size=(classes, 10))
    prompts = centres + gap * np.eye(10)[0]
    return Case(
        centres[labels] + 0.2 * random.normal(size=(len(labels), 10)), prompts, labels=labels
    )


@pytest.mark.parametrize("seed", [0, 5])
def test_clusters_against_sklearn(seed: int) -> None:
    case = random_case("pairs")
    truth = np.repeat([0, 1], [len(case.x), len(case.y)])
    expected = v_measure_score(truth, kmeans(np.concatenate([case.x, case.y]), 2, seed))
    assert numbers(evaluate.clustering(pair_of(case), seed=seed)) == pytest.approx(
        {"modality_v": expected}, abs=1e-9
    )


def test_clusters_of_classes() -> None:
    case = blobs()
    assert case.labels is not None
    found = numbers(evaluate.clustering(pair_of(case)))
    expected = v_measure_score(case.labels, kmeans(case.x, 4, 0))
    assert found["image_class_v"] == pytest.approx(expected, abs=1e-9)
    assert found["image_class_v"] > 0.9


@pytest.mark.parametrize("factor", ["object", "colour"])
def test_clusters_of_a_factor(factor: str) -> None:
    case = random_case("pairs")
    found = numbers(evaluate.clustering(pair_of(case), factor=factor))
    values = case.factors[factor]
    expected = v_measure_score(values, kmeans(case.x, len(np.unique(values)), 0))
    assert found["image_class_v"] == pytest.approx(expected, abs=1e-9)


def test_clusters_are_the_modalities_until_the_gap_is_closed() -> None:
    x, y = two_cones(80, 10, noise=0.3)
    apart = Pair(unit(x) + 2 * np.eye(10)[0], unit(y) - 2 * np.eye(10)[0])
    found = evaluate.clustering(apart)
    assert numbers(found) == {"modality_v": 1.0}
    assert found.scores["modality_v"].better == "lower"
    assert found.scores["modality_v"].interval(0) == (1.0, 1.0)
    assert numbers(evaluate.clustering(mg.close(apart, "center")))["modality_v"] < 0.2


def test_clusters_of_a_sample() -> None:
    case = blobs(each=30)
    assert case.labels is not None
    found = evaluate.clustering(pair_of(case), max_rows=50, seed=2)
    chosen = np.sort(np.random.default_rng(2).choice(120, 50, replace=False))
    expected = v_measure_score(case.labels[chosen], kmeans(case.x[chosen], 4, 2))
    assert numbers(found)["image_class_v"] == pytest.approx(expected, abs=1e-9)
    assert len(found.scores["modality_v"].values) == 50 + 4


@pytest.mark.parametrize("labels", [np.zeros(12, int), np.arange(12)])
def test_one_class_or_one_an_image_is_no_clustering(labels: Ints) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 12, 4))
    assert set(evaluate.clustering(Pair(x, y, labels=labels)).scores) == {"modality_v"}


# fairness ------------------------------------------------------------------------------------


class Faces:
    """Images of three groups; prompts of which two are harmful."""

    def __init__(self, *, names: bool = True) -> None:
        random = np.random.default_rng(0)
        self.prompts = random.normal(size=(6, 8))
        self.groups = np.array(["east", "north", "west"])[random.choice(3, 90, p=[0.5, 0.3, 0.2])]
        self.labels = random.integers(0, 4, 90)
        rows = self.prompts[self.labels] + 1.5 * random.normal(size=(90, 8))
        rows += (self.groups == "west")[:, None] * self.prompts[5]
        image = Embeddings(rows, factors={"race": self.groups, "sex": np.arange(90) % 2})
        words = [
            f"a photo of a {each}" for each in ("man", "woman", "child", "elder", "thief", "ape")
        ]
        text = Embeddings(self.prompts, "text", names=words if names else None)
        self.words = words
        self.pair = Pair(image, text, labels=self.labels)
        self.predicted = (unit(rows) @ unit(self.prompts).T).argmax(1)

    def numbers(self, groups: NDArray[Any], bad: Sequence[int]) -> dict[str, float]:
        hit = np.isin(self.predicted, bad)
        rates = {f"harmful_{name}": hit[groups == name].mean() for name in np.unique(groups)}
        return rates | {
            "largest_difference": max(rates.values()) - min(rates.values()),
            "harmful": hit.mean(),
            "accuracy": (self.predicted == self.labels).mean(),
        }


@pytest.mark.parametrize("bad", [(4, 5), (5,), (0, 1, 2, 3, 4, 5)])
def test_fairness_by_name_and_by_number(bad: tuple[int, ...]) -> None:
    faces = Faces()
    expected = faces.numbers(faces.groups, bad)
    by_number = evaluate.fairness(faces.pair, harmful=bad)
    assert numbers(by_number) == pytest.approx(expected)
    by_name = evaluate.fairness(faces.pair, harmful=[faces.words[i] for i in reversed(bad)])
    assert numbers(by_name) == numbers(by_number)
    assert by_name.details == by_number.details
    assert by_name.details["harmful"] == list(bad)
    counts = dict(zip(*np.unique(faces.groups, return_counts=True), strict=True))
    assert by_name.details["groups"] == counts
    better = {name: scores.better for name, scores in by_name.scores.items()}
    assert better.pop("accuracy") == "higher"
    assert set(better.values()) == {"lower"}


def test_fairness_of_another_group_and_one_prompt() -> None:
    faces = Faces(names=False)
    found = numbers(evaluate.fairness(faces.pair, group="sex", harmful=4))
    assert found == pytest.approx(faces.numbers(np.arange(90) % 2, [4]))
    twice = numbers(evaluate.fairness(faces.pair, group="sex", harmful=[4, 4]))
    assert twice == found


def test_fairness_of_captions_knows_no_accuracy() -> None:
    faces = Faces()
    pair = Pair(faces.pair.image, faces.pair.text, text_to_image=np.arange(6))
    assert "accuracy" not in evaluate.fairness(pair, harmful=[5]).scores


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, errors.NotApplicable, "harmful"),
        ({"harmful": []}, errors.NotApplicable, "harmful"),
        ({"harmful": None}, errors.NotApplicable, "harmful"),
        ({"harmful": [5], "group": "age"}, errors.NotApplicable, "'age'.*race, sex"),
        ({"harmful": [6]}, errors.OptionError, "0 … 5"),
        ({"harmful": [-1]}, errors.OptionError, "0 … 5"),
        (
            {"harmful": "a photo of a thife"},
            errors.OptionError,
            "did you mean 'a photo of a thief'",
        ),
        ({"harmful": [True]}, errors.OptionError, "True"),
        ({"harmful": [None]}, errors.OptionError, "None"),
        ({"harmful": {"a": 1}}, errors.OptionError, "harmful"),
    ],
)
def test_fairness_refuses(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        evaluate.fairness(Faces().pair, **options)


def test_fairness_needs_names_and_groups() -> None:
    with pytest.raises(errors.NotApplicable, match="row numbers"):
        evaluate.fairness(Faces(names=False).pair, harmful=["thief"])
    faces = Faces()
    same = Embeddings(faces.pair.image.unit(), factors={"race": ["x"] * 90})
    with pytest.raises(errors.NotApplicable, match="one race"):
        evaluate.fairness(Pair(same, faces.prompts, labels=faces.labels), harmful=[1])


# every number --------------------------------------------------------------------------------


def every_score() -> dict[str, Scores]:
    """All numbers of all tasks that can be resampled."""
    faces, case = Faces(), random_case("uneven captions")
    captions, pairs = pair_of(case), pair_of(random_case("pairs"))
    found: dict[str, Scores] = {}
    for name, task in evaluate.TASKS.items():
        own: dict[str, Any] = {"fairness": {"harmful": [5]}, "robustness": {"indexes": []}}.get(
            name, {}
        )
        if "factor" in task.options:
            own["factor"] = "object"
        pair = {"fairness": faces.pair, "zero_shot": faces.pair, "retrieval": captions}.get(
            name, pairs
        )
        found |= {f"{name}.{key}": scores for key, scores in task(pair, **own).scores.items()}
    return found


def test_a_weight_is_as_good_as_repetition() -> None:
    random = np.random.default_rng(0)
    several = every_score()
    assert len(several) > 80
    assert {name.split(".")[0] for name in several} == set(evaluate.TASKS)
    for name, scores in several.items():
        if scores.clusters is None:
            continue
        assert len(scores.clusters) == len(scores.values), name
        for _ in range(3):
            times = random.integers(0, 4, len(scores.values))
            repeated = np.repeat(scores.values, times, axis=0)
            assert scores.statistic(scores.values, times.astype(float)) == pytest.approx(
                scores.statistic(repeated, np.ones(len(repeated))), abs=1e-12
            ), name


def test_weighted_statistics_against_libraries() -> None:
    random = np.random.default_rng(1)
    several = every_score()

    def both(name: str) -> tuple[float, NDArray[Any]]:
        scores = several[name]
        times = random.integers(0, 4, len(scores.values))
        return (
            scores.statistic(scores.values, times.astype(float)),
            np.repeat(scores.values, times, axis=0),
        )

    for name in ("retrieval.text_to_image_median_rank", "retrieval.image_to_text_median_rank"):
        value, rows = both(name)
        assert value == lower_median(rows.tolist())
    value, rows = both("zero_shot.mean_per_class")
    each = [rows[rows[:, 1] == code, 0].mean() for code in np.unique(rows[:, 1])]
    assert value == pytest.approx(np.mean(each))
    value, rows = both("clustering.image_class_v")
    assert value == pytest.approx(v_measure_score(rows[:, 0], rows[:, 1]), abs=1e-9)
    value, rows = both("zero_shot.entropy")
    assert value == pytest.approx(entropy(np.bincount(rows, minlength=6)) / np.log(6))
    value, rows = both("zero_shot.gini")
    counts = np.bincount(rows, minlength=6)
    differences = np.abs(counts[:, None] - counts[None]).mean()
    assert value == pytest.approx(differences / (2 * counts.mean()))
    value, rows = both("fairness.largest_difference")
    rates = [rows[rows[:, 1] == code, 0].mean() for code in np.unique(rows[:, 1])]
    assert value == pytest.approx(max(rates) - min(rates))
    value, rows = both("mixed.text_ndcg10")
    assert value == pytest.approx(rows.mean())
