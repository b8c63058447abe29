"""mg.measure: what it takes, what it refuses, and the Result that it gives."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from reference.cases import crossed, two_cones

import modalgap as mg
from modalgap import errors
from modalgap.embeddings import Embeddings, Pair
from modalgap.result import Result, Value

IMAGE, TEXT = two_cones(70, 8)
LABELS = np.arange(70) % 7


@pytest.fixture(scope="module")
def pair() -> Pair:
    return Pair(IMAGE, TEXT)


@pytest.fixture(scope="module")
def prompts() -> Pair:
    return Pair(IMAGE, TEXT[:7], labels=LABELS)


# only ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("only", "names"),
    [
        ("rmg", ["rmg"]),
        ("cone", ["cone_image", "cone_text"]),
        ("cone_text", ["cone_text"]),
        (["rmg", "l2m"], ["l2m", "rmg"]),  # in the order of the registry
        (("cone_text", "cone"), ["cone_image", "cone_text"]),
        ({"uniformity_image", "l2m"}, ["l2m", "uniformity_image"]),
        ((name for name in ["itr"]), ["itr"]),
    ],
)
def test_only(pair: Pair, only: Any, names: list[str]) -> None:
    found = mg.measure(pair, only=only)
    assert list(found) == names
    assert dict(found.skipped) == {}


@pytest.mark.parametrize(
    ("only", "words"),
    [
        ("rmgg", "unknown measure 'rmgg'; did you mean 'rmg'?"),
        ("cone_images", "did you mean 'cone_image'?"),
        (["l2m", "cone_audio"], "unknown measure 'cone_audio'; did you mean"),
        ("xyzzy", "unknown measure 'xyzzy'; known: alignment, "),
        ([], "only must name at least one measure; got none"),
        (5, "only must be a string, a Measure, a list of strings or Measures or None; got 5"),
        ([5], "only must be a string, a Measure"),
    ],
)
def test_only_refused(pair: Pair, only: Any, words: str) -> None:
    with pytest.raises(errors.OptionError) as error:
        mg.measure(pair, only=only)
    assert words in str(error.value)


def test_what_is_asked_for_by_name_must_apply(pair: Pair, prompts: Pair) -> None:
    with pytest.raises(errors.NotApplicable, match=r"^prediction_gini: it needs labels"):
        mg.measure(pair, only=["l2m", "prediction_gini"])
    with pytest.raises(errors.NotApplicable, match=r"^moad_image: it needs factors"):
        mg.measure(pair, only="moad")
    with pytest.raises(errors.NotApplicable, match=r"^nas: it needs matched items"):
        mg.measure(prompts, only="nas")
    with pytest.raises(
        errors.NotApplicable, match=r"^rmg: it compares two modalities; the data has one"
    ):
        mg.measure(Embeddings(IMAGE), only="rmg")


def test_only_gives_the_same_numbers(pair: Pair) -> None:
    whole = mg.measure(pair)
    for name in whole:
        alone = mg.measure(pair, only=name)[name]
        assert alone.value == pytest.approx(whole[name].value, rel=1e-12), name


def test_skipped_with_a_reason(pair: Pair, prompts: Pair) -> None:
    found = mg.measure(pair)
    assert set(found.skipped) == {
        "prediction_gini",
        "prediction_entropy",
        "moad_image",
        "moad_text",
    }
    assert found.skipped["prediction_gini"] == "it needs labels: the class prompt of each image"
    skipped = mg.measure(prompts).skipped
    assert {"nas", "infonce", "loss_landscape", "hubness_text"} <= set(skipped)
    assert "k=10" in skipped["hubness_text"]


def test_one_modality() -> None:
    found = mg.measure(Embeddings(IMAGE, "text", factors=crossed(70)))
    assert list(found) == [
        "cone_text",
        "uniformity_text",
        "effective_rank_text",
        "participation_ratio_text",
        "hubness_text",
        "antihub_fraction_text",
        "near_duplicate_fraction_text",
        "moad_text",
    ]
    assert found.skipped["l2m"] == "it compares two modalities; the data has one"
    whole = mg.measure(Pair(TEXT, Embeddings(IMAGE, "text")))
    for name in ("cone_text", "uniformity_text", "effective_rank_text", "hubness_text"):
        assert found[name].value == pytest.approx(whole[name].value, rel=1e-9)
    assert found.pair["n_text"] == 70
    assert "n_image" not in found.pair
    assert found.pair["matched_by"] is None


@pytest.mark.parametrize("data", [IMAGE, (IMAGE, TEXT), None, "file.npy", {}])
def test_data_must_have_come_through_the_door(data: Any) -> None:
    with pytest.raises(errors.InputError, match="data must be a Pair"):
        mg.measure(data)


# options -------------------------------------------------------------------------------------


def test_options_reach_those_that_have_them(pair: Pair) -> None:
    found = mg.measure(
        pair, temperature=0.07, k=3, batch=20, top=2, directions=4, explained_variance=0.5
    )
    assert found["infonce"].params["temperature"] == 0.07
    assert found["logit_entropy_text"].params["temperature"] == 0.07
    assert found["loss_landscape"].params["batch"] == 20
    assert found["nas"].params["k"] == found["hubness_image"].params["k"] == 3
    assert found["gap_concentration"].params == {"top": 2, "better": "neither"}
    assert found["principal_angles"].params == {
        "directions": 4, "used": 4, "better": "lower", "unit": "°"
    }  # fmt: skip
    assert found["leakage_text"].params == {"explained_variance": 0.5, "better": "lower"}
    assert found["l2m"].params == {"better": "lower"}
    plain = mg.measure(pair)
    for name in ("infonce", "nas", "gap_concentration", "principal_angles", "leakage_image"):
        assert found[name].value != plain[name].value


def test_an_option_changes_nothing_else(pair: Pair) -> None:
    found, plain = mg.measure(pair, k=3), mg.measure(pair)
    changed = {name for name in plain if found[name].value != plain[name].value}
    assert changed == {
        "nas",
        "knn_mixing",
        "hubness_image",
        "hubness_text",
        "antihub_fraction_image",
        "antihub_fraction_text",
    }


def test_seed_and_cap(pair: Pair) -> None:
    first, again, other = (
        mg.measure(pair, only="uniformity", max_rows=20, seed=seed)["uniformity_image"].value
        for seed in (1, 1, 2)
    )
    assert first == again != other
    assert mg.measure(pair, only="uniformity", max_rows=70, seed=9)["uniformity_image"].value == (
        mg.measure(pair, only="uniformity")["uniformity_image"].value
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temprature": 0.1}, "unknown option 'temprature'; did you mean 'temperature'?"),
        ({"K": 3}, "unknown option 'K'"),
        ({"temperature": 0.0}, "temperature must be a number of at least 0.0001; got 0.0"),
        ({"temperature": -1}, "temperature must be"),
        ({"temperature": float("nan")}, "temperature must be"),
        ({"temperature": float("inf")}, "temperature must be"),
        ({"temperature": "0.1"}, "got '0.1'"),
        ({"temperature": True}, "got True"),
        ({"k": 0}, "k must be an integer of at least 1; got 0"),
        ({"k": 2.5}, "k must be an integer"),
        ({"k": True}, "k must be an integer"),
        ({"max_rows": 1}, "max_rows must be an integer of at least"),
        ({"batch": 1}, "batch must be an integer of at least 2; got 1"),
        ({"top": 0}, "top must be an integer of at least 1"),
        ({"directions": 0}, "directions must be an integer of at least 1"),
        (
            {"explained_variance": 0.0},
            "explained_variance must be a number above 0 and up to 1; got 0.0",
        ),
        ({"explained_variance": 1.1}, "explained_variance must be"),
        ({"explained_variance": True}, "explained_variance must be"),
        ({"seed": -1}, "seed must be an integer of at least 0; got -1"),
        ({"seed": "0"}, "seed must be an integer"),
        ({"object_factor": 3}, "object_factor must be the name of a factor; got 3"),
    ],
)
def test_options_refused(prompts: Pair, pair: Pair, options: dict[str, Any], words: str) -> None:
    with pytest.raises(errors.OptionError) as error:
        mg.measure(pair, **options)
    assert words in str(error.value)
    if words.startswith("seed"):  # also where nothing is drawn but a bootstrap
        with pytest.raises(errors.OptionError, match="seed must be"):
            mg.measure(prompts, only="prediction_gini", **options)


def test_an_option_must_belong_to_what_is_asked(pair: Pair) -> None:
    with pytest.raises(errors.OptionError, match="option 'k' belongs to knn_mixing, nas, hubness"):
        mg.measure(pair, only="l2m", k=3)
    with pytest.raises(errors.OptionError, match="unknown option of rmg 'k'; known: none"):
        mg.measure.rmg(IMAGE, TEXT, k=3)
    with pytest.raises(errors.OptionError, match="unknown option of nas 'kk'; did you mean 'k'"):
        mg.measure.nas(IMAGE, TEXT, kk=3)


def test_share_may_be_whole(pair: Pair) -> None:
    found = mg.measure(pair, only="leakage_text", explained_variance=1)
    assert found["leakage_text"].value == pytest.approx(1.0, abs=1e-6)


# measures as functions -----------------------------------------------------------------------


def test_functions_of_arrays(pair: Pair) -> None:
    expected = mg.measure(pair, only=["rmg", "cone"])
    assert mg.measure.rmg(IMAGE, TEXT) == mg.measure.rmg(pair) == expected["rmg"]
    assert float(mg.measure.rmg(Embeddings(IMAGE), Embeddings(TEXT, "text"))) == float(
        expected["rmg"]
    )
    assert f"{mg.measure.cone(IMAGE):.3f}" == f"{expected['cone_image'].value:.3f}"
    assert mg.measure.cone(Embeddings(IMAGE)).value == expected["cone_image"].value
    of = np.arange(70).repeat(2)
    twice = mg.measure.l2i(IMAGE, TEXT[of], text_to_image=of)
    assert twice.value == pytest.approx(mg.measure.l2i(IMAGE, TEXT).value)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: mg.measure.rmg(IMAGE),
            "rmg compares two modalities: it must have a Pair, or two",
        ),
        (lambda: mg.measure.cone(IMAGE, TEXT), "cone is a number of one modality; give it one"),
        (lambda: mg.measure.cone(Pair(IMAGE, TEXT)), "cone is a number of one modality"),
        (lambda: mg.measure.cone(IMAGE, labels=LABELS), "cone is a number of one modality"),
        (lambda: mg.measure.rmg(Pair(IMAGE, TEXT), TEXT), "rmg: a Pair holds its texts"),
        (
            lambda: mg.measure.rmg(Pair(IMAGE, TEXT), text_to_image=LABELS),
            "rmg: a Pair holds its texts",
        ),
        (lambda: mg.measure.rmg(IMAGE, TEXT, factors={}), "rmg does not use factors"),
        (
            lambda: mg.measure.moad(Embeddings(IMAGE), factors=crossed(70)),
            "factors: Embeddings already hold factors",
        ),
        (lambda: mg.measure.l2m(IMAGE, TEXT[:, :3]), "must have the same width; got 8 and 3"),
    ],
)
def test_functions_refuse(call: Any, words: str) -> None:
    with pytest.raises(errors.InputError) as error:
        call()
    assert words in str(error.value)


# the result ----------------------------------------------------------------------------------


def test_result_is_a_mapping(pair: Pair) -> None:
    found = mg.measure(pair)
    assert isinstance(found, Result)
    assert len(found) == len(list(found)) == len(found.measures)
    assert "rmg" in found
    assert "moad_image" not in found
    assert "rmgg" not in found
    with pytest.raises(errors.NotApplicable, match="moad_image was not measured: it needs factors"):
        found["moad_image"]
    with pytest.raises(errors.OptionError, match="did you mean 'rmg'"):
        found["rmgg"]
    lines = str(found).splitlines()
    assert len(lines) == len(found)
    assert lines[0].startswith("l2m ")
    low, high = found["l2m"].interval or (0, 0)
    assert lines[0].endswith(f"{found['l2m'].value:.4g}  [{low:.4g}, {high:.4g}]")


def test_json_is_strict_and_complete(pair: Pair) -> None:
    found = mg.measure(pair)

    def never(text: str) -> None:
        raise AssertionError(text)

    read = json.loads(found.to_json(), parse_constant=never)
    assert list(read) == ["schema", "measures", "skipped", "pair", "versions"]
    assert set(read["measures"]) == set(found)
    for name, value in read["measures"].items():
        assert (
            {"value", "interval", "params"}
            <= set(value)
            <= {
                "value",
                "interval",
                "params",
                "details",
                "source",
            }
        )
        assert type(value["value"]) is float
        if value["interval"] is not None:
            assert [type(end) for end in value["interval"]] == [float, float]
        assert value["value"] == found[name].value
    assert read["pair"] == {
        "n_image": 70,
        "n_text": 70,
        "dim": 8,
        "fingerprint": pair.fingerprint,
        "matched_by": "rows",
        "were_unit": {"image": False, "text": False},
        "norms": {side.modality: list(side.norm_range) for side in pair.sides},
        "provenance": {"image": {}, "text": {}},
    }
    assert set(read["versions"]) == {
        "modalgap",
        "python",
        "torch",
        "numpy",
        "scipy",
        "scikit-learn",
    }
    assert read["versions"]["modalgap"] == mg.__version__


def test_a_value_is_finite() -> None:
    for odd in (float("nan"), float("inf"), -float("inf")):
        with pytest.raises(errors.NotApplicable, match="undefined"):
            Value(odd)
    assert Value(1.5).to_dict() == {"value": 1.5, "interval": None, "params": {}}


def test_the_input_is_described(prompts: Pair) -> None:
    image = Embeddings(IMAGE, provenance={"model": "ViT"})
    found = mg.measure(Pair(image, TEXT[:7], labels=LABELS), only="l2m").pair
    assert found["provenance"] == {"image": {"model": "ViT"}, "text": {}}
    assert (found["n_image"], found["n_text"], found["matched_by"]) == (70, 7, "labels")
    assert found["fingerprint"] == prompts.fingerprint
