"""What every command prints with --json has its schema, is strict JSON, and stays as it is."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import installed
import pytest
import schemas
import tiny
from cli.test_encode_items import MODELS as BY_MODALITY
from cli.test_encode_items import place as items_place
from commands import Run
from invert.cases import planted
from jsonschema import Draft202012Validator

import modalgap as mg
from modalgap.cli.catalogue import CATALOGUE, methods
from modalgap.cli.explain import described
from modalgap.cli.listing import Listed
from modalgap.encode import load_model
from modalgap.errors import FileError
from modalgap.result import Table
from modalgap.simulate import SIMULATIONS

items_place = items_place  # a fixture
TINY = "open_clip:tiny-clip/random"
WRITTEN = {path.name: json.loads(path.read_text("utf-8")) for path in schemas.FOLDER.glob("*.json")}
LINES = {  # command to lines that run it; each prints an object of its schema
    "measure": ["measure pair.npz", "measure image.npz", "measure three.npz"],
    "evaluate": ["evaluate pair.npz", "evaluate three.npz --only retrieval"],
    "search": ["search image.npz --query image.npz --protocol self_removed"],
    "preflight": ["preflight pair.npz"],
    "compare": ["compare pair.npz --only center,shift,transport,retrieval"],
    "plan": ["plan wide.npz --only l2m --rows 1e6", "plan wide.npz --verb close --bandwidth 1"],
    "list": [f"list {kind}" for kind in Listed],
    "explain": ["explain rmg", "explain center", "explain infonce --kind loss"],
    "encode": [f"encode texts.txt -m {TINY} -o o.npz"],
    "zoo": [
        "zoo -m open_clip:demo/runs/short/model -m open_clip:RN50/none -d texts.txt -o zoo"
        " --measures cone --workers 0"
    ],
    "demo": ["demo -o demo --set train.steps=20 --set train.batch=64 --set train.data.limit=300"],
    "study NAME": ["study sphere_pairs -o study"],
    "study all": ["study all -o studies --only sphere_pairs"],
    "simulate NAME": ["simulate free_points --set steps=2 -o points.npz"],
    "invert words": [f"invert words words.safetensors -m {TINY} --k 2"],
}
FAILS = ("zoo",)  # one of its cells: the exit code is 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, small_demo: Path) -> Path:
    """What the commands read, and a finished demo."""
    folder = tmp_path_factory.mktemp("schemas")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        installed.inputs()
        shutil.copytree(small_demo, "demo")
        tiny.add_configs(tmp_path_factory.mktemp("configs"))
        pair = mg.load("pair.npz")
        audio = mg.Embeddings(pair.text.unit(), "audio")
        three = {side.modality: side for side in (pair.image, pair.text, audio)}
        mg.save(mg.Modalities(three), "three.npz")
        planted(load_model(TINY), [["nine", "red"], ["two", "zero"]]).save("words.safetensors")
    return folder


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def closed(schema: Any) -> Any:
    """The schema without the permission to have other keys."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(each) for key, each in schema.items()}
    if isinstance(schema.get("properties"), dict) and "type" in schema:
        found["additionalProperties"] = False
    return found


def check(text: str, name: str) -> Any:
    """The object, after checks against the schema of this name, open and closed."""
    found = json.loads(text, parse_constant=refuse)
    schema = WRITTEN[f"{name.partition('/')[0]}.json"]
    assert found["schema"] == name == schema["title"]
    assert next(iter(found)) == "schema"
    Draft202012Validator(schema).validate(found)
    Draft202012Validator(closed(schema)).validate(found)
    return found


@pytest.mark.parametrize(
    ("command", "line"), [(name, line) for name, lines in LINES.items() for line in lines]
)
def test_commands_print_what_their_schema_says(
    command: str, line: str, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    code, out, err = run(*line.split(), "--json")
    assert code == (command in FAILS), err
    check(out, schemas.commands()[command])


def test_thresholds_that_are_never_reached(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    Path("never.json").write_text('{"hubness": {"warn": null, "fail": null}}')
    given = ("--thresholds", "never.json", "--only", "retrieval", "--json")
    code, out, _ = run("preflight", "pair.npz", *given)
    assert code == 0
    assert any(each["warn"] is None for each in check(out, "advice/1")["checks"])


def test_encoded_items(items_place: Path, run: Run) -> None:
    code, out, err = run("encode", "d", *BY_MODALITY, "-o", "o.npz", "--workers", "0", "--json")
    assert code == 0, err
    assert check(out, "encoded/1")["items"] == 6


@pytest.mark.parametrize("kind", CATALOGUE)
def test_every_method_is_explained(kind: str) -> None:
    for method in methods(kind).values():
        found = {"schema": "method/1", **described(method)}
        check(json.dumps(found, allow_nan=False), "method/1")


@pytest.mark.parametrize("name", SIMULATIONS)
def test_every_simulation_has_the_help_of_a_schema(name: str, run: Run) -> None:
    code, out, _ = run("simulate", name, "--help")
    assert code == 0
    assert "table/1" in out


def test_every_command_with_json_is_tested() -> None:
    declared = schemas.commands()
    assert set(LINES) == set(declared)
    assert set(declared.values()) == set(schemas.KINDS)
    for name, schema in WRITTEN.items():
        Draft202012Validator.check_schema(schema)
        assert schema["title"].startswith(f"{name.removesuffix('.json')}/")


def test_schemas_are_up_to_date() -> None:
    assert schemas.schemas() == WRITTEN, "run: python tests/schemas.py"


def keys(schema: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """(object that holds it, key) of each required key below the top."""
    if isinstance(schema, dict):
        for key in schema.get("required", ()):
            yield schema, key
        for each in schema.values():
            yield from keys(each)


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_a_schema_cannot_break_in_silence(name: str) -> None:
    old = WRITTEN[name]
    assert not list(schemas.breaks(old, old))
    for at in range(len(list(keys(old)))):
        new = copy.deepcopy(old)
        where, key = list(keys(new))[at]
        where["required"].remove(key)
        assert len(list(schemas.breaks(old, new))) == 1
        del where["properties"][key]
        assert len(list(schemas.breaks(old, new))) == 2
    wider = copy.deepcopy(old)
    wider["properties"]["more"] = {"type": "string"}
    wider["required"].append("more")
    assert not list(schemas.breaks(old, wider))


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_the_checks_can_fail(name: str) -> None:
    schema = closed(WRITTEN[name])
    assert not Draft202012Validator(schema).is_valid({"schema": schema["title"], "unknown": 1})
    with pytest.raises(AssertionError, match="NaN"):
        json.loads('{"x": NaN}', parse_constant=refuse)


def test_python_reads_only_its_own_schema() -> None:
    table = Table(
        name="t", source="", vary="x", rows={}, heads={}, settings={}, notes=[], verdicts=[]
    )
    text = table.to_json()
    assert json.loads(text)["schema"] == "table/1"
    assert Table.from_json(text) == table
    old = {key: each for key, each in json.loads(text).items() if key != "schema"}
    assert Table.from_json(json.dumps(old)) == table
    with pytest.raises(FileError, match="schema must be result/1; got 'table/1'"):
        mg.Result.from_json(text)
    with pytest.raises(FileError, match="schema must be table/1; got 'table/2'"):
        Table.from_json(json.dumps({**old, "schema": "table/2"}))
