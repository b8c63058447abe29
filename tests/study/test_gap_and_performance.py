"""Gap and performance of many models: a zoo whose correlations are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from modalgap.errors import FileError, InputError, OptionError
from modalgap.result import Value
from modalgap.study import gap_and_performance
from modalgap.study.embedded_zoo import ZOO, models
from modalgap.zoo import Zoo

R1 = "retrieval.image_to_text_r1"


def zoo(path: Path, count: int = 10) -> Path:
    """Models of rising gap: R@1 rises over all, and falls within each of two training sets."""
    path.mkdir()
    values, facts = {}, {}
    for i in range(count):
        second, at = divmod(i, count // 2)
        gap = second + 0.1 * at
        numbers = {R1: Value(2.0 * second - 0.1 * at), "rmg": Value(gap), "l2m": Value(2 * gap)}
        values[f"open_clip:m{i}/x"] = {"coco": numbers, "words": {"zero_shot.top1": Value(gap)}}
        facts[f"open_clip:m{i}/x"] = {
            "width": 512.0,
            "parameters": 1.0 + second,
            "training_data": ("WIT", "LAION-2B")[second],
            "training_pairs": (100.0, 2000.0)[second],
        }
    found = Zoo(values=values, models=facts, failed=[("open_clip:b/x", "coco", "it is broken")])
    found.write(path)
    return path


def test_groups(tmp_path: Path) -> None:
    table = gap_and_performance(tmp_path / "s", zoo=zoo(tmp_path / "z"))
    whole = table.rows["coco, R@1, image to text"]
    assert whole["models"].value == 10
    # 25 pairs of models of different sets rise, 20 pairs within a set fall
    assert whole["tau_rmg"].value == pytest.approx((25 - 20) / 45)
    assert whole["tau_l2m"].value == whole["tau_rmg"].value
    assert whole["parameters"].value > whole["tau_rmg"].value
    assert "width" not in whole  # equal for all
    for group in ("WIT", "LAION-2B", "up to 140 million pairs", "over 140 million pairs"):
        assert table.rows[f"coco, R@1, image to text | {group}"]["tau_rmg"].value == -1
    # a data set without a gap of its own is compared with the gap of the first one
    assert table.rows["words, top-1"]["tau_rmg"].value == 1
    assert "failed: open_clip:b/x on coco: it is broken" in table.notes
    assert (tmp_path / "s" / "gap_and_performance.png").is_file()


def test_few_models(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 4 models"):
        gap_and_performance(tmp_path / "s", zoo=zoo(tmp_path / "z", 2))
    table = gap_and_performance(tmp_path / "t", zoo=zoo(tmp_path / "y", 6))
    assert "coco, R@1, image to text | WIT" not in table.rows
    assert any("fewer than 4 models" in note and "WIT" in note for note in table.notes)


def test_options(tmp_path: Path) -> None:
    folder = zoo(tmp_path / "z")
    table = gap_and_performance(tmp_path / "s", zoo=folder, performance=[f"coco: {R1}"])
    assert all(name.startswith("coco, ") for name in table.rows)
    with pytest.raises(OptionError, match="performance must be \"DATA: NUMBER\"; got 'coco'"):
        gap_and_performance(tmp_path / "t", zoo=folder, performance=["coco"])
    with pytest.raises(OptionError, match="unknown number of coco 'r1'"):
        gap_and_performance(tmp_path / "t", zoo=folder, performance=["coco: r1"])
    with pytest.raises(FileError, match="no such file"):
        gap_and_performance(tmp_path / "t", zoo=tmp_path / "none")


def test_the_embedded_zoo() -> None:
    """A dozen different models, of which two are those of other studies."""
    from modalgap.study import embedded

    found = models()
    assert len(found) == len(ZOO) == 12
    plans = [str(each.plan()) for each in found.values()]
    assert len(set(plans)) == 12
    shared = embedded.models("short", "full")
    assert found["1 attribute"].plan() == shared["short"].plan()
    assert found["5 attributes"].plan() == shared["full"].plan()


@pytest.mark.parametrize("name", ZOO)
def test_every_model_of_the_embedded_zoo_can_be_trained(name: str, tmp_path: Path) -> None:
    from modalgap.train import load_config, train

    few = {"data.limit": 40, "batch": 16, "steps": 1, "watch.measure": 0, "watch.rows": 40}
    config = load_config(models()[name].plain(), [f"{key}={value}" for key, value in few.items()])
    assert train(config, tmp_path / "run").steps == 1
