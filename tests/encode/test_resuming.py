"""encode: alignment whatever cannot be read, resuming to the same bytes, shards, bad options."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import functions
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny
import torch
from encode.cases import Numbered, folder_of, run, stored
from patience import FULL, LIMIT, in_full, until

import modalgap as mg
from modalgap import errors
from modalgap.data import Documents, Pixels, Source
from modalgap.data.media import state
from modalgap.encode.engine import parts
from modalgap.work import work_folder

HERE = Path(__file__).parents[1]


@pytest.fixture(scope="module", autouse=True)
def _configs(tmp_path_factory: pytest.TempPathFactory) -> None:
    tiny.add_configs(tmp_path_factory.mktemp("configs"))


SLOW = """
import sys, time
sys.path.insert(0, {here!r})
import functions
from pathlib import Path
from modalgap.encode import Options, run
from modalgap.encode.engine import parts
parts.PATIENCE = 0.0
def slowly(batch):
    time.sleep(0.01)
    return functions.look(batch)
def count(texts):
    time.sleep(0.01)
    return functions.count(texts)
encoder = functions.encoder(media=slowly, texts=count)
print("ready", flush=True)
run(Path({source!r}), encoder, {output!r}, Options(batch_size=2, workers={workers}))
"""


def slow(source: Path, output: Path, workers: int) -> subprocess.Popen[str]:
    code = SLOW.format(here=str(HERE), source=str(source), output=str(output), workers=workers)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [pytest.param(0, marks=in_full), 2])
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(tmp_path: Path, workers: int) -> None:
    source = folder_of(tmp_path / "d", 60)
    (source / "031.png").write_bytes(b"junk")
    whole = tmp_path / "whole.safetensors"
    done = run(source, functions.encoder(), whole, batch_size=2)
    output = tmp_path / "o.safetensors"
    clock = random.Random(7)  # noqa: S311
    kills, most = 0, 5 if FULL else 3

    def partial() -> int:
        return len(list((tmp_path / "o.safetensors.parts").glob("*.safetensors")))

    while not output.exists() and kills < most:
        with slow(source, output, workers) as process:
            assert process.stdout is not None
            process.stdout.readline()
            before = partial()
            if kills % 2:  # once something is written; else while the run begins
                until(lambda before=before: partial() > before, process)
            time.sleep(clock.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
        kills += 1
    until(lambda: not workers_of(output))  # workers must not outlive their run
    assert kills >= most, "it must be killed before it is done, or nothing is tested"
    assert partial() >= 1
    again = run(source, functions.encoder(), output, batch_size=2)
    assert again.resumed > 0
    assert output.read_bytes() == whole.read_bytes()
    assert again.skipped == done.skipped
    assert not (tmp_path / "o.safetensors.parts").exists()


def workers_of(output: Path) -> list[str]:
    """Processes that still name ``output`` on their command line (Linux)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(output).encode() in path.read_bytes():
                found.append(path.parent.name)
    return found


def test_a_real_model_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted in process after every part, with open_clip's towers rather than functions."""
    source = folder_of(tmp_path / "d", 11)
    encoder = tiny.encoder()
    whole = run(source, encoder, tmp_path / "whole.safetensors", batch_size=2)
    monkeypatch.setattr(parts, "PATIENCE", 0.0)
    monkeypatch.setattr("modalgap.encode.engine.engine.WINDOW", 2)
    whole_short = run(source, encoder, tmp_path / "short.safetensors", batch_size=2)
    real = parts.SideParts.add
    left = 0

    def fail(self: parts.SideParts, *args: Any, **kwargs: Any) -> None:
        nonlocal left
        real(self, *args, **kwargs)
        left -= 1
        if left < 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(parts.SideParts, "add", fail)
    stops = 0
    while True:
        left = 1
        try:
            run(source, encoder, tmp_path / "o.safetensors", batch_size=2)
        except KeyboardInterrupt:
            stops += 1
            continue
        break
    assert stops > 4
    found = (tmp_path / "o.safetensors").read_bytes()
    assert found == (tmp_path / "short.safetensors").read_bytes()
    assert isinstance(whole.data, mg.Pair)
    assert isinstance(whole_short.data, mg.Pair)
    torch.testing.assert_close(whole.data.text.unit(), whole_short.data.text.unit())


