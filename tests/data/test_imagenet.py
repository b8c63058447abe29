"""Sets of images with classes: against torchvision's readers, and against damage."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision.datasets as tv
from data.classification_cases import built, names, texts
from layouts import classification as lay

from modalgap.data import DATASETS, imagenet
from modalgap.data.sets._shared import listed
from modalgap.errors import InputError


@pytest.fixture(autouse=True)
def _trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision checks sums; tiny data have others."""
    for module in ("cifar", "svhn", "flowers102", "mnist"):
        monkeypatch.setattr(
            f"torchvision.datasets.{module}.check_integrity", lambda path, *_: Path(path).exists()
        )


def test_imagenet_is_as_an_image_folder_has_it(tmp_path: Path) -> None:
    place = built("imagenet", tmp_path)
    for split in ("val", "train"):
        reference = tv.ImageFolder(str(place / split))
        source = DATASETS["imagenet"].source(tmp_path, split)
        assert [f"{place}/{split}/{name}" for name in names(source)] == [
            path for path, _ in reference.samples
        ]
        assert np.asarray(source.labels).tolist() == reference.targets
        assert reference.classes == list(imagenet.wnids())
    assert source.templates == ("a photo of a {}.",)
    assert (texts(source)[0], texts(source)[151], texts(source)[999]) == (
        "tench",
        "Chihuahua",
        "toilet paper",
    )
    assert len(set(texts(source))) == 998  # two pairs share a name, as in published results


@pytest.mark.parametrize(
    "inside", ["imagenet/images", "imagenet/ILSVRC/Data/CLS-LOC", "images", ""]
)
def test_imagenet_is_found_where_people_put_it(inside: str, tmp_path: Path) -> None:
    lay.imagenet(tmp_path / inside, ("val",))
    assert DATASETS["imagenet"].missing(tmp_path) == []
    assert len(names(DATASETS["imagenet"].source(tmp_path))) == 1000
    with pytest.raises(InputError, match="train/n01440764"):
        DATASETS["imagenet"].source(tmp_path, "train")


def test_imagenet_v2_folders_are_numbers_not_words(tmp_path: Path) -> None:
    place = built("imagenet-v2", tmp_path)
    source = DATASETS["imagenet-v2"].source(tmp_path)
    labels = np.asarray(source.labels).tolist()
    assert [int(name.split("/")[0]) for name in names(source)] == labels
    assert texts(source) == list(imagenet.names().values())
    # which is not what ImageFolder makes of them
    assert tv.ImageFolder(str(place)).class_to_idx["10"] == 2
    lay.imagenet_v2(tmp_path / "coop" / "imagenetv2" / place.name)
    assert len(names(DATASETS["imagenet-v2"].source(tmp_path / "coop"))) == 1000


@pytest.mark.parametrize(
    ("name", "coop"),
    [
        ("imagenet-a", "imagenet-adversarial/imagenet-a"),
        ("imagenet-r", "imagenet-rendition/imagenet-r"),
        ("imagenet-sketch", "imagenet-sketch/images"),
        ("imagenet-100-cmc", "imagenet/images"),
        ("imagenet-100-mcm", "imagenet"),
    ],
)
def test_subsets_of_imagenet(name: str, coop: str, tmp_path: Path) -> None:
    place = built(name, tmp_path / "a")
    source = DATASETS[name].source(tmp_path / "a")
    wnids = [Path(each).parent.name for each in names(source)]
    chosen = sorted(set(wnids))
    called = imagenet.names()
    assert texts(source) == [called[wnid] for wnid in chosen]
    labels = np.asarray(source.labels).tolist()
    assert [chosen[label] for label in labels] == wnids
    expected = {"a": 200, "r": 200, "sketch": 1000}.get(name.split("-")[1], 100)
    assert len(chosen) == expected
    moved = tmp_path / "b" / coop
    moved.parent.mkdir(parents=True)
    shutil.copytree(place / "sketch" if "sketch" in name else place, moved)
    assert names(DATASETS[name].source(tmp_path / "b")) == names(source)


def test_kaggles_imagenet_100_is_read_as_downloaded_and_merged(tmp_path: Path) -> None:
    place = built("imagenet-100-kaggle", tmp_path)
    dataset = DATASETS["imagenet-100-kaggle"]
    for split in ("val", "train"):
        source = dataset.source(tmp_path, split)
        wnids = [Path(name).parent.name for name in names(source)]
        assert wnids == sorted(listed("imagenet_100_kaggle.txt"))
    (place / "val.X").rename(place / "val")
    assert len(names(dataset.source(tmp_path))) == 100


def test_lists_are_of_imagenets_classes() -> None:
    wnids = set(imagenet.wnids())
    assert len(wnids) == 1000
    assert sorted(wnids) == list(imagenet.wnids())
    for name in ("cmc", "mcm", "kaggle"):
        found = listed(f"imagenet_100_{name}.txt")
        assert len(found) == len(set(found)) == 100
        assert set(found) <= wnids
    called = imagenet.names()
    first = [called[wnid] for wnid in listed("imagenet_100_mcm.txt")[:3]]
    assert first == ["palace", "chainsaw", "cornet"]
    assert called[listed("imagenet_100_cmc.txt")[0]] == "poke bonnet"
    assert called[listed("imagenet_100_kaggle.txt")[0]] == "chambered nautilus"


def test_lists_of_imagenet_a_and_r_are_timms() -> None:
    import timm.data

    info = Path(timm.data.__file__).parent / "_info"
    for name in ("a", "r"):
        file = info / f"imagenet_{name}_synsets.txt"
        if not file.exists():
            pytest.skip("timm keeps its lists elsewhere now")
        assert listed(f"imagenet_{name}.txt") == tuple(file.read_text().split())


def test_the_eighty_sentences() -> None:
    found = imagenet.templates()
    assert len(found) == len(set(found)) == 80
    assert found[0] == "a bad photo of a {}."
    assert all(template.count("{}") == 1 for template in found)


@pytest.mark.parametrize(
    ("library", "ask"),
    [
        ("open_clip", imagenet.names),
        ("open_clip", imagenet.templates),
        ("timm", imagenet.wnids),
        ("timm", imagenet.names),
    ],
)
def test_without_the_libraries_it_says_what_to_install(
    library: str, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [each for each in sys.modules if each.partition(".")[0] == library]:
        monkeypatch.setitem(sys.modules, name, None)
    for each in (imagenet.wnids, imagenet.names, imagenet.templates):
        each.cache_clear()
    with pytest.raises(InputError, match=rf"{library}.*pip install 'modalgap\[models\]'"):
        ask()
    for each in (imagenet.wnids, imagenet.names, imagenet.templates):
        each.cache_clear()


@pytest.mark.parametrize("name", ["imagenet", "imagenet-v2", "imagenet-a", "imagenet-100-kaggle"])
def test_a_class_without_images_is_refused(name: str, tmp_path: Path) -> None:
    place = built(name, tmp_path)
    dataset = DATASETS[name]
    source = dataset.source(tmp_path)
    assert source.media is not None
    inside = "val" if name == "imagenet" else ""
    shutil.rmtree((place / inside / names(source)[7]).parent)  # no folder
    (place / inside / names(source)[9]).unlink()  # an empty folder
    with pytest.raises(InputError, match=r"every class must have an image; .* and 1 more has none"):
        dataset.source(tmp_path)
