"""MAD's shapes: what is measured before and after, against a plain reference, and its digits."""

from __future__ import annotations

import gzip
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cv2")
pytest.importorskip("skimage")

from scipy import ndimage

from modalgap import errors
from modalgap.data.mad import FACTORS, VARIANTS, WORDS, Digits, digits
from modalgap.data.mad import morphology as m
from modalgap.data.mad.store import draws

ROOT = Path(__file__).resolve().parents[2]
COUNT = 48
EIGHT = np.ones((3, 3), int)


@pytest.fixture(scope="module")
def plain() -> Any:
    """The reference of bench/mad.py, one image at a time through scikit-image."""
    sys.path.insert(0, str(ROOT))
    try:
        from bench import mad
    finally:
        sys.path.remove(str(ROOT))
    return mad


@pytest.fixture(scope="module", params=["embedded", "mnist"])
def images(request: pytest.FixtureRequest, shared_data: Callable[[str], Path]) -> Any:
    source = shared_data("mnist/raw") if request.param == "mnist" else None
    return digits(source, limit=COUNT).images


def pieces(binary: Any) -> Any:
    return np.array([ndimage.label(each, EIGHT)[1] for each in binary])


def ink(binary: Any) -> Any:
    return binary.sum((1, 2)).astype(float)


# factors ----------------------------------------------------------------------------------------


def test_words_and_variants() -> None:
    assert list(FACTORS) == ["digit", "thickness", "swelling", "fracture", "scale", "colour"]
    assert [len(words) for words in FACTORS.values()] == [10, 3, 2, 2, 2, 7]
    assert len(set(WORDS)) == len(WORDS) == 26
    assert all(word.isalpha() and word.islower() and word.isascii() for word in WORDS)
    assert VARIANTS.shape == (24, 4)
    assert len(np.unique(VARIANTS, axis=0)) == 24
    assert (VARIANTS.max(0) == [2, 1, 1, 1]).all()


# before and after -------------------------------------------------------------------------------


def test_thickness(images: Any) -> None:
    before = m.measure(m.enlarge(images))
    thin, thick = m.measure(m.thin(before)), m.measure(m.thicken(before))
    assert (thin.thickness < 0.7 * before.thickness).all()
    assert (thick.thickness > 1.2 * before.thickness).all()
    assert (ink(thin.binary) < ink(before.binary)).all()
    assert (ink(thick.binary) > 1.3 * ink(before.binary)).all()
    assert not (thin.binary & ~before.binary).any()
    assert not (before.binary & ~thick.binary).any()
    # strokes stay where they were: blobs close, but lines keep most of their length
    length = ink(thick.skeleton) / ink(before.skeleton)
    assert 0.7 < np.median(length) < 1.1


def test_a_disc_takes_as_much_as_it_says() -> None:
    bar = np.zeros((2, m.FINE, m.FINE), np.bool_)
    bar[0, 50:61, 20:90] = True  # 11 wide: 6 deep in the middle
    bar[1, 20:90, 40:57] = True  # 17 wide
    found = m.measure(bar)
    assert found.thickness == pytest.approx([12, 18], abs=0.8)
    assert m.thin(found)[0, :, 55].sum() == 11 - 2 * int(0.35 * found.thickness[0])
    assert m.thicken(found)[1, 55].sum() == 17 + 2 * int(0.35 * found.thickness[1])
    assert m.thicken(found, 0.0).tolist() == bar.tolist()


def test_swelling(images: Any) -> None:
    before = m.measure(m.enlarge(images))
    draw = draws(3, 0, len(images))[:, 0, 0]
    after = m.swell(before, draw)
    assert (ink(after) > ink(before.binary)).all()
    changed = after != before.binary
    radius = 7 * np.sqrt(before.thickness / 4) / 2 * 4
    _, centre = m._choose(before.skeleton, draw[:, None])
    for each, (y, x), r in zip(changed, centre[:, 0], radius, strict=True):
        rows, columns = np.nonzero(each)
        assert (np.hypot(rows - y, columns - x) <= r).all()  # nothing changes elsewhere
        assert len(rows)


def test_fractures(images: Any) -> None:
    before = m.measure(m.enlarge(images))
    after = m.fracture(before.binary, before.skeleton, draws(3, 0, len(images))[:, 0, 1:4])
    assert not (after & ~before.binary).any()
    share = ink(after) / ink(before.binary)
    assert share.max() < 0.98
    assert np.median(share) < 0.9
    holes = pieces(~before.binary) - pieces(~after)  # a ring that is cut once is one piece
    assert ((pieces(after) > pieces(before.binary)) | (holes > 0)).mean() > 0.95


