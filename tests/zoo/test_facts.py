"""What is known of models by their names and from files."""

from __future__ import annotations

from pathlib import Path

import open_clip
import pytest

from modalgap.encode import load_model
from modalgap.errors import FileError
from modalgap.zoo.facts import TRAINING, facts_of, named_facts, read_facts


@pytest.mark.parametrize(
    ("spec", "data", "pairs", "seen"),
    [
        ("open_clip:ViT-B-32/openai", "WIT", 400, None),
        ("open_clip:ViT-B-32/laion2b_s34b_b79k", "LAION-2B", 2000, 34000),
        ("open_clip:ViT-B-32/laion400m_e32", "LAION-400M", 400, None),
        ("open_clip:ViT-B-16/datacomp_xl_s13b_b90k", "DataComp-1B", 1400, 13000),
        ("open_clip:ViT-B-32/datacomp_s_s13m_b4k", None, None, 13),
        ("open_clip:ViT-B-32/commonpool_m_clip_s128m_b4k", None, None, 128),
        ("open_clip:ViT-B-32@/weights/openai.pt", None, None, None),
        ("open_clip:ViT-B-32/openai@fine_tuned.pt", None, None, None),
        ("hf:openai/clip-vit-base-patch32", None, None, None),
        ("open_clip:ViT-B-32/random", None, None, None),
    ],
)
def test_names(spec: str, data: str | None, pairs: float | None, seen: float | None) -> None:
    found = named_facts(spec)
    assert found.get("training_data") == data
    assert found.get("training_pairs") == pairs
    assert found.get("samples_seen") == seen


def test_every_training_set_has_a_model() -> None:
    """Each beginning of a tag is in open_clip's registry."""
    tags = {tag for _, tag in open_clip.list_pretrained()}
    assert [name for name in TRAINING if not any(tag.startswith(name) for tag in tags)] == []


def test_a_model() -> None:
    encoder = load_model("open_clip:ViT-S-32-alt/random")
    found = facts_of(encoder)
    assert found["library"] == "open_clip"
    assert found["width"] == 256
    assert found["temperature"] == pytest.approx(0.07)
    model = open_clip.create_model("ViT-S-32-alt")
    assert found["parameters"] == sum(each.numel() for each in model.parameters())


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "facts.csv"
    path.write_text("model,training_pairs,kind\na:1,15,web\nb:2,,\n", encoding="utf-8")
    assert read_facts(path) == {"a:1": {"training_pairs": 15.0, "kind": "web"}, "b:2": {}}
    path.write_text("name,x\n", encoding="utf-8")
    with pytest.raises(FileError, match="column model or model_fullname; found name, x"):
        read_facts(path)
    with pytest.raises(FileError, match="cannot be read"):
        read_facts(tmp_path / "none.csv")


def test_a_table_of_clip_benchmark(shared_data: object) -> None:
    found = read_facts(shared_data("openclip_results.csv"))  # type: ignore[operator]
    assert len(found) == 34
    large = found["open_clip:ViT-L-14/openai"]
    assert large == {"training_data": "CLIP-WIT", "samples_seen": 12800.0, "gmacs": 87.73}
