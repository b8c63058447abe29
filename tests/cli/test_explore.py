"""modalgap explore, as a user meets it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from commands import Run
from patience import LIMIT
from PIL import Image

import modalgap as mg


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with embeddings, and with their images and captions."""
    folder = tmp_path_factory.mktemp("explore")
    random = np.random.default_rng(0)
    names = [f"{k}.png" for k in range(24)]
    image, text = random.normal(size=(2, 24, 6)) + np.eye(6)[:2, None] * 3
    pair = mg.Pair(mg.Embeddings(image, names=names), mg.Embeddings(text, "text"))
    mg.save(pair, folder / "pair.safetensors")
    (folder / "photos").mkdir()
    for name in names:
        shade = tuple(random.integers(0, 255, 3).tolist())
        Image.new("RGB", (20, 20), shade).save(folder / "photos" / name)
    return folder


def test_the_page_is_written_with_thumbnails(run: Run, files: Path, tmp_path: Path) -> None:
    target = tmp_path / "explore.html"
    given = (files / "pair.safetensors", "-o", target, "--source", files / "photos")
    code, out, _ = run("explore", *given)
    assert (code, out.strip()) == (0, str(target))
    text = target.read_text("utf-8")
    assert "24 images and 24 texts" in text
    assert "not in the source" not in text
    code, _, error = run("explore", *given)
    assert code == 2
    assert "--force" in error
    assert run("explore", *given, "--force", "--points", 10)[0] == 0
    assert "10 of 24 images" in target.read_text("utf-8")


def test_the_page_is_by_default_explore_html(
    run: Run, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("explore", files / "pair.safetensors", "--points", 4)
    assert (code, out.strip()) == (0, "explore.html")
    assert [each.name for each in tmp_path.iterdir()] == ["explore.html"]


def test_the_table_alone_is_written(run: Run, files: Path, tmp_path: Path) -> None:
    target = tmp_path / "t.parquet"
    code, out, _ = run("explore", files / "pair.safetensors", "--table", target)
    assert (code, out.strip()) == (0, str(target))
    assert pq.read_metadata(target).num_rows == 48
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--model", "x:y"), "--serve"),
        (("--serve", "-o", "x.html"), "--serve"),
        (("--split", "test"), "--source"),
        (("-o", "x.txt"), ".html"),
        (("--points", "1"), "points"),
        (("--source", "nowhere"), "nowhere"),
    ],
)
def test_wrong_options_are_one_line(
    run: Run, files: Path, given: tuple[str, ...], words: str
) -> None:
    code, out, error = run("explore", files / "pair.safetensors", *given)
    assert (code, out) == (2, "")
    assert words in error
    assert "Traceback" not in error


def test_a_server_runs_until_it_is_interrupted(files: Path) -> None:
    command = [sys.executable, "-m", "modalgap", "explore", files / "pair.safetensors", "--serve"]
    started = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        assert started.stdout is not None
        address = started.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address, timeout=LIMIT) as page:  # noqa: S310 - it is http
            assert b"The modality gap" in page.read()
        started.send_signal(signal.SIGINT)
        _, error = started.communicate(timeout=LIMIT)
    finally:
        started.kill()
    assert "Traceback" not in error
    assert started.returncode in (0, 130)


def test_no_table_is_written_if_the_page_cannot_be(run: Run, files: Path, tmp_path: Path) -> None:
    (tmp_path / "x.html").mkdir()
    target = tmp_path / "t.parquet"
    given = (files / "pair.safetensors", "--table", target, "-o", tmp_path / "x.html")
    code, _, error = run("explore", *given)
    assert code != 0
    assert "folder" in error
    assert not target.exists()