def test_a_bar_is_cut_straight_across() -> None:
    bars = np.zeros((2, m.FINE, m.FINE), np.bool_)
    bars[0, 50:61, 20:90] = True
    bars[1] = bars[0].T
    draw = np.full((2, 1), 0.5, np.float32)
    cut = m.fracture(bars, m.skeletons(bars), draw)
    for each in (cut[0], cut[1].T):
        columns = np.flatnonzero(~each[50:61].any(0) & (np.arange(m.FINE) > 20))
        columns = columns[columns < 90]
        assert 5 <= len(columns) <= 7
        assert 45 < columns.mean() < 65
        assert (each[50:61].sum(0)[20:90] > 0).sum() + len(columns) == 70
    assert pieces(cut).tolist() == [2, 2]


def test_scale(images: Any) -> None:
    small = m.shrink(images, draws(0, 0, len(images))[:, 0, -2:])

    def extents(of: Any) -> Any:
        return np.array([np.ptp(np.nonzero(each > 40), axis=1) + 1 for each in of])

    ratio = extents(small) / extents(images)
    assert abs(np.median(ratio) - 0.75) < 0.06
    total = small.sum((1, 2), dtype=float) / images.sum((1, 2), dtype=float)
    assert abs(total - 0.75**2).max() < 0.03

    def middle(of: Any) -> Any:
        return np.array([ndimage.center_of_mass(each) for each in of])

    moved = middle(small) - 13.5 - 0.75 * (middle(images) - 13.5)
    places = np.unique(np.round(moved + 0.5), axis=0)
    assert set(places.reshape(-1)) == {-1.0, 0.0, 1.0}


def test_looks_of_a_digit_differ(images: Any) -> None:
    made = m.vary_all(images, draws(0, 0, len(images)))
    flat = made.reshape(len(images), 24, -1).astype(int)
    for each in flat:
        apart = np.abs(each[:, None] - each).mean(2)
        assert apart[~np.eye(24, dtype=bool)].min() > 0.2


def test_images_without_strokes_and_full_ones() -> None:
    odd = np.zeros((5, 28, 28), np.uint8)
    odd[1] = 255
    odd[2, 14, 14] = 255
    odd[3, 0, 0] = 1
    odd[4, :, :3] = 200
    made = m.vary_all(odd, draws(0, 0, 5))
    assert not made[0].any()
    assert made[1, 0].min() == 255
    assert not m.vary_all(odd[:1], draws(0, 0, 1)).any()
    assert m.vary_all(odd[:0], draws(0, 0, 1)[:0]).shape == (0, 24, 28, 28)


def test_others_in_the_batch_change_nothing(images: Any) -> None:
    draw = draws(0, 0, len(images))
    few = m.vary_all(images[5:7], draw[5:7])
    np.testing.assert_array_equal(few, m.vary_all(images, draw)[5:7])


# against the plain way --------------------------------------------------------------------------


def overlap(one: Any, other: Any) -> float:
    return float((one & other).sum() / max((one | other).sum(), 1))


def test_measured_as_scikit_image_does(images: Any, plain: Any) -> None:
    found, ratios = m.measure(m.enlarge(images)), []
    for i, image in enumerate(images):
        binary = plain.enlarged(image)
        assert overlap(found.binary[i], binary) > 0.99
        reference = plain.Plain(found.binary[i])
        assert found.thickness[i] == pytest.approx(reference.thickness, rel=0.1)
        ratios.append(found.thickness[i] / reference.thickness)
        near = ndimage.distance_transform_edt(~reference.skeleton)
        assert near[found.skeleton[i]].max() <= 2
        # the distances are those of an exact map
        on = found.skeleton[i]
        assert found.thickness[i] == pytest.approx(2 * reference.distance[on].mean(), rel=1e-5)
    assert np.median(ratios) == pytest.approx(1, abs=0.015)


def test_deep_blobs_are_measured_exactly() -> None:
    y, x = np.mgrid[: m.FINE, : m.FINE]
    discs = np.stack([np.hypot(y - 56, x - 56) < r for r in (8, 15, 30, 50)])
    discs[3, 56, 20:90] = False
    found = m.measure(discs)
    for i, disc in enumerate(discs):
        exact = ndimage.distance_transform_edt(disc)[found.skeleton[i]].mean()
        assert found.thickness[i] == pytest.approx(2 * exact, rel=1e-5)
    rows, columns = np.nonzero(discs[3])
    each = np.full(len(rows), 3)
    got = m.nearest(discs, each[::50], rows[::50], columns[::50])
    exact = ndimage.distance_transform_edt(discs[3])[rows[::50], columns[::50]]
    np.testing.assert_allclose(got, exact, rtol=1e-12)


