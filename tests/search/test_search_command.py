"""Search and classification across two sets of embeddings, against libraries and by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from commands import Run
from reference.cases import two_cones
from search.cases import (
    BY_HAND,
    FIRST,
    ORDER,
    TRUTH,
    at,
    captions,
    judged,
    numbers,
    stack,
    twice,
)

import modalgap as mg
from modalgap.embeddings import Embeddings, Pair
from modalgap.search import PROTOCOLS, search


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of queries and galleries."""
    folder = tmp_path_factory.mktemp("search")
    images, texts = two_cones(30, 6)
    labels = np.arange(30) % 3
    pair = Pair(
        Embeddings(images, names=[f"{i}.jpg" for i in range(30)]),
        Embeddings(texts[:3], "text", ["cat", "dog", "owl"]),
        labels=labels,
    )
    inverted = Embeddings(
        images + 0.1, "text", pair.image.names, {"label": np.where(labels == 2, 9, labels)},
        {"inverted_from": "image"},
    )  # fmt: skip
    named = Embeddings(images, factors={"class": np.array(["cat", "dog", "owl"])[labels]})
    both = Embeddings(
        at(0, 5, 10, 20, 30, 40, 50, 60), names=["query/a", *ORDER],
        factors={"role": ["query", *["gallery"] * 7], **stack(TRUTH, *[judged([], [], [])] * 7)},
    )  # fmt: skip
    made: dict[str, Pair | Embeddings] = {
        "pair": pair, "inverted": inverted, "named": named, "captions": captions(), "both": both,
    }  # fmt: skip
    return {name: mg.save(each, folder / f"{name}.safetensors") for name, each in made.items()}


def said(out: str) -> dict[str, float]:
    """Of a table: the value of each number."""
    lines = [line.split() for line in out.splitlines()]
    names = {"map", "map_at_r", "r_precision", "r1", "mp_1", "mp_5", "mp_10", *("top1", "top5")}
    return {words[0]: float(words[1]) for words in lines if words and words[0] in names}


def test_search_on_the_command_line(run: Run, files: dict[str, Path]) -> None:
    arguments = (files["pair"], "--query", files["inverted"])
    code, out, err = run("search", *arguments)
    assert code == 0
    expected = search(
        mg.embeddings.store.load_embeddings(files["inverted"]), mg.load(files["pair"])
    )
    assert said(out) == pytest.approx(numbers(expected), rel=1e-3)
    assert "30 queries (text) and 30 gallery (image), 6 dimensions" in out
    assert PROTOCOLS["split"].about in " ".join(out.split())
    assert "modalgap: 10 of 30 queries have no relevant item in the gallery; left out" in err
    assert "text rows were not unit" in err
    code, out, _ = run("search", *arguments, "--json")
    assert code == 0
    assert json.loads(out) == json.loads(expected.to_json())


@pytest.mark.parametrize(
    ("query", "gallery", "arguments", "name", "value"),
    [
        ("pair", "pair", ["--protocol", "self_removed"], "map", None),
        ("captions", "captions", ["--protocol", "first_caption"], "map", FIRST["map"]),
        ("both", "both", ["--protocol", "medium"], "map", BY_HAND["medium"][0]),
        ("named", "named", ["--factor", "class", "--seed", "3"], "r1", 1),
    ],
)
def test_protocols_on_the_command_line(
    run: Run, files: dict[str, Path], query: str, gallery: str, arguments: list[str], name: str,
    value: float | None,
) -> None:  # fmt: skip
    given = [files[gallery], "--query", files[query], *arguments]
    code, out, _ = run("search", *given, "--json")
    assert code == 0
    found = json.loads(out)["measures"]
    assert value is None or found[name]["value"] == pytest.approx(value, abs=1e-9)
    assert run("search", *given)[0] == 0


def test_captions_that_are_not_first_are_said(run: Run, files: dict[str, Path]) -> None:
    path = files["captions"]
    code, _, err = run("search", path, "--query", path, "--protocol", "first_caption")
    assert code == 0
    assert "modalgap: 3 queries are not first captions; not used" in err
    assert "modalgap: 1 of 3 queries have no relevant item" in err


def test_images_that_are_not_there_are_said(
    run: Run, files: dict[str, Path], tmp_path: Path
) -> None:
    lost = twice(**judged(["easy1", "lost"], [], ["gone"]))
    query = mg.save(lost, tmp_path / "query.npz")
    code, _, err = run("search", files["both"], "--query", query, "--protocol", "easy")
    assert code == 0
    assert err == "modalgap: 2 relevant images are not in the gallery; not counted\n"


@pytest.mark.parametrize("query", ["pair", "named"])
def test_zero_shot_on_the_command_line(run: Run, files: dict[str, Path], query: str) -> None:
    given = ("search", files["pair"], "--query", files[query], "--protocol", "zero_shot")
    code, out, _ = run(*given, "--json")
    assert code == 0
    expected = mg.evaluate(mg.load(files["pair"]), "zero_shot")["zero_shot.top1"].value
    assert json.loads(out)["measures"]["top1"]["value"] == expected
    code, out, _ = run(*given)
    assert code == 0
    assert said(out)["top1"] == pytest.approx(expected, rel=1e-3)
    assert "3 prompts (text)" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{pair}"], "--query"),
        (["--query", "{named}"], "GALLERY"),
        (["{pair}", "{pair}", "--query", "{named}"], "unexpected extra argument"),
        (["{pair}", "--query", "{named}", "--only", "mixed"], "--only"),
    ],
)
def test_usage_errors_of_search(
    run: Run, files: dict[str, Path], arguments: list[str], words: str
) -> None:
    code, out, err = run("search", *[each.format(**files) for each in arguments])
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["{pair}", "--query", "{named}", "--protocol", "hrad"],
            "unknown protocol 'hrad'; did you mean 'hard'?",
        ),
        (
            ["{pair}", "--query", "{pair}", "--protocol", "zeroshot"],
            "unknown protocol 'zeroshot'; did you mean 'zero_shot'?",
        ),
        (["{pair}", "--query", "{named}"], "must share one factor"),
        (["{pair}", "--query", "missing.npz"], "missing.npz"),
        (["missing.npz", "--query", "{named}"], "missing.npz"),
        (["{pair}", "--query", "{captions}"], "same width; got 2 and 6"),
        (["{pair}", "--query", "{named}", "--factor", "colour"], "need the factor 'colour'"),
    ],
)
def test_refusals_on_the_command_line(
    run: Run, files: dict[str, Path], arguments: list[str], words: str
) -> None:
    given = [each.format(**files) for each in arguments]
    for more in ([], ["--json"]):
        code, out, err = run("search", *given, *more)
        assert (code, out) == (2, "")
        (line,) = err.splitlines()
        assert line.startswith("modalgap: ")
        assert words in line


def test_help_names_every_protocol(run: Run) -> None:
    code, out, _ = run("search", "--help")
    assert code == 0
    for word in (*PROTOCOLS, "--query", "GALLERY", "--factor"):
        assert word in out
