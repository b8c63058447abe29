"""The report: one whole file, escaped, the same for the same input; figures for a paper."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest

import modalgap as mg
from modalgap import errors
from modalgap.measure.names import GROUPS
from modalgap.measure.registry import MEASURES
from modalgap.report import figures, save_figures, table, verb
from modalgap.report.draw import PICTURES
from modalgap.report.draw.base import apart
from modalgap.report.palette import DARK, LIGHT, STAND_IN
from modalgap.views import views

EVIL = "<script>window.hacked=1</script>"


def make_pair(n: int = 40, dim: int = 8, **sides: Any) -> mg.Pair:
    """Two cones with a gap of one offset."""
    random = np.random.default_rng(0)
    content = random.normal(size=(n, dim)) * 0.5
    image = content + random.normal(size=(n, dim)) * 0.1 + 2 * np.eye(dim)[0]
    text = content + random.normal(size=(n, dim)) * 0.1 - 2 * np.eye(dim)[1]
    given = {"modality": ("image", "text"), **sides}
    images, texts = (
        mg.Embeddings(rows, **{key: values[at] for key, values in given.items()})
        for at, rows in enumerate((image, text))
    )
    return mg.Pair(images, texts)


@pytest.fixture(scope="module")
def pair() -> mg.Pair:
    return make_pair()


@pytest.fixture(scope="module")
def result(pair: mg.Pair) -> mg.Result:
    return mg.measure(pair)


@pytest.fixture(scope="module")
def html(pair: mg.Pair, result: mg.Result) -> str:
    return verb.render(result, views(pair, result))


class Elements(HTMLParser):
    """Every element and attribute of a page, and its text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(key, value or "") for key, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, key: str) -> list[str]:
        return [value for name, value in self.attributes if name == key]


def svgs(html: str) -> list[str]:
    return re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)


def test_the_page_holds_every_part(html: str, result: mg.Result) -> None:
    found = Elements(html)
    assert len(svgs(html)) == len(PICTURES) == 6
    for name in result:
        assert f"<code>{name}</code>" in html
    for reason in result.skipped.values():
        assert reason in found.text
    assert str(result.pair["fingerprint"]) in found.text
    assert all(label.split(".")[1] for label in found.all("aria-label")[1:])
    assert found.all("lang") == ["en"]
    assert len(html) < 2_000_000


def test_the_page_is_one_file_without_script_or_network(html: str) -> None:
    found = Elements(html)
    assert not {"script", "iframe", "object", "img", "base", "form"} & set(found.tags)
    assert not [key for key, _ in found.attributes if key.startswith("on")]
    for key in ("href", "src", "xlink:href"):
        assert all(value.startswith(("#", "data:,")) for value in found.all(key))
    assert not re.search(r"url\((?!#)|@import|https?://", html)
    assert "default-src 'none'" in html


def test_ids_are_unique_and_every_reference_has_one(html: str) -> None:
    found = Elements(html)
    ids = found.all("id")
    assert len(ids) == len(set(ids))
    used = {value[1:] for value in found.all("href") if value.startswith("#")}
    used |= set(re.findall(r"url\(#([^)]+)\)", html)) | set(found.all("aria-labelledby"))
    assert used <= set(ids)


def test_pictures_take_the_colours_of_the_page(html: str) -> None:
    for drawing in svgs(html):
        assert not re.search(r"#[0-9a-f]{6}\b", drawing)
        assert set(re.findall(r"var\(--(\w+)\)", drawing)) <= set(LIGHT.css())
        assert "<text" in drawing
        assert "font-family" not in drawing
    assert not [colour for colour in STAND_IN.css().values() if colour in html]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_contrast_is_enough_to_read(theme: Any) -> None:
    def light(colour: str) -> float:
        parts = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    def contrast(one: str, other: str) -> float:
        low, high = sorted((light(one), light(other)))
        return (high + 0.05) / (low + 0.05)

    for name in ("ink", "muted", "image", "text", "matched", "unmatched"):
        assert contrast(getattr(theme, name), theme.paper) >= 4.5, name
        if name in ("ink", "muted"):
            assert contrast(getattr(theme, name), theme.panel) >= 4.5, name
    assert min(contrast(step, theme.paper) for step in theme.ramp) >= 2.5


