"""encode of several modalities from the command line, with models of functions."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from commands import Run
from encode.items_cases import folder_of, images, sounds
from layouts import collections, items

import modalgap as mg
from modalgap.embeddings.store import load_embeddings

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "mixed_documents.py"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Items in ``d``; ``open_clip:X`` is a model of images, ``hf:X`` one of sounds."""
    folder_of(tmp_path / "d")
    (tmp_path / "d" / "2.tts.wav").write_bytes(b"junk")
    monkeypatch.chdir(tmp_path)
    for library, make in (("open_clip", images), ("transformers", sounds)):
        module = ModuleType(library)
        module.load = (  # type: ignore[attr-defined]
            lambda _, spec, seed, make=make: make(spec=f"{spec}, seed {seed}")
        )
        monkeypatch.setitem(sys.modules, f"modalgap.encode.libraries.{library}", module)
    return tmp_path


MODELS = ("--model", "image,text=open_clip:a/b", "--model", "audio=hf:c")


def test_encode_by_modality(place: Path, run: Run) -> None:
    code, out, err = run("encode", "d", *MODELS, "-o", "o.safetensors", "--workers", "0")
    assert code == 0, err
    assert out == "o.safetensors\n"
    assert "d (files of one name are one item): read 6 image, 6 speech, 6 tts, 12 text rows" in err
    assert "encoded 6 image rows, 6 speech rows, 5 tts rows and 12 text rows" in err
    assert "numbers between their modalities mean something only if" in err
    assert "5 items have a row of every modality" in err
    assert "skipped 1:" in err
    assert "tts: 2.tts.wav" in err
    found = mg.load("o.safetensors")
    assert isinstance(found, mg.Modalities)
    assert found["speech"].provenance["model"] == "hf:c, seed 0"
    code, out, _ = run("measure", "o.safetensors", "--only", "l2m", "--json")
    assert code == 0
    assert "l2m.image.tts" in json.loads(out)["measures"]
    code, _, err = run("encode", "d", *MODELS, "-o", "o.safetensors")
    assert code == 2
    assert "exists; replace it with --force" in err
    again = ("--force", "--limit", "4", "--seed", "3", "--json", "--workers", "0")
    code, out, err = run("encode", "d", *MODELS, "-o", "o.safetensors", *again)
    assert code == 0, err
    facts = json.loads(out)
    assert facts["items"] == 4
    assert facts["read"] == {"image": 4, "speech": 4, "tts": 4, "text": 8}


def test_encode_a_named_data_set(place: Path, run: Run) -> None:
    collections.modal_equiv(place / "data" / "coco-modality-equivalence")
    command = ("encode", "coco_modal_equiv", "--workers", "0")
    code, _, err = run(*command, *MODELS, "-o", "all.safetensors")
    assert code == 0, err
    assert list(mg.load("all.safetensors")) == ["image", "text", "speech", "tts"]
    code, _, err = run(*command, "--model", "open_clip:a/b", "-o", "two.safetensors")
    assert code == 0, err
    assert isinstance(mg.load("two.safetensors"), mg.Pair)
    code, _, err = run(*command, "--model", "text,speech=hf:c", "-o", "speech.npz")
    assert code == 0, err
    assert "no model encodes image and tts" in err
    assert [side.modality for side in mg.load("speech.npz").sides] == ["text", "speech"]


