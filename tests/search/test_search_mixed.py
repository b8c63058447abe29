"""Protocol mixed: several modalities in one list, against one query and one list at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from reference.cases import two_cones, unit
from search.cases import details, numbers

import modalgap as mg
from modalgap import errors
from modalgap.close import ScoreScaler
from modalgap.embeddings import Embeddings, Pair
from modalgap.search import search

N, D, K = 30, 6, 10


def pair_of(classes: NDArray[Any] | None = None, captions: int = 2) -> Pair:
    of = np.repeat(np.arange(N), captions)
    x, y = two_cones(N, D, of=of, noise=0.8)
    known = {} if classes is None else {"kind": classes}
    texts = {} if classes is None else {"kind": classes[of]}
    return Pair(Embeddings(x, factors=known), Embeddings(y, "text", factors=texts), of)


class Direct:
    """The docstring of modalgap.search.mixed, one query at a time."""

    def __init__(self, pair: Pair, asks: int, classes: list[NDArray[Any]]) -> None:
        self.rows = [unit(side.unit().numpy().astype(np.float64)) for side in pair.sides]
        self.names = [side.modality for side in pair.sides]
        self.asks, self.classes = asks, classes
        self.documents = [(f, i) for f in (0, 1) for i in range(len(self.rows[f]))]

    def scales(self) -> list[tuple[float, float]]:
        found = []
        q = self.rows[self.asks]
        for x in self.rows:
            cov_q, cov_x, mean_q, mean_x = np.cov(q.T), np.cov(x.T), q.mean(0), x.mean(0)
            variance = np.trace(cov_q @ cov_x) + mean_x @ cov_q @ mean_x + mean_q @ cov_x @ mean_q
            found.append((mean_q @ mean_x, np.sqrt(variance)))
        return found

    def ndcg(self, ranks: list[float], count: int) -> float:
        gain = sum(1 / np.log2(rank + 1) for rank in ranks if rank <= K)
        return gain / sum(1 / np.log2(rank + 1) for rank in range(1, min(count, K) + 1))

    def numbers(self) -> dict[str, float]:
        found: dict[str, list[float]] = {}
        for q in range(len(self.rows[self.asks])):
            own = self.classes[self.asks][q]
            others = [each for each in self.documents if each != (self.asks, q)]
            right = {(f, i) for f, i in others if self.classes[f][i] == own}
            if not right:
                continue
            raw = {(f, i): self.rows[self.asks][q] @ self.rows[f][i] for f, i in others}
            scales = self.scales()
            standard = {(f, i): (s - scales[f][0]) / scales[f][1] for (f, i), s in raw.items()}
            for end, scores in (("", raw), ("_zscore", standard)):
                listed = sorted(others, key=lambda each, s=scores: -s[each])
                ranks = [rank for rank, each in enumerate(listed, 1) if each in right]
                across = [e for e in listed if not (e in right and e[0] == self.asks)]
                far = [rank for rank, each in enumerate(across, 1) if each in right]
                found.setdefault(f"ndcg10{end}", []).append(self.ndcg(ranks, len(ranks)))
                found.setdefault(f"r1{end}", []).append(float(ranks[0] == 1))
                if far:
                    found.setdefault(f"ndcg10_across{end}", []).append(self.ndcg(far, len(far)))
                for f, name in enumerate(self.names):
                    share = np.mean([each[0] == f for each in listed[:K]])
                    found.setdefault(f"share10_{name}{end}", []).append(float(share))
            merged = {}
            for f in (0, 1):
                own_list = sorted((e for e in others if e[0] == f), key=lambda e: -raw[e])
                merged |= {each: rank for rank, each in enumerate(own_list, 1)}
            ranks = []
            for each in right:
                before = sum(rank < merged[each] for rank in merged.values())
                level = sum(rank == merged[each] for rank in merged.values())
                ranks.append(before + 1 + (level - 1) / 2)
            found.setdefault("ndcg10_rrf", []).append(self.ndcg(ranks, len(ranks)))
            for name in self.names:
                found.setdefault(f"share10_{name}_rrf", []).append(0.5)
        return {name: float(np.mean(values)) for name, values in found.items()}


@pytest.mark.parametrize("asks", [0, 1])
@pytest.mark.parametrize("by", ["items", "classes"])
def test_against_loops(by: str, asks: int) -> None:
    of = np.repeat(np.arange(N), 2)
    kinds = np.arange(N) % 7
    pair = pair_of(kinds if by == "classes" else None)
    classes = [kinds, kinds[of]] if by == "classes" else [np.arange(N), of]
    found = search(pair.sides[asks], pair, "mixed")
    assert numbers(found) == pytest.approx(Direct(pair, asks, classes).numbers(), abs=1e-6)
    assert details(found)["classes_by"] == ("kind" if by == "classes" else "items")
    assert details(found)["fractions"] == {"image": 1 / 3, "text": 2 / 3}


def test_images_of_one_concept_are_relevant_to_images() -> None:
    """Judged both ways: standardised scores lift what is relevant across, and may cost within."""
    kinds = np.arange(N) % 7
    pair = pair_of(kinds)
    found = numbers(search(pair.image, pair, "mixed", factor="kind"))
    assert found["ndcg10_across_zscore"] > found["ndcg10_across"]
    assert found["ndcg10"] != found["ndcg10_across"]
    assert found["share10_image"] > found["share10_image_zscore"]


def test_a_scaler_that_was_fitted_before() -> None:
    pair = pair_of()
    scaler = ScoreScaler.fit(pair, "pairs")
    found = numbers(search(pair.text, pair, "mixed", scaler=scaler))
    plain = numbers(search(pair.text, pair, "mixed"))
    assert found["ndcg10"] == plain["ndcg10"]
    assert found["share10_image_zscore"] != plain["share10_image_zscore"]
    closed = mg.close(pair, "center")
    with pytest.raises(errors.InputError, match="score scaler was fitted on, closed none"):
        search(closed.text, closed, "mixed", scaler=scaler)
    with pytest.raises(errors.OptionError, match="scaler: is for protocol mixed; got"):
        search(pair.text, pair, "split", scaler=scaler)
    other = ScoreScaler.fit({"image": pair.image})
    with pytest.raises(errors.OptionError, match="unknown modality of queries 'text'"):
        search(pair.text, pair, "mixed", scaler=other)


def test_queries_of_another_file_are_known_by_name_or_by_class() -> None:
    x, y = two_cones(N, D)
    names = [f"n{i}" for i in range(N)]
    pair = Pair(Embeddings(x, names=names), Embeddings(y, "text", names=names))
    same = search(pair.image, pair, "mixed")
    copy = Embeddings(x[::-1].copy(), names=names[::-1])
    assert numbers(search(copy, pair, "mixed")) == pytest.approx(numbers(same), abs=1e-9)
    stranger = Embeddings(x + 0.1, names=[f"m{i}" for i in range(N)])
    with pytest.raises(errors.NotApplicable, match="no query is a row"):
        search(stranger, pair, "mixed")
    with pytest.raises(errors.NotApplicable, match="must have the factor 'kind'"):
        search(copy, pair, "mixed", factor="kind")


def test_one_form_alone_keeps_its_ranking() -> None:
    kinds = np.arange(N) % 7
    pair = pair_of(kinds)
    found = numbers(search(pair.text, pair.image, "mixed", factor="kind"))
    assert found["ndcg10"] == found["ndcg10_zscore"] == found["ndcg10_rrf"]
    assert found["share10_image"] == found["share10_image_zscore"] == 1


def test_scores_that_do_not_vary_are_not_standardised() -> None:
    rows = np.ones((N, D))
    found = search(Pair(rows, rows).text, Pair(rows, rows), "mixed")
    assert not any("zscore" in name for name in numbers(found))
    assert "do not vary" in details(found)["no_zscore"]


def three(n: int = N) -> mg.Modalities:
    x, y = two_cones(n, D)
    z, _ = two_cones(n, D, seed=5)
    return mg.Modalities({"image": x, "text": y, "audio": x + 0.5 * z})


def test_three_modalities_in_one_list() -> None:
    mods = three()
    found = numbers(search(mods["audio"], mods, "mixed"))
    shares = [found[f"share10_{name}_zscore"] for name in mods]
    assert sum(shares) == pytest.approx(1)
    assert {name for name in found if "share10_audio" in name} == {
        "share10_audio", "share10_audio_zscore", "share10_audio_rrf",
    }  # fmt: skip
    # each modality lies in the list of one pair, too
    two = mg.Modalities({"image": mods["image"], "audio": mods["audio"]})
    assert numbers(search(mods["audio"], two.pair("image", "audio"), "mixed")) == pytest.approx(
        numbers(search(mods["audio"], two, "mixed"))
    )


def test_the_order_of_modalities_changes_nothing() -> None:
    mods = three()
    other = mg.Modalities([mods["audio"], mods["text"], mods["image"]])
    found = [numbers(search(mods["text"], each, "mixed")) for each in (mods, other)]
    assert found[0] == pytest.approx(found[1], abs=1e-9)


def test_other_protocols_search_the_modality_of_the_queries() -> None:
    mods = three()
    kinds = np.arange(N) % 4
    sides = [Embeddings(each.rows, name, factors={"label": kinds}) for name, each in mods.items()]
    many = mg.Modalities(sides)
    found = numbers(search(many["audio"], many, "split"))
    assert found == numbers(search(many["audio"], many["audio"], "split"))
    with pytest.raises(errors.InputError, match="one modality or a pair for zero_shot"):
        search(many["audio"], many, "zero_shot")