def test_discs_are_thresholds_of_an_exact_map(images: Any) -> None:
    found = m.measure(m.enlarge(images))
    radius = 0.7 * found.thickness / 2
    for i, binary in enumerate(found.binary):
        padded = np.pad(binary, 1)
        inside = ndimage.distance_transform_edt(padded)[1:-1, 1:-1]
        np.testing.assert_array_equal(m.thin(found)[i], inside > radius[i])
        outside = ndimage.distance_transform_edt(~binary)
        np.testing.assert_array_equal(m.thicken(found)[i], outside <= radius[i])
        if i == 8:
            break


def test_shapes_as_scikit_image_makes_them(images: Any, plain: Any) -> None:
    strokes = m.measure(m.enlarge(images))
    draw = draws(1, 0, len(images))[:, 0]
    which, point = m._choose(strokes.skeleton, draw[:, :1])
    _, places = m._choose(m._pruned(strokes.skeleton), draw[:, 1:4])
    assert len(which) == len(images)
    ours = {
        "thin": m.thin(strokes),
        "thick": m.thicken(strokes),
        "swollen": m.swell(strokes, draw[:, 0]),
        "fractured": m.fracture(strokes.binary, strokes.skeleton, draw[:, 1:4]),
    }
    agreed: dict[str, list[float]] = {name: [] for name in ours}
    for i, binary in enumerate(strokes.binary):
        reference = plain.Plain(binary)
        reference.skeleton = strokes.skeleton[i]
        made = {
            "thin": plain.thinned(reference),
            "thick": plain.thickened(reference),
            "swollen": plain.swollen(reference, 0, point[i, 0]),
            "fractured": plain.broken(reference, draw[i, 1:4], places[i]),
        }
        for name, each in made.items():
            agreed[name].append(overlap(ours[name][i], each))
            if name != "thin":  # whole radii take more of thin lines than they leave
                assert float(each.sum()) == pytest.approx(float(ours[name][i].sum()), rel=0.2)
    assert np.median(agreed["thin"]) > 0.7
    assert np.median(agreed["thick"]) > 0.93
    assert min(agreed["swollen"]) > 0.95
    assert np.median(agreed["fractured"]) > 0.95


def test_the_sizes_agree_with_pyramids(images: Any, plain: Any) -> None:
    made = m.vary_all(images, draws(0, 0, len(images)))[:, 0]
    for each, image in zip(made, images, strict=True):
        reference = plain.plain(image, VARIANTS[0], np.zeros(6))
        assert np.abs(each.astype(float) - reference).mean() < 8  # area against a Gaussian
        assert float(each.sum()) == pytest.approx(float(reference.sum()), rel=0.05)
        # and it is the digit that it was
        assert np.corrcoef(each.reshape(-1), image.reshape(-1))[0, 1] > 0.9


# digits -----------------------------------------------------------------------------------------


def test_embedded_digits() -> None:
    found = digits()
    assert len(found) == 1797
    assert abs(len(found.held_out) - 0.2 * 1797) < 1
    share = np.bincount(found.labels[found.held_out]) / np.bincount(found.labels)
    assert abs(share - 0.2).max() < 0.02
    middle = np.array([ndimage.center_of_mass(each) for each in found.images])
    assert abs(middle - 13.5).max() < 1
    tall = [np.ptp(np.nonzero(each > 60), axis=1).max() + 1 for each in found.images]
    assert 17 <= np.median(tall) <= 22
    assert digits(seed=1).held_out.tolist() != found.held_out.tolist()
    assert digits().fingerprint() == found.fingerprint()
    some = digits(limit=100, held_out=0.3)
    assert (len(some), len(some.held_out)) == (100, 30)