def test_mixbench_is_searched_by_its_judgements(place: Path, run: Run) -> None:
    """NDCG by its definition: one list of all rows; those of the judged document are relevant."""
    items.mixbench(place / "data" / "mixbench")
    model = ("--model", "open_clip:a/b", "--workers", "0")
    for split in ("MSCOCO", "MSCOCO-queries", "OVEN-queries"):
        code, _, err = run("encode", "mixbench", "--split", split, *model, "-o", f"{split}.npz")
        assert code == 0, err
    mixed = ("--protocol", "mixed", "--json")
    code, out, err = run("search", "MSCOCO.npz", "--query", "MSCOCO-queries.npz", *mixed)
    assert code == 0, err
    found = json.loads(out)["measures"]
    corpus, queries = mg.load("MSCOCO.npz"), load_embeddings("MSCOCO-queries.npz")
    assert [side.n for side in corpus.sides] == [4, 4]
    rows = np.concatenate([side.unit().numpy() for side in corpus.sides])
    owner = np.concatenate([side.factors["document"] for side in corpus.sides])
    wanted = dict(zip(queries.names, queries.factors["document"], strict=True))
    assert wanted == {f"query q{i}": f"d{5 - i}" for i in range(6)}
    ndcg = []
    for query, document in zip(queries.unit().numpy(), wanted.values(), strict=True):
        gains = (owner == document)[np.argsort(-(rows @ query), kind="stable")]
        weights = 1 / np.log2(np.arange(len(rows)) + 2)
        ndcg.append((gains * weights).sum() / weights[: gains.sum()].sum())
    assert found["ndcg10"]["value"] == pytest.approx(np.mean(ndcg), abs=1e-6)
    assert found["ndcg10"]["details"]["classes_by"] == "document"
    one_row = runpy.run_path(str(EXAMPLE))["documents"](corpus)
    fused = [rows[owner == name].mean(0) for name in one_row.factors["document"]]
    fused = [each / np.linalg.norm(each) for each in fused]
    np.testing.assert_allclose(one_row.unit(), fused, rtol=0, atol=1e-6)
    assert sorted(one_row.factors["document"]) == sorted(wanted.values())
    scores = queries.unit().numpy() @ np.array(fused).T
    right = [list(one_row.names).index(document) for document in wanted.values()]
    ranks = (scores > scores[np.arange(6), right][:, None]).sum(1)
    alone = mg.search(queries, one_row, "mixed")["ndcg10"]
    assert float(alone) == pytest.approx(np.mean(1 / np.log2(2 + ranks)), abs=1e-6)
    oven = ("--query", "OVEN-queries.npz", "--modality", "image")
    code, _, err = run("search", "MSCOCO.npz", *oven, *mixed)
    assert code == 0, err
    assert run("close", "fit", "center", "MSCOCO.npz", "-o", "map.safetensors")[0] == 0
    for name in ("MSCOCO", "MSCOCO-queries"):
        applied = ("close", "apply", "map.safetensors", f"{name}.npz", "-o", f"{name}-closed.npz")
        code, _, err = run(*applied)
        assert code == 0, err
    closed = ("search", "MSCOCO-closed.npz", "--query", "MSCOCO-queries-closed.npz", *mixed)
    code, out, err = run(*closed)
    assert code == 0, err
    assert json.loads(out)["measures"]["ndcg10"]["value"] != found["ndcg10"]["value"]
    code, _, err = run("evaluate", "MSCOCO.npz", "--only", "mixed", "--set", "max_rows=9")
    assert code == 0, err
    by_modality = ("--model", "image,text,query=open_clip:a/b", "--workers", "0")
    code, _, err = run("encode", "mixbench", *by_modality, "-o", "all.npz")
    assert code == 0, err
    every = mg.load("all.npz")
    assert isinstance(every, mg.Modalities)
    assert list(every) == ["image", "text", "query"]
    tasks = ("--only", "mixed,retrieval", "--json")
    code, out, err = run("evaluate", "all.npz", "--pair", "image,query", *tasks)
    assert code == 0, err
    found = json.loads(out)["measures"]
    assert "mixed.query_ndcg10" in found
    images = every["image"]
    first = (every["query"].unit() @ images.unit().T).argmax(1)
    pairs = zip(every["query"].names, first.tolist(), strict=True)
    right = [images.names[i] == name for name, i in pairs if name in images.names]
    assert len(right) == 4
    assert found["retrieval.query_to_image_r1"]["value"] == pytest.approx(np.mean(right))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (("--model", "hf:a", "--model", "hf:b"), "each of several models must name"),
        ((*MODELS, "--template", "a {}"), "--template: is for one model of two modalities"),
        ((*MODELS, "--text-column", "c"), "--text-column: is for one model of two modalities"),
        ((*MODELS, "--split", "val"), "d: no images, sounds or"),
        (("--model", "imag,text=hf:c"), "did you mean 'image'"),
    ],
)
def test_refusals(given: tuple[str, ...], why: str, place: Path, run: Run) -> None:
    code, _, err = run("encode", "d", *given, "-o", "o.npz", "--workers", "0")
    assert code == 2
    assert len(err.splitlines()) == 1
    if "--split" not in given:
        assert why in err