def test_everything_from_the_data_is_escaped(tmp_path: Path) -> None:
    odd = make_pair(
        modality=('im"><b onload=x>\n$x^2$', "音 & <i>text</i>"),
        names=(
            [f"{EVIL} {row}" for row in range(40)],
            [f"'\"><img src=x> {row}" for row in range(40)],
        ),
        provenance=({"model": EVIL}, {EVIL: "<u>"}),
    )
    made = mg.report(odd, tmp_path / "r.html", title=f"</title>{EVIL}").read_text("utf-8")
    found = Elements(made)
    assert not {"script", "img", "u"} & set(found.tags)
    assert not [key for key, _ in found.attributes if key.startswith("on")]
    for raw in ("<script", "<b onload", "<i>text", "<u>", "<img"):
        assert raw not in made
    for told in (EVIL, "<img src=x>", "<i>text</i>", '"><b onload=x>', "</title>"):
        assert told in found.text


def test_same_input_and_seed_give_the_same_bytes(
    pair: mg.Pair, result: mg.Result, html: str, tmp_path: Path
) -> None:
    again = mg.report(pair, tmp_path / "again.html", result=result)
    assert again.read_bytes() == html.encode()
    large = make_pair(n=1200)
    shown = [views(large, result, seed).pca for seed in (0, 0, 1)]
    points = [each.points[0].tobytes() for each in shown if each is not None]
    assert points[0] == points[1] != points[2]