def interrupted(source: Path, output: Path, **options: Any) -> None:
    """Leave an unfinished run behind."""

    def stop(texts: list[str]) -> torch.Tensor:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(source, functions.encoder(texts=stop), output, **options)
    assert output.with_name(f"{output.name}.parts").is_dir()


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    source, output = folder_of(tmp_path / "d", 5), tmp_path / "o.safetensors"
    interrupted(source, output, batch_size=2)
    with pytest.raises(errors.InputError, match=r"other settings \(batch_size: 2, now 3\)"):
        run(source, functions.encoder(), output, batch_size=3)
    with pytest.raises(errors.InputError, match='model: "functions", now "others"'):
        run(source, functions.encoder(spec="others"), output, batch_size=2)
    (source / "000.txt").write_text("now another")
    with pytest.raises(errors.InputError, match="the texts have changed"):
        run(source, functions.encoder(), output, batch_size=2)
    done = run(source, functions.encoder(), output, batch_size=3, overwrite=True)
    assert done.resumed == 0
    assert isinstance(done.data, mg.Pair)
    assert done.data.text.names is not None
    assert done.data.text.names[0] == "now another"


def test_damaged_parts_are_said(tmp_path: Path) -> None:
    source, output = folder_of(tmp_path / "d", 5), tmp_path / "o.safetensors"
    interrupted(source, output)
    folder = tmp_path / "o.safetensors.parts"
    for path in folder.glob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(errors.FileError, match=r"media-.*\.safetensors"):
        run(source, functions.encoder(), output)
    (folder / "plan.json").write_text("{")
    for text in ("{", "[1]", "3"):
        (folder / "plan.json").write_text(text)
        for overwrite in (False, True):
            with pytest.raises(errors.FileError, match="is damaged; remove"):
                run(source, functions.encoder(), output, overwrite=overwrite)


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    source, output = folder_of(tmp_path / "d", 3), tmp_path / "o.safetensors"
    theirs = tmp_path / "o.safetensors.parts"
    for name in ("notes.txt", "plan.json"):
        theirs.mkdir(exist_ok=True)
        (theirs / name).write_text('{"steps": []}')
        for overwrite in (False, True):
            with pytest.raises(errors.OutputError, match="of an unfinished run; found"):
                run(source, functions.encoder(), output, overwrite=overwrite)
        assert (theirs / name).read_text() == '{"steps": []}'
        (theirs / name).unlink()
    run(source, functions.encoder(), output)  # what a kill at the very start leaves is ours
    assert not theirs.exists()


def test_strict_stops_at_what_an_earlier_run_skipped(tmp_path: Path) -> None:
    source, output = folder_of(tmp_path / "d", 5), tmp_path / "o.safetensors"
    (source / "002.png").write_bytes(b"junk")
    interrupted(source, output)
    with pytest.raises(errors.InputError, match=r"002\.png: not an image"):
        run(source, functions.encoder(), output, strict=True)
    assert run(source, functions.encoder(), output).resumed == 5


def test_files_that_change_between_runs_are_other_settings(tmp_path: Path) -> None:
    table = pa.table({"jpg": [stored(i) for i in range(3)], "caption": list("abc")})
    pq.write_table(table, tmp_path / "a.parquet")
    changed = [
        (tmp_path / "a.parquet", lambda: os.utime(tmp_path / "a.parquet", ns=(5, 5))),
        (folder_of(tmp_path / "d", 3), lambda: os.utime(tmp_path / "d" / "001.png", ns=(5, 5))),
    ]
    for source, change in changed:
        output = tmp_path / f"{source.name}.npz"
        interrupted(source, output)
        change()
        with pytest.raises(errors.InputError, match=r"other settings \(the images, their names or"):
            run(source, functions.encoder(), output)
    media = [Pixels(np.full((3, 5, 5), i, np.uint8), list("abc")) for i in range(2)]
    documents = [Documents([f"{i}", "b", "c"], list("abc")) for i in range(2)]
    for one, other in (media, documents):
        assert list(state(one)) != list(state(other))