def idx(folder: Path, stem: str, pixels: Any, labels: Any, *, pack: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in (("images-idx3", pixels), ("labels-idx1", labels)):
        array = np.asarray(array, np.uint8)
        head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        content = head + array.tobytes()
        path = folder / f"{stem}-{name}-ubyte{'.gz' if pack else ''}"
        path.write_bytes(gzip.compress(content) if pack else content)


def noise(n: int) -> Any:
    return np.random.default_rng(0).integers(0, 255, (n, 28, 28), np.uint8)


@pytest.mark.parametrize("place", [".", "MNIST/raw", "raw"])
def test_idx_files(tmp_path: Path, place: str) -> None:
    pixels = noise(30)
    idx(tmp_path / place, "train", pixels[:20], np.arange(20) % 10)
    idx(tmp_path / place, "t10k", pixels[20:], np.arange(10), pack=True)
    found = digits(tmp_path)
    np.testing.assert_array_equal(found.images, pixels)
    assert found.held_out.tolist() == list(range(20, 30))
    some = digits(tmp_path, limit=15)
    assert len(some) == 15
    held = {each.tobytes() for each in pixels[20:]}
    inside = [each.tobytes() in held for each in some.images]
    assert np.flatnonzero(inside).tolist() == some.held_out.tolist()


def test_mnist(shared_data: Callable[[str], Path]) -> None:
    found = digits(shared_data("mnist/raw"))
    assert len(found) == 10_000
    assert len(found.held_out) == 2_000
    assert digits(shared_data("mnist"), limit=50).images.shape == (50, 28, 28)


def test_damaged_idx_files(tmp_path: Path) -> None:
    with pytest.raises(errors.FileError, match="must be a folder"):
        digits(tmp_path / "none")
    with pytest.raises(errors.FileError, match="needs t10k-images"):
        digits(tmp_path)
    idx(tmp_path, "t10k", noise(4), [1, 2, 3])
    with pytest.raises(errors.FileError, match="one label per image; 4 and 3 differ"):
        digits(tmp_path)
    idx(tmp_path, "t10k", noise(4), [1, 2, 3, 10])
    with pytest.raises(errors.FileError, match="must hold 0 … 9; holds 10"):
        digits(tmp_path)
    idx(tmp_path, "t10k", noise(4)[:, :20], [1, 2, 3, 4])
    with pytest.raises(errors.FileError, match="images of 28 x 28; they are 20 x 28"):
        digits(tmp_path)
    path = tmp_path / "t10k-images-idx3-ubyte"
    for content in (b"", b"junk", path.read_bytes()[:-1]):
        path.write_bytes(content)
        with pytest.raises(errors.FileError, match="t10k-images"):
            digits(tmp_path)
    path.unlink()
    with pytest.raises(errors.FileError, match="needs t10k-images-idx3"):
        digits(tmp_path)
    idx(tmp_path, "t10k", noise(1), [1])
    with pytest.raises(errors.FileError, match="at least 2 digits"):
        digits(tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"images": noise(3)[:, :20]}, r"must be \(n, 28, 28\); got \(3, 20, 28\)"),
        ({"images": noise(3).astype(float)}, "unsigned bytes; got float64"),
        ({"images": [1]}, "unsigned bytes; got list"),
        ({"images": noise(0)}, r"got \(0, 28, 28\)"),
        ({"labels": [1, 2]}, "one label per image; got 2 for 3"),
        ({"labels": [1, 2, 10]}, "labels must lie in 0 … 9; got 10"),
        ({"labels": [-1, 2, 3]}, "labels must lie in 0 … 9; got -1"),
        ({"labels": [0.5, 2, 3]}, "labels must be a list of integers"),
        ({"held_out": [3]}, "held_out must lie in 0 … 2; got 3"),
        ({"held_out": [1, 1]}, "must hold distinct positions"),
        ({"held_out": 1}, "held_out must be a list of integers"),
        ({"name": 3}, "name: must be a string"),
    ],
)
def test_digits_that_break_a_rule(change: dict[str, Any], reason: str) -> None:
    whole = {"images": noise(3), "labels": [1, 2, 3], "name": "n", "held_out": [0]}
    with pytest.raises(errors.InputError, match=reason):
        Digits(**(whole | change))


def test_options_of_digits() -> None:
    for option, value in (
        ("held_out", 0),
        ("held_out", 1.0),
        ("held_out", "x"),
        ("limit", 1),
        ("limit", True),
        ("seed", -1),
    ):
        with pytest.raises(errors.OptionError, match=f"^{option}: must be"):
            digits(**{option: value})  # type: ignore[arg-type]
    with pytest.raises(errors.InputError, match="must be a path; got int"):
        digits(3)  # type: ignore[arg-type]


def test_without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(errors.InputError, match=r"pip install 'modalgap\[train\]'"):
        m.opencv()