def test_a_file_is_replaced_only_when_asked_and_whole(
    pair: mg.Pair, result: mg.Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "r.html"
    target.write_text("mine")
    with pytest.raises(errors.OutputError, match=r"r\.html"):
        mg.report(pair, target, result=result)
    monkeypatch.setattr(verb, "render", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        mg.report(pair, target, result=result, overwrite=True)
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("r.html", "mine")]
    monkeypatch.setattr(verb, "render", lambda *_, **__: "new \udcff")
    mg.report(pair, target, result=result, overwrite=True)
    assert target.read_text() == "new \\udcff"


def test_refusals_come_before_the_work(
    pair: mg.Pair, result: mg.Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "measure", lambda *_, **__: pytest.fail("measured"))
    (tmp_path / "figures").mkdir()
    taken = tmp_path / "figures" / "pca.svg"
    taken.write_text("mine")
    new = tmp_path / "r.html"
    with pytest.raises(errors.OutputError, match="nowhere"):
        mg.report(pair, tmp_path / "nowhere" / "r.html")
    with pytest.raises(errors.OutputError, match=r"pca\.svg"):
        mg.report(pair, new, figures=tmp_path / "figures")
    with pytest.raises(errors.OutputError, match="folder"):
        mg.report(pair, new, figures=taken)
    with pytest.raises(errors.OptionError, match="jpeg"):
        mg.report(pair, new, figures=tmp_path, formats=("jpeg",))
    with pytest.raises(errors.OptionError, match="temperature"):
        mg.report(pair, new, result=result, temperature=0.1)
    with pytest.raises(errors.InputError, match="fingerprint"):
        mg.report(make_pair(n=41), new, result=result)
    with pytest.raises(errors.InputError, match="Pair"):
        mg.report(np.eye(3), new)
    assert taken.read_text() == "mine"
    assert not new.exists()


def test_figures_for_a_paper(pair: mg.Pair, result: mg.Result, tmp_path: Path) -> None:
    mine = dict(matplotlib.rcParams)
    drawn = figures(pair, result)
    with pytest.raises(errors.InputError, match="must be of this data"):
        figures(mg.Pair(pair.text, pair.image), result)
    assert list(drawn) == list(PICTURES)
    some = {name: drawn[name] for name in ("pca", "landscape")}
    written = save_figures(some, tmp_path / "new" / "folder", ("png", "svg", "pdf"))
    assert len(written) == 6
    assert dict(matplotlib.rcParams) == mine
    before = {path: path.read_bytes() for path in written}
    for path, content in before.items():
        if path.suffix == ".png":
            assert content.startswith(b"\x89PNG\r\n\x1a\n")
            assert int.from_bytes(content[16:20]) >= 1200  # pixels across
        elif path.suffix == ".pdf":
            assert content.startswith(b"%PDF-")
        else:
            assert ElementTree.fromstring(content).tag.endswith("svg")  # noqa: S314 - our own
            assert LIGHT.muted.encode() in content
    with pytest.raises(errors.OutputError, match="exist"):
        save_figures(some, tmp_path / "new" / "folder")
    save_figures(some, tmp_path / "new" / "folder", ("png", "svg", "pdf"), overwrite=True)
    assert {path: path.read_bytes() for path in written} == before


def test_the_landscape_marks_the_present_gap(pair: mg.Pair, result: mg.Result) -> None:
    details = result["loss_landscape"].details
    present = details["distance"][details["shift"].index(0.0)]
    assert present == pytest.approx(result["l2m"].value, rel=0.05)
    (drawn,) = figures(pair, result)["landscape"].axes
    lines = [float(line.get_xdata()[0]) for line in drawn.lines if line.get_linestyle() == "--"]
    assert lines == [present]
    assert any(text.get_text() == f"present gap {present:.2f}" for text in drawn.texts)
    dots = [line.get_xydata()[0] for line in drawn.lines if line.get_marker() == "o"]
    assert [abs(x) for x, _ in dots] == pytest.approx(details["lowest_distance"])
    assert [y for _, y in dots] == pytest.approx(details["lowest_loss"])


def test_views_are_of_the_data(pair: mg.Pair, result: mg.Result) -> None:
    shown = views(pair, result)
    assert shown.cosines is not None
    assert shown.pca is not None
    assert shown.profile is not None
    x, y = pair.image.unit().double().numpy(), pair.text.unit().double().numpy()
    cosine = x @ y.T
    own = np.diag(cosine)
    apart = ~np.eye(len(x), dtype=bool)
    means = [own.mean(), cosine[apart].mean(), (x @ x.T)[apart].mean(), (y @ y.T)[apart].mean()]
    assert list(shown.cosines.means.values()) == pytest.approx(means, abs=1e-6)
    order = (own[:, None, None] > cosine[apart][None, :, None]).mean()
    assert shown.cosines.order == pytest.approx(order)
    gap = x.mean(0) - y.mean(0)
    assert shown.profile.differences == pytest.approx(gap[shown.profile.dimensions])
    assert shown.closest[0].cosine == pytest.approx(own.max(), abs=1e-6)
    assert shown.farthest[0].image == f"row {own.argmin()}"
    pooled = np.concatenate([x, y])
    values = np.linalg.svd(pooled - pooled.mean(0), compute_uv=False) ** 2
    assert shown.pca.shares == pytest.approx(values[:2] / values.sum(), rel=1e-5)
    assert shown.pca.points[0][:, 0].mean() < shown.pca.points[1][:, 0].mean()


def test_a_gap_of_little_variance_leads(tmp_path: Path) -> None:
    """A gap that no principal component shows is apart in the first figure of the page."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(200, 6)) * [1, 1, 1, 0.1, 0, 0] + 8 * np.eye(6)[4]
    pair = mg.Pair(rows + 0.3 * np.eye(6)[5], rows - 0.3 * np.eye(6)[5])
    measured = mg.measure(pair, only=["per_dimension_gap", "l2m"])
    shown = views(pair, measured)
    assert shown.gap is not None
    assert shown.pca is not None
    image, text = shown.gap.points
    assert image[:, 0].max() < text[:, 0].min()
    assert shown.pca.points[0][:, 0].max() > shown.pca.points[1][:, 0].min()
    x, y = pair.image.unit().double().numpy(), pair.text.unit().double().numpy()
    along = (y.mean(0) - x.mean(0)) / np.linalg.norm(y.mean(0) - x.mean(0))
    assert text[:, 0].mean() - image[:, 0].mean() == pytest.approx(measured["l2m"].value)
    both = np.concatenate([x, y])
    both -= both.mean(0)
    assert np.concatenate([image, text])[:, 0] == pytest.approx(both @ along)
    orthogonal = both - np.outer(both @ along, along)
    axis = np.linalg.svd(orthogonal)[2][0]
    assert np.abs(np.concatenate([image, text])[:, 1]) == pytest.approx(np.abs(orthogonal @ axis))
    alone = views(pair, mg.measure(pair, only="cone")).gap  # no means in the result
    assert alone is not None
    assert alone.points[0] == pytest.approx(image)
    html = mg.report(pair, tmp_path / "r.html", result=measured).read_text("utf-8")
    titles = re.findall("<figure>\n<h3>(.*?)</h3>", html)
    assert titles[0] == "Along and across the gap"
    assert "do not mean that there is no gap" in html


def test_matched_pairs_are_never_counted_as_unmatched(result: mg.Result) -> None:
    random = np.random.default_rng(1)
    prompts, labels = np.eye(4, 6), np.arange(30) % 4
    images = prompts[labels] + 0.01 * random.normal(size=(30, 6))
    shown = views(mg.Pair(images, prompts, labels=labels), result)
    assert shown.cosines is not None
    assert shown.cosines.means["matched"] > 0.99
    assert abs(shown.cosines.means["unmatched"]) < 0.02
    assert shown.cosines.order == 1


def test_one_modality_alone(tmp_path: Path) -> None:
    side = make_pair().image
    made = Elements(mg.report(side, tmp_path / "one.html").read_text("utf-8"))
    assert made.tags.count("svg") == 2
    assert "cone_image" in made.text
    assert "two modalities; the data has one" in made.text


@pytest.mark.parametrize(
    "data",
    [
        make_pair(n=2),
        mg.Pair(np.eye(5), np.eye(5)),  # no gap
        mg.Pair(np.ones((9, 3)), -np.ones((9, 3))),  # no spread
        mg.Pair(np.ones((9, 1)), -np.ones((9, 1))),
        mg.Pair(np.eye(12, 5) + 1, np.eye(3, 5), labels=np.arange(12) % 3),
        mg.Pair(np.eye(4, 9), np.eye(8, 9) + 1, text_to_image=np.arange(8) // 2),
    ],
    ids=["two rows", "no gap", "no spread", "one dimension", "labels", "captions"],
)
def test_odd_data_still_has_a_report(data: mg.Pair, tmp_path: Path) -> None:
    made = Elements(mg.report(data, tmp_path / "r.html").read_text("utf-8"))
    assert "All numbers" in made.text
    assert not re.search(r"\b(nan|inf|infinity)\b", made.text, flags=re.IGNORECASE)


def test_a_part_of_the_measures(pair: mg.Pair, tmp_path: Path) -> None:
    made = Elements(mg.report(pair, tmp_path / "r.html", only=["l2m", "cone"]).read_text("utf-8"))
    assert made.tags.count("svg") == 3  # the pictures that need no measure
    assert "l2i" not in made.text


def test_every_measure_has_a_home_in_the_table(result: mg.Result) -> None:
    assert {each.card.group for each in MEASURES.values()} == set(GROUPS)
    assert {row.name for _, rows in table.groups(result) for row in rows} == set(result)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.85135, "0.8514"), (1.0, "1.000"), (0.0, "0.0000"), (-1.7945, "−1.794"), (495.808, "495.8")],
)
def test_numbers_in_the_table(value: float, text: str) -> None:
    assert table._text(value, table.decimals(value)) == text


def test_labels_do_not_touch() -> None:
    placed = apart([1.0, 1.01, 1.02, 5.0], 0.5)
    assert np.all(np.diff(placed) >= 0.5 - 1e-6)
    assert placed[-1] == 5.0
    assert np.mean(placed[:3]) == pytest.approx(1.01)
