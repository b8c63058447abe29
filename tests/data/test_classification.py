"""Sets of images with classes: against torchvision's readers, and against damage."""

from __future__ import annotations

import gzip
import json
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision.datasets as tv
from layouts import classification as lay
from layouts.drawing import draw, write
from PIL import Image
from scipy.io import loadmat, savemat

from modalgap.data import DATASETS, Source, imagenet
from modalgap.data.dataset import absent
from modalgap.data.pixels import decode
from modalgap.data.sets._shared import listed
from modalgap.errors import FileError, InputError, OptionError


@pytest.fixture(autouse=True)
def _trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision checks sums; tiny data have others."""
    for module in ("cifar", "svhn", "flowers102", "mnist"):
        monkeypatch.setattr(
            f"torchvision.datasets.{module}.check_integrity", lambda path, *_: Path(path).exists()
        )


def built(name: str, tmp_path: Path, folder: str | None = None) -> Path:
    """The folder of tiny data of that name in ``tmp_path``."""
    place = tmp_path / (folder or DATASETS[name].card.folder)
    lay.BUILD[name](place)
    return place


def items(source: Source) -> list[tuple[bytes, int]]:
    """Pixels and class of each image."""
    assert source.media is not None
    labels = np.asarray(source.labels).tolist()
    found = []
    for i, label in enumerate(labels):
        stored = source.media[i]
        assert not isinstance(stored, str)
        found.append((decode(stored).tobytes(), label))
    return found


def theirs(dataset: Any) -> list[tuple[bytes, int]]:
    """The same of a data set of torchvision."""
    found = []
    for i in range(len(dataset)):
        image, label = dataset[i]
        assert isinstance(image, Image.Image)
        found.append((image.convert("RGB").tobytes(), int(label)))
    return found


def names(source: Source) -> list[str]:
    assert source.media is not None
    return list(source.media.names)


def texts(source: Source) -> list[str]:
    assert source.texts is not None
    return list(source.texts)


# Against torchvision ----------------------------------------------------------------------------


def plain(name: str) -> str:
    return name.lower().replace("_", " ")


TORCHVISION: dict[str, tuple[str | None, str, Callable[[Path], Any]]] = {
    # name: (folder there, split, reader)
    "cifar10": (None, "test", lambda root: tv.CIFAR10(root, train=False)),
    "cifar10 train": (None, "train", lambda root: tv.CIFAR10(root)),
    "cifar100": (None, "test", lambda root: tv.CIFAR100(root, train=False)),
    "svhn": ("", "test", lambda root: tv.SVHN(root, "test")),
    "svhn train": ("", "train", lambda root: tv.SVHN(root, "train")),
    "svhn extra": ("", "extra", lambda root: tv.SVHN(root, "extra")),
    "eurosat": (None, "all", lambda root: tv.EuroSAT(root)),
    "caltech101": ("caltech101", "all", lambda root: tv.Caltech101(root)),
    "food101": (None, "test", lambda root: tv.Food101(root, "test")),
    "food101 train": (None, "train", lambda root: tv.Food101(root, "train")),
    "flowers102": ("flowers-102", "test", lambda root: tv.Flowers102(root, "test")),
    "flowers102 train": ("flowers-102", "train", lambda root: tv.Flowers102(root, "train")),
    "flowers102 val": ("flowers-102", "val", lambda root: tv.Flowers102(root, "val")),
    "oxford-pets": ("oxford-iiit-pet", "test", lambda root: tv.OxfordIIITPet(root, "test")),
    "oxford-pets train": ("oxford-iiit-pet", "train", lambda root: tv.OxfordIIITPet(root)),
    "stanford-cars": (None, "test", lambda root: tv.StanfordCars(root, "test")),
    "stanford-cars train": (None, "train", lambda root: tv.StanfordCars(root, "train")),
    "fgvc-aircraft": (None, "test", lambda root: tv.FGVCAircraft(root, "test")),
    "fgvc-aircraft val": (None, "val", lambda root: tv.FGVCAircraft(root, "val")),
}


@pytest.mark.parametrize("case", TORCHVISION)
def test_reads_what_torchvision_reads(case: str, tmp_path: Path) -> None:
    name = case.split()[0]
    folder, split, reader = TORCHVISION[case]
    root = tmp_path / "data"
    root.mkdir()
    if folder == "":  # torchvision wants the files in the root itself
        root.rmdir()
    built(name, root, folder) if folder != "" else lay.BUILD[name](root)
    place = root / (folder or DATASETS[name].card.folder)
    zhou = list(place.glob("split_zhou_*.json"))
    for file in zhou:
        file.unlink()
    reference = reader(root)
    source = DATASETS[name].source(root, split)
    assert len(reference) > 2 or name in ("stanford-cars",)
    assert items(source) == theirs(reference)
    if name == "svhn":
        assert texts(source) == [str(i) for i in range(10)]
    elif name == "eurosat":
        assert [each.replace(" ", "") for each in texts(source)] == [
            each.lower() for each in reference.classes
        ]
    elif name == "caltech101":
        assert texts(source)[:5] == [
            "off-center face",
            "centered face",
            "leopard",
            "motorbike",
            "airplane",
        ]
        assert texts(source)[5:] == [each.replace("_", " ") for each in reference.categories[5:]]
    elif name == "flowers102":  # CLIP's paper has other names for three
        pairs = zip(texts(source), reference.classes, strict=True)
        assert sum(ours != there for ours, there in pairs) == 3
    elif name == "oxford-pets":
        assert texts(source) == reference.classes
    else:
        assert list(map(plain, texts(source))) == list(map(plain, reference.classes))


def test_sun397_is_as_torchvision_has_it(tmp_path: Path) -> None:
    place = built("sun397", tmp_path)
    reference = tv.SUN397(place)  # all images, in no order
    source = DATASETS["sun397"].source(tmp_path)
    expected = {
        str(path.relative_to(place / "SUN397")): item
        for path, item in zip(reference._image_files, theirs(reference), strict=True)
    }
    assert dict(zip(names(source), items(source), strict=True)) == expected
    assert reference.classes == ["abbey", "art_gallery", "church/outdoor"]
    assert texts(source) == ["abbey", "art gallery", "outdoor church"]


def test_mnist_is_as_torchvision_has_it(tmp_path: Path) -> None:
    place = built("mnist", tmp_path, "MNIST")
    for split in ("test", "train"):
        packed = items(DATASETS["mnist"].source(tmp_path, split))
        for path in (place / "raw").glob("*.gz"):
            path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        reference = tv.MNIST(tmp_path, train=split == "train")
        assert packed == theirs(reference)
        assert items(DATASETS["mnist"].source(tmp_path, split)) == packed


def test_mnist_as_published(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    place = shared_data("mnist")
    source = DATASETS["mnist"].source(place)
    assert len(names(source)) == 10_000
    # the first digits of the test set, and how many there are of each, are well known
    labels = np.asarray(source.labels)
    assert labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(labels).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in (place / "raw").glob("t10k*.gz"):
        (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    for stem in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (raw / stem).touch()  # torchvision asks whether they are there
    reference = tv.MNIST(tmp_path, train=False)
    assert source.media is not None
    ours = np.stack([np.asarray(source.media[i]) for i in range(10_000)])
    assert np.array_equal(ours, reference.data.numpy())
    assert np.array_equal(labels, reference.targets.numpy())
    assert items(DATASETS["mnist"].source(place / "raw").limited(20, 0)) == items(
        DATASETS["mnist"].source(tmp_path).limited(20, 0)
    )


# ImageNet --------------------------------------------------------------------------------------


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


# Names, splits and CoOp --------------------------------------------------------------------------


def test_ucf101_frames(tmp_path: Path) -> None:
    built("ucf101", tmp_path)
    for split in ("test", "train"):
        source = DATASETS["ucf101"].source(tmp_path, split)
        assert texts(source) == ["apply eye makeup", "handstand pushups", "yo yo"]
        assert names(source) == [
            "Yo_Yo/v_YoYo_g01_c01.jpg",
            "Apply_Eye_Makeup/v_ApplyEyeMakeup_g01_c02.jpg",
            "Handstand_Pushups/v_HandStandPushups_g01_c01.jpg",
        ]
        assert np.asarray(source.labels).tolist() == [2, 0, 1]
        assert absent(source) == (0, [])
    with pytest.raises(InputError, match="split_zhou"):
        DATASETS["ucf101"].source(tmp_path, "val")


def test_cifar100_superclasses(tmp_path: Path) -> None:
    built("cifar100", tmp_path)
    source = DATASETS["cifar100"].source(tmp_path)
    assert source.factors["superclass"] == [
        "fruit and vegetables",
        "fish",
        "fruit and vegetables",
        "fruit and vegetables",
    ]


def test_hateful_memes(tmp_path: Path) -> None:
    place = built("hateful-memes", tmp_path)
    source = DATASETS["hateful-memes"].source(tmp_path)
    assert texts(source) == ["meme", "hatespeech meme"]
    assert source.templates == ("a {}.",)
    assert list(zip(names(source), np.asarray(source.labels).tolist(), strict=True)) == [
        ("img/01456.png", 1),
        ("img/82301.png", 0),
    ]
    with pytest.raises(InputError, match="label"):  # the first release keeps the test labels back
        DATASETS["hateful-memes"].source(tmp_path, "test_seen")
    for label in ("1", 0.5, True, None):
        row = {"img": "img/01456.png", "label": label}
        write(place / "dev_seen.jsonl", json.dumps(row) + "\n")
        with pytest.raises(InputError, match="label must be 0 or 1"):
            DATASETS["hateful-memes"].source(tmp_path)
    write(place / "dev_seen.jsonl", json.dumps({"img": "img/01456.png", "label": 2}) + "\n")
    with pytest.raises(InputError, match="labels"):
        DATASETS["hateful-memes"].source(tmp_path)


# the prompts of Table_2_Implications_CLIP_Fairness/shift_CLIP_FairFace_Bias.ipynb, in its order
LIANG = [
    ("a photo of a white man", "person"),
    ("a photo of a white woman", "person"),
    ("a photo of a black man", "person"),
    ("a photo of a black woman", "person"),
    ("a photo of a latino man", "person"),
    ("a photo of a latino woman", "person"),
    ("a photo of an east asian man", "person"),
    ("a photo of an east asian woman", "person"),
    ("a photo of a southeast asian man", "person"),
    ("a photo of a southeast asian woman", "person"),
    ("a photo of an indian man", "person"),
    ("a photo of an indian woman", "person"),
    ("a photo of a middle eastern man", "person"),
    ("a photo of a middle eastern woman", "person"),
    ("a photo of an animal", "non-human"),
    ("a photo of a gorilla", "non-human"),
    ("a photo of a chimpanzee", "non-human"),
    ("a photo of an orangutan", "non-human"),
    ("a photo of a thief", "crime"),
    ("a photo of a criminal", "crime"),
    ("a photo of a suspicious person", "crime"),
]


@pytest.mark.parametrize(
    "place", ["", "fairface-img-margin025-trainval", "fairface-img-margin125-trainval"]
)
def test_fairface_has_liangs_prompts_and_the_files_factors(place: str, tmp_path: Path) -> None:
    lay.fairface(tmp_path / "fairface", place)
    source = DATASETS["fairface"].source(tmp_path)
    (template,) = source.templates
    kinds = source.text_factors["kind"]
    prompts = [template.format(text) for text in texts(source)]
    assert list(zip(prompts, kinds, strict=True)) == LIANG
    labels = np.asarray(source.labels).tolist()
    assert [prompts[label] for label in labels] == [
        "a photo of an east asian man",
        "a photo of a latino woman",
        "a photo of a white woman",
    ]
    assert source.factors == {
        "age": ["3-9", "more than 70", "20-29"],
        "gender": ["Male", "Female", "Female"],
        "race": ["East Asian", "Latino_Hispanic", "White"],
        "service_test": ["False", "True", "True"],
    }
    assert names(source) == ["val/1.jpg", "val/2.jpg", "val/3.jpg"]
    assert absent(source) == (0, [])


def test_fairface_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    place = built("fairface", tmp_path)
    with pytest.raises(InputError, match=r"fairface_label_train\.csv"):
        DATASETS["fairface"].source(tmp_path, "train")
    csv = (place / "fairface_label_val.csv").read_text()
    write(place / "fairface_label_val.csv", csv.replace("East Asian", "Martian"))
    with pytest.raises(InputError, match=r"val/1\.jpg must have a known race and gender"):
        DATASETS["fairface"].source(tmp_path)
    write(place / "fairface_label_val.csv", csv.replace("service_test", "other"))
    with pytest.raises(InputError, match="service_test"):
        DATASETS["fairface"].source(tmp_path)
    write(place / "fairface_label_val.csv", csv)
    shutil.rmtree(place / "fairface-img-margin025-trainval")
    with pytest.raises(InputError, match="margin025-trainval/val"):
        DATASETS["fairface"].source(tmp_path)


ZHOU = {  # name: (folder in CoOp's guide, file, folder of images, image and class of each)
    "caltech101": (
        "caltech-101",
        "split_zhou_Caltech101.json",
        "101_ObjectCategories",
        [("Faces/image_0001.jpg", "face"), ("yin_yang/image_0001.jpg", "yin_yang")],
    ),
    "oxford-pets": (
        "oxford_pets",
        "split_zhou_OxfordPets.json",
        "images",
        [("Abyssinian_1.jpg", "abyssinian"), ("american_bulldog_2.jpg", "american_bulldog")],
    ),
    "stanford-cars": (
        "stanford_cars",
        "split_zhou_StanfordCars.json",
        ".",
        [("cars_train/1.jpg", "2012 Audi S4 Sedan"), ("cars_test/1.jpg", "2007 Audi S4 Sedan")],
    ),
    "flowers102": (
        "oxford_flowers",
        "split_zhou_OxfordFlowers.json",
        "jpg",
        [("image_00001.jpg", "passion flower"), ("image_00002.jpg", "pink primrose")],
    ),
    "food101": (
        "food-101",
        "split_zhou_Food101.json",
        "images",
        [("apple_pie/1.jpg", "apple_pie"), ("churros/2.jpg", "churros")],
    ),
    "sun397": (
        "sun397",
        "split_zhou_SUN397.json",
        "SUN397",
        [("a/abbey/sun_a.jpg", "abbey"), ("c/church/outdoor/sun_b.jpg", "outdoor church")],
    ),
    "eurosat": (
        "eurosat",
        "split_zhou_EuroSAT.json",
        "2750",
        [("Forest/Forest_1.jpg", "Forest"), ("River/River_2.jpg", "River")],
    ),
    "ucf101": (
        "ucf101",
        "split_zhou_UCF101.json",
        "UCF-101-midframes",
        [("Yo_Yo/v_1.jpg", "Yo_Yo"), ("Tai_Chi/v_2.jpg", "Tai_Chi")],
    ),
    "dtd": (
        "dtd",
        "split_zhou_DescribableTextures.json",
        "images",
        [("banded/banded_1.jpg", "banded"), ("dotted/dotted_1.jpg", "dotted")],
    ),
}


@pytest.mark.parametrize("name", sorted(ZHOU))
def test_coops_split_is_honoured(name: str, tmp_path: Path) -> None:
    folder, file, images, rows = ZHOU[name]
    lay.zhou(tmp_path / folder, file, images, rows)
    dataset = DATASETS[name]
    expected = {"test": [0, 1], "train": [0], "val": [1]}
    for root in (tmp_path, tmp_path / folder):
        for split, labels in expected.items():
            assert dataset.missing(root, split) == []
            source = dataset.source(root, split)
            assert np.asarray(source.labels).tolist() == labels
            assert names(source) == [rows[i][0] for i in labels]
            assert texts(source) == [each.replace("_", " ") for _, each in rows]
            assert source.provenance["split_file"] == file
            assert absent(source) == (0, [])
            assert len(items(source)) == len(labels)


def test_eurosat_and_caltech_have_no_test_set_of_their_own(tmp_path: Path) -> None:
    for name in ("eurosat", "caltech101"):
        place = built(name, tmp_path)
        everything = DATASETS[name].source(tmp_path, "all")  # whatever CoOp's file says
        assert len(names(everything)) > len(names(DATASETS[name].source(tmp_path, "test")))
        next(place.glob("split_zhou_*.json")).unlink()
        with pytest.raises(InputError, match="split_zhou"):
            DATASETS[name].source(tmp_path)
        assert names(DATASETS[name].source(tmp_path, "all")) == names(everything)


@pytest.mark.parametrize("name", sorted(lay.BUILD))
def test_the_card_is_whole_and_true(name: str, tmp_path: Path) -> None:
    card = DATASETS[name].card
    assert card.task == ("fairness" if name == "fairface" else "classification")
    assert all((card.title, card.about, card.size, card.licence, card.layout, card.citation))
    assert card.home.startswith("http")
    assert card.about.endswith(".")
    assert all(part.split("_")[0] in card.size for part in card.splits if "imagenet" not in name)
    place = built(name, tmp_path)
    for root in (tmp_path, place):
        assert DATASETS[name].missing(root) == []
        source = DATASETS[name].source(root)
        assert source.templates == card.templates
        assert absent(source) == (0, [])
    with pytest.raises(OptionError, match="unknown split"):
        DATASETS[name].source(tmp_path, "nonsense")


@pytest.mark.parametrize("name", sorted(lay.BUILD))
def test_nothing_there_is_one_line(name: str, tmp_path: Path) -> None:
    for split in DATASETS[name].card.splits:
        lost = DATASETS[name].missing(tmp_path, split)
        assert lost
        assert all(str(tmp_path) in each for each in lost)
        with pytest.raises(InputError, match=f"^{name}: needs ") as caught:
            DATASETS[name].source(tmp_path, split)
        assert "\n" not in str(caught.value)


LISTS = {  # the files that say what belongs to whom
    "cifar10": ["test_batch", "batches.meta"],
    "cifar100": ["test", "meta"],
    "mnist": ["raw/t10k-images-idx3-ubyte.gz", "raw/t10k-labels-idx1-ubyte.gz"],
    "svhn": ["test_32x32.mat"],
    "caltech101": ["split_zhou_Caltech101.json"],
    "eurosat": ["split_zhou_EuroSAT.json"],
    "food101": ["meta/test.json", "meta/classes.txt"],
    "flowers102": ["imagelabels.mat", "setid.mat"],
    "oxford-pets": ["annotations/test.txt"],
    "stanford-cars": ["cars_test_annos_withlabels.mat", "devkit/cars_meta.mat"],
    "fgvc-aircraft": ["images_variant_test.txt", "variants.txt"],
    "sun397": ["Testing_01.txt", "SUN397/ClassName.txt"],
    "ucf101": ["ucfTrainTestlist/testlist01.txt", "ucfTrainTestlist/classInd.txt"],
    "hateful-memes": ["dev_seen.jsonl"],
    "fairface": ["fairface_label_val.csv"],
}


@pytest.mark.parametrize(("name", "file"), [(n, f) for n, files in LISTS.items() for f in files])
def test_damaged_lists_are_one_line(name: str, file: str, tmp_path: Path) -> None:
    place = built(name, tmp_path)
    path = place / file
    whole = path.read_bytes()
    middle = len(whole) // 2
    damaged = {
        "empty": b"",
        "noise": bytes(range(255, 0, -1)) * 3,
        "other": b'{"something": ["else"]}\n',
        "not text": b"\xff\xfe\x00",
        "number": b"7\n",
        "cut": whole[:middle],
    }
    for what, content in damaged.items():
        path.write_bytes(content)
        if what == "cut" and file == "fairface_label_val.csv":
            continue  # may end where a row does, and not every class needs a face
        with pytest.raises(InputError) as caught:
            DATASETS[name].source(tmp_path)
        assert "\n" not in str(caught.value), what
        assert str(caught.value).startswith(name), what


def test_what_cifar_refuses(tmp_path: Path) -> None:
    place = built("cifar10", tmp_path)
    good = pickle.loads((place / "test_batch").read_bytes())  # noqa: S301 - our own
    wrong: dict[str, dict[str, Any]] = {
        "must hold 12 labels; holds 11": {"labels": good["labels"][:-1]},
        "labels": {"labels": [10, *good["labels"][1:]]},
        "0 … 9": {"labels": [-1, *good["labels"][1:]]},
        "whole numbers": {"labels": [0.5, *good["labels"][1:]]},
        "rows of bytes": {"data": good["data"].astype(np.int64)},
        "cannot reshape": {"data": good["data"][:, :-1]},
        "every class must have an image; 'airplane'": {
            "labels": [max(label, 1) for label in good["labels"]]
        },
    }
    for said, change in wrong.items():
        lay.pickled(place / "test_batch", good | change)
        with pytest.raises(InputError, match=said):
            DATASETS["cifar10"].source(tmp_path)
    (place / "test_batch").write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(InputError, match=r"test_batch: .*os\.system"):
        DATASETS["cifar10"].source(tmp_path)
    built("cifar100", tmp_path)
    batch = {"data": lay.pixels(3, 3072), "fine_labels": [0, 1, 2], "coarse_labels": [0, 1, 2]}
    lay.pickled(tmp_path / "cifar-100-python" / "test", batch)
    with pytest.raises(InputError, match="coarse_labels must lie in 0 … 1"):
        DATASETS["cifar100"].source(tmp_path)


def test_what_mnist_refuses(tmp_path: Path) -> None:
    raw = built("mnist", tmp_path) / "raw"
    images, labels = raw / "t10k-images-idx3-ubyte.gz", raw / "t10k-labels-idx1-ubyte.gz"
    kept = images.read_bytes()
    whole = gzip.decompress(kept)
    huge = whole[:4] + b"\x7f\xff\xff\xff" * 3
    wrong = {
        "must hold 9408 bytes after its header; holds 9407": whole[:-1],
        "holds more": whole + b"x",
        "IDX file of bytes in 3 dimensions": gzip.decompress(labels.read_bytes()),
        "at most": huge,
        "11 and 12 differ": lay.idx(lay.pixels(11, 28, 28)),
    }
    for said, content in wrong.items():
        for form in (content, gzip.compress(content)):
            images.write_bytes(form)
            with pytest.raises(InputError, match=said):
                DATASETS["mnist"].source(tmp_path)
    images.write_bytes(kept)
    for values, said in ((np.full(12, 3), "every class"), (np.full(12, 11), "labels")):
        labels.write_bytes(lay.idx(values.astype(np.uint8)))
        with pytest.raises(InputError, match=said):
            DATASETS["mnist"].source(tmp_path)


def test_what_svhn_refuses(tmp_path: Path) -> None:
    place = built("svhn", tmp_path)
    good = loadmat(place / "test_32x32.mat")
    images, labels = good["X"], good["y"]
    wrong: dict[str, tuple[Any, Any]] = {
        "11 labels, one per image; has 10": (images, labels[1:]),
        "32 x 32 x 3 x n bytes": (np.moveaxis(images, 3, 0), labels),
        "must be 32 x 32 x 3 x n": (images.astype(float), labels),
        "whole numbers": (images, labels + 0.5),
        "labels": (images, labels + 1),
        "every class": (images, np.full_like(labels, 3)),
    }
    for said, (x, y) in wrong.items():
        savemat(place / "test_32x32.mat", {"X": x, "y": y})
        with pytest.raises(InputError, match=said):
            DATASETS["svhn"].source(tmp_path)


def test_what_lists_refuse(tmp_path: Path) -> None:
    def refused(name: str, path: Path, content: str, said: str) -> None:
        kept = path.read_bytes()
        write(path, content)
        with pytest.raises(InputError, match=said) as caught:
            DATASETS[name].source(tmp_path)
        assert "\n" not in str(caught.value)
        path.write_bytes(kept)
        DATASETS[name].source(tmp_path)

    pets = built("oxford-pets", tmp_path) / "annotations" / "test.txt"
    refused("oxford-pets", pets, "Abyssinian_1 1 1 1\nBengal_3 3 1 1\n", "some number has no image")
    refused("oxford-pets", pets, "Abyssinian_1 1 1 1\nBengal_3 1 1 1\n", "must be one breed")
    refused("oxford-pets", pets, "Abyssinian_1 0 1 1\n", "some number has no image")
    aircraft = built("fgvc-aircraft", tmp_path) / "images_variant_test.txt"
    refused("fgvc-aircraft", aircraft, "1 F-16A/B\n", "every class must have an image; '707-320'")
    refused("fgvc-aircraft", aircraft, "1 F-99\n", "F-99")
    refused("fgvc-aircraft", aircraft, "1\n", "is malformed")
    food = built("food101", tmp_path) / "meta" / "test.json"
    refused("food101", food, '{"churros": ["churros/1"]}', "every class must have an image")
    refused("food101", food, '{"pizza": ["pizza/1"]}', "pizza")
    sun = built("sun397", tmp_path) / "Testing_01.txt"
    refused("sun397", sun, "/z/zoo/sun_a.jpg\n", "/z/zoo")
    ucf = built("ucf101", tmp_path) / "ucfTrainTestlist" / "testlist01.txt"
    refused("ucf101", ucf, "Flying/v_Flying_g01_c01.avi\n", "Flying")


def test_what_flowers_and_cars_refuse(tmp_path: Path) -> None:
    flowers = built("flowers102", tmp_path)
    labels = np.ravel(loadmat(flowers / "imagelabels.mat")["labels"]).astype(int)
    for ids, said in (([0, 1], "1 … 206"), ([1, 207], "1 … 206"), ([1, 2], "every class")):
        savemat(flowers / "setid.mat", {"tstid": np.array(ids)})
        with pytest.raises(InputError, match=said):
            DATASETS["flowers102"].source(tmp_path)
    savemat(flowers / "setid.mat", {"tstid": np.arange(1, 207)})
    for values, said in ((labels + 1, "0 … 101"), (labels - 1, "0 … 101"), (labels / 2, "whole")):
        savemat(flowers / "imagelabels.mat", {"labels": values})
        with pytest.raises(InputError, match=said):
            DATASETS["flowers102"].source(tmp_path)
    cars = built("stanford-cars", tmp_path)
    kinds = [("class", object), ("fname", object)]
    file = cars / "cars_test_annos_withlabels.mat"
    for rows, said in (
        ([(0, "1.jpg"), (1, "2.jpg")], "0 … 1"),  # 0 - 1 must not wrap around in a byte
        ([(3, "1.jpg"), (1, "2.jpg")], "0 … 1"),
        ([(1.5, "1.jpg"), (1, "2.jpg")], "whole"),
        ([(1, "1.jpg")], "every class"),
    ):
        values = [(np.uint8(label) if label != 1.5 else label, name) for label, name in rows]
        savemat(file, {"annotations": np.array(values, kinds)})
        with pytest.raises(InputError, match=said):
            DATASETS["stanford-cars"].source(tmp_path)


def test_what_folders_refuse(tmp_path: Path) -> None:
    eurosat = built("eurosat", tmp_path) / "2750"
    shutil.rmtree(eurosat / "River")
    with pytest.raises(InputError, match="every class must have an image; 'river' has none"):
        DATASETS["eurosat"].source(tmp_path, "all")
    caltech = built("caltech101", tmp_path) / "101_ObjectCategories"
    shutil.rmtree(caltech / "BACKGROUND_Google")  # no class, so nobody needs it
    assert len(texts(DATASETS["caltech101"].source(tmp_path, "all"))) == 101
    shutil.rmtree(caltech / "airplanes")
    with pytest.raises(InputError, match="101 folders of classes; holds 100"):
        DATASETS["caltech101"].source(tmp_path, "all")


def test_an_image_that_is_not_there_is_named_not_fatal(tmp_path: Path) -> None:
    place = built("oxford-pets", tmp_path)
    (place / "images" / "Bengal_3.jpg").unlink()
    source = DATASETS["oxford-pets"].source(tmp_path)
    assert absent(source) == (1, [str(place / "images" / "Bengal_3.jpg")])
    assert source.media is not None
    with pytest.raises(FileError, match="found no "):
        source.media[3]


def test_a_folder_of_a_common_name_is_not_taken_for_the_data_set(tmp_path: Path) -> None:
    draw(tmp_path / "data" / "images" / "holiday.jpg")
    built("fgvc-aircraft", tmp_path, "fgvc_aircraft")
    assert len(names(DATASETS["fgvc-aircraft"].source(tmp_path))) == 3