def test_the_output_is_not_what_is_read(tmp_path: Path) -> None:
    table = pa.table({"jpg": [stored(i) for i in range(3)], "caption": list("abc")})
    for name in ("a.parquet", "o-00000-of-00001.parquet"):
        pq.write_table(table, tmp_path / name)
    pq.write_table(table.select(["caption"]), tmp_path / "texts.parquet")
    photos = folder_of(tmp_path / "d", 3)
    (tmp_path / "l.npz").symlink_to(photos / "001.png")
    (tmp_path / "t.txt").write_text("a\nb\n")
    (tmp_path / "t.npz").symlink_to(tmp_path / "t.txt")
    for source, output in (
        ("a.parquet", "a.parquet"),
        ("texts.parquet", "texts.parquet"),
        ("o-00000-of-00001.parquet", "o.parquet"),
        ("d", "l.npz"),
        ("t.txt", "t.npz"),
    ):
        with pytest.raises(errors.OutputError, match="must not be a file that is being read"):
            run(tmp_path / source, functions.encoder(), tmp_path / output, overwrite=True)


def test_what_lies_beside_the_output_is_checked_first(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "d", 3)
    (tmp_path / "a.npz.skipped.jsonl").mkdir()
    with pytest.raises(errors.OutputError, match=r"skipped\.jsonl: must be a file; found a folder"):
        run(source, functions.encoder(), tmp_path / "a.npz")
    (tmp_path / "b-00000-of-00002.npz").write_text("of an earlier run")
    with pytest.raises(errors.OutputError, match=r"b-00000-of-00002\.npz: exists; replace"):
        run(source, functions.encoder(), tmp_path / "b.npz")
    run(source, functions.encoder(), tmp_path / "b.npz", overwrite=True)


def test_two_runs_of_one_output(tmp_path: Path) -> None:
    folder = tmp_path / "o.parts"
    code = f"""
from pathlib import Path
from modalgap.work import work_folder
with work_folder(Path({str(folder)!r}), {{}}, overwrite=False):
    pass
"""
    with work_folder(folder, {}, overwrite=False):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
    assert "OutputError" in done.stderr
    assert "another run is using it" in done.stderr


FULL_DISK = """
import resource, signal, sys
sys.path.insert(0, {here!r})
import functions
from pathlib import Path
from modalgap import errors
from modalgap.encode import Options, run
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
encoder = functions.encoder()
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))  # as a full disk: writing fails
try:
    run(Path({source!r}), encoder, {output!r}, Options(workers=0))
except errors.OutputError as error:
    print(error)
"""


def test_a_full_disk(tmp_path: Path) -> None:
    source, output = folder_of(tmp_path / "d", 40), tmp_path / "o.safetensors"
    code = FULL_DISK.format(here=str(HERE), source=str(source), output=str(output))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=LIMIT
    )
    assert "cannot be written (File too large)" in done.stdout, done.stderr
    assert not output.exists()
    run(source, functions.encoder(), output, workers=0)
    run(source, functions.encoder(), tmp_path / "whole.safetensors", workers=0)
    assert output.read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


class Deadly(Numbered):
    """The worker that opens number 5 dies, once."""

    def __init__(self, stored: list[Any], mark: Path) -> None:
        super().__init__(stored)
        self.mark = mark

    def __getitem__(self, position: int) -> Any:
        if position == 5 and not self.mark.exists():
            self.mark.write_text("")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(position)


def test_a_dead_worker(tmp_path: Path) -> None:
    def source(mark: str) -> Source:
        return Source(name="s", media=Deadly(list(range(12)), tmp_path / mark))

    (tmp_path / "calm").write_text("")
    run(source("calm"), functions.encoder(), tmp_path / "whole.safetensors", batch_size=2)
    output = tmp_path / "o.safetensors"
    with pytest.raises(mg.ModalgapError, match=r"a worker died.*run the same command again"):
        run(source("mark"), functions.encoder(), output, batch_size=2, workers=2)
    run(source("mark"), functions.encoder(), output, batch_size=2, workers=2)
    assert output.read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
