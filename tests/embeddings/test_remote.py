"""Files in an object store: the same bits as local files, and every failure in one line."""

from __future__ import annotations

import io
import pickle
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import Run
from embeddings.s3 import Server, serving
from numpy.typing import NDArray

import modalgap as mg
from modalgap import errors, files, ranges, remote
from modalgap.remote import Remote, location

N, D = 300, 8
RANDOM = np.random.default_rng(0)
IMAGE, TEXT = (RANDOM.normal(size=(N, D)).astype(np.float32) for _ in range(2))
NAMES = [f"caption {i} é" for i in range(N)]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as found:
        yield found


@pytest.fixture(autouse=True)
def here(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Credentials and address in the environment; vectors stay in the store; small windows."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "user")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "password")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.port}")
    monkeypatch.setattr(files, "SMALL", -1)
    monkeypatch.setattr(ranges, "WINDOW", 4096)
    monkeypatch.setattr(remote, "ATTEMPTS", 3)
    server.spoil = lambda *_: None
    remote._store.cache_clear()
    yield
    remote._store.cache_clear()


def pair() -> mg.Pair:
    return mg.Pair(
        mg.Embeddings(IMAGE, factors={"label": np.arange(N) % 3}),
        mg.Embeddings(TEXT, "text", names=NAMES),
    )


def write(path: Path, found: mg.Pair | None = None) -> Path:
    if path.suffix == ".npy":
        np.save(path, np.stack([IMAGE, TEXT]))
        return path
    return mg.save(found or pair(), path)


def same(one: mg.Pair, two: mg.Pair) -> None:
    for a, b in zip(one.sides, two.sides, strict=True):
        assert torch.equal(a.rows.read(0, a.n), b.rows.read(0, b.n))
        at = torch.tensor([299, 3, 3, 150, 0])
        assert torch.equal(a.rows.take(at), b.rows.take(at))
        assert a.fingerprint == b.fingerprint
        assert list(a.names or ()) == list(b.names or ())


SUFFIXES = (".safetensors", ".parquet", ".npy", ".npz")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_bits_as_a_local_file(suffix: str, server: Server, tmp_path: Path) -> None:
    local = write(tmp_path / f"a{suffix}")
    found = mg.load(server.put(local, f"same/a b{suffix}"))
    if suffix != ".npz":
        assert not found.image.rows.in_memory
    same(found, mg.load(local))
    values = [
        {name: row.value for name, row in mg.measure(each, only=["l2m", "rmg"]).items()}
        for each in (found, mg.load(local))
    ]
    assert values[0] == values[1]
    assert str(found.image.source).startswith("s3://bucket/same/a b")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_pickled_embeddings_read_the_same(suffix: str, server: Server, tmp_path: Path) -> None:
    found = mg.load(server.put(write(tmp_path / f"a{suffix}"), f"pickled/a{suffix}"))
    again: mg.Pair = pickle.loads(pickle.dumps(found))  # noqa: S301 - our own
    same(again, found)


@pytest.mark.parametrize("suffix", [".safetensors", ".parquet", ".npy"])
def test_folders_patterns_and_lists(suffix: str, server: Server, tmp_path: Path) -> None:
    uris = []
    for i in (10, 2):
        some = mg.Embeddings(IMAGE[i : i + 5]), mg.Embeddings(TEXT[i : i + 5], "text")
        path = tmp_path / f"x-{i}{suffix}"
        if suffix == ".npy":
            np.save(path, np.stack([IMAGE[i : i + 5], TEXT[i : i + 5]]))
        else:
            mg.save(mg.Pair(*some), path)
        uris.append(server.put(path, f"shards{suffix}/x-{i}{suffix}"))
    expected = torch.from_numpy(np.concatenate([IMAGE[2:7], IMAGE[10:15]]))
    folder = f"s3://bucket/shards{suffix}"
    for paths in (f"s3://bucket/shards{suffix}/*{suffix}", f"{folder}/x-*", uris[::-1]):
        found = mg.load(paths)
        assert torch.equal(found.image.rows.read(0, 10), expected)
    assert mg.load(f"s3://bucket/shards*/*[0-9]{suffix}").image.n == 10
    server.put(tmp_path / f"x-2{suffix}", f"plain{suffix[1:]}/x-2{suffix}")
    assert mg.load(f"s3://bucket/plain{suffix[1:]}").image.n == 5
    assert mg.load(f"s3://bucket/plain{suffix[1:]}/").image.n == 5


@pytest.mark.parametrize("inside", ["img_emb/", ""])
def test_the_output_of_clip_retrieval(inside: str, server: Server, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", IMAGE)
    np.save(tmp_path / "b.npy", TEXT)
    top = f"retrieval{len(inside)}"
    server.put(tmp_path / "a.npy", f"{top}/{inside}img_emb_0.npy")
    text = "text_emb/" if inside else ""
    server.put(tmp_path / "b.npy", f"{top}/{text}text_emb_0.npy")
    found = mg.load(f"s3://bucket/{top}")
    assert torch.equal(found.text.rows.read(0, N), torch.from_numpy(TEXT))


def test_two_modalities_and_their_matches(server: Server, tmp_path: Path) -> None:
    arrays: dict[str, NDArray[Any]] = {"a": IMAGE, "b": TEXT, "pairs": np.arange(N)}
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
        server.put(tmp_path / f"{name}.npy", f"two/{name}.npy")
    image, text, pairs = (server.uri(f"two/{name}.npy") for name in ("a", "b", "pairs"))
    found = mg.load(image=image, text=text, pairs=pairs)
    assert found.text_to_image is not None
    assert found.text.n == N
    assert mg.load_embeddings(image, modality="image").n == N


def test_the_command_line(server: Server, tmp_path: Path, run: Run) -> None:
    uri = server.put(write(tmp_path / "a.safetensors"), "cli/a.safetensors")
    for arguments in (["measure", uri], ["convert", uri, tmp_path / "b.npz"]):
        code, _, err = run(*arguments)
        assert code == 0, err
    assert mg.load(tmp_path / "b.npz").fingerprint == pair().fingerprint
    np.save(tmp_path / "i.npy", IMAGE)
    one = server.put(tmp_path / "i.npy", "cli/i.npy")
    code, _, err = run("measure", "--image", one, "--text", one, "--json")
    assert code == 0, err


def test_a_pass_asks_for_each_window_once(server: Server, tmp_path: Path) -> None:
    side = mg.load(server.put(write(tmp_path / "a.npy"), "once/a.npy")).image
    server.seen.clear()
    for start in range(0, N, 10):
        side.rows.read(start, start + 10)
    windows = -(-(tmp_path / "a.npy").stat().st_size // 4096)
    assert server.seen.count(("GET", "/bucket/once/a.npy")) <= windows


def test_scattered_rows_are_joined(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = mg.load(server.put(write(tmp_path / "a.npy"), "few/a.npy")).image
    monkeypatch.setattr(ranges, "GAP", 64)
    server.seen.clear()
    index = torch.tensor([200, 3, 5, 201, 3])
    assert torch.equal(side.rows.take(index), torch.from_numpy(IMAGE)[index])
    assert server.seen.count(("GET", "/bucket/few/a.npy")) == 2


def test_threads_share_what_they_read(server: Server, tmp_path: Path) -> None:
    side = mg.load(server.put(write(tmp_path / "a.parquet"), "many/a.parquet")).text
    found: dict[int, torch.Tensor] = {}
    threads = [
        threading.Thread(target=lambda i=i: found.update({i: side.rows.read(0, N)}))
        for i in range(4)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert all(torch.equal(each, torch.from_numpy(TEXT)) for each in found.values())
    assert len(found) == 4


# failures ------------------------------------------------------------------------------------


def refuses(paths: str, message: str) -> str:
    with pytest.raises(errors.FileError, match=message) as caught:
        mg.load(paths)
    text = str(caught.value)
    assert "\n" not in text
    assert "password" not in text
    return text


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_not_there(suffix: str) -> None:
    refuses(f"s3://bucket/none/a{suffix}", rf"^s3://bucket/none/a\{suffix}: no such file or dir")
    refuses(f"s3://nobucket/a{suffix}", rf"^s3://nobucket/a\{suffix}: no such file or directory")
    refuses(f"s3://bucket/none/*{suffix}", "must match at least one file; found none")
    refuses("s3://bucket/none/", "s3://bucket/none/?: no such file or directory")


def test_wrong_files(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"hello world")
    for suffix in SUFFIXES:
        refuses(server.put(tmp_path / "a", f"wrong/a{suffix}"), rf"^s3://bucket/wrong/a\{suffix}: ")
    refuses(server.put(tmp_path / "a", "wrong/a.csv"), r"must end in \.npy, .*; found \.csv")


def test_a_cut_safetensors_file(server: Server, tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors")
    path.write_bytes(path.read_bytes()[:-40])
    refuses(server.put(path, "cut/a.safetensors"), "must be a whole safetensors file")


@pytest.mark.parametrize("suffix", [".safetensors", ".parquet", ".npy"])
def test_an_object_that_changes(
    suffix: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "AHEAD", 0)  # what was read before it changed is used
    uri = server.put(write(tmp_path / f"a{suffix}"), f"changed/a{suffix}")
    found = mg.load(uri)
    content = bytearray((tmp_path / f"a{suffix}").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "b").write_bytes(content)
    server.put(tmp_path / "b", f"changed/a{suffix}")
    works: list[Callable[[], object]] = [
        lambda: found.image.rows.read(200, 205),
        lambda: found.text.rows.take(torch.tensor([7])),
    ]
    for work in works:
        with pytest.raises(errors.FileError, match=rf"a\{suffix}: must not change after it was"):
            work()
    server.store.delete_file(f"bucket/changed/a{suffix}")
    for work in works:
        with pytest.raises(errors.FileError, match=rf"a\{suffix}: "):
            work()


@pytest.mark.parametrize("suffix", [".safetensors", ".parquet", ".npy"])
def test_the_first_requests_are_refused(suffix: str, server: Server, tmp_path: Path) -> None:
    uri = server.put(write(tmp_path / f"a{suffix}"), f"busy/a{suffix}")
    left = [1]

    def busy(*_: str) -> int | None:
        left[0] -= 1
        return 503 if left[0] >= 0 else None

    server.spoil = busy
    assert mg.load(uri).image.n == N
    left[0] = 1
    assert mg.load(uri).fingerprint == mg.load(tmp_path / f"a{suffix}").fingerprint
    assert left[0] < 0


def test_access_is_denied(server: Server, tmp_path: Path) -> None:
    uri = server.put(write(tmp_path / "a.npy"), "denied/a.npy")
    server.spoil = lambda *_: 403
    assert "ACCESS_DENIED" in refuses(uri, r"^s3://bucket/denied/a\.npy: cannot be read \(")
    refuses("s3://bucket/denied/*.npy", r"^s3://bucket/denied: cannot be read \(")


@pytest.mark.parametrize("suffix", [".safetensors", ".parquet"])
def test_a_server_that_goes_away(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "ATTEMPTS", 1)
    monkeypatch.setattr(ranges, "AHEAD", 0)
    with serving() as other:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{other.port}")
        found = mg.load(other.put(write(tmp_path / f"a{suffix}"), f"gone/a{suffix}"))
        found.image.rows.read(0, 5)
    for work in (lambda: found.text.rows.read(100, 105), lambda: mg.load("s3://bucket/gone/a.npy")):
        with pytest.raises(errors.FileError, match=r"^s3://bucket/gone/a.*: cannot be read") as one:
            work()
        assert "\n" not in str(one.value)


def test_a_secret_with_a_slash_is_not_shown() -> None:
    with pytest.raises(errors.FileError, match="%2F") as found:
        location("s3://user:pass/word@bucket/a.npy")
    assert "word" not in str(found.value)


def test_secrets_are_never_shown(server: Server, tmp_path: Path) -> None:
    server.put(write(tmp_path / "a.npy"), "secret/a.npy")
    options = f"?endpoint_override=127.0.0.1:{server.port}&scheme=http&region=us-east-1"
    uri = f"s3://user:password@bucket/secret/a.npy{options}"
    found = mg.load(uri)
    assert "password" not in repr(found.image.rows) + str(found.image.source) + repr(location(uri))
    server.spoil = lambda *_: 403
    refuses(uri, r"^s3://bucket/secret/a\.npy: cannot be read")
    refuses("s3://bucket/a.npy?sekret=password", "cannot be read .unknown option sekret")
    refuses("hf://user:password@x/a.npy?sekret=password", "no options after '.'; found sekret")
    refuses("nothing://user:password@x/a.npy", "^nothing://x/a.npy: cannot be read .*nothing")


# other stores --------------------------------------------------------------------------------


def test_a_store_of_fsspec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec
    from fsspec.implementations.memory import MemoryFileSystem

    shared = MemoryFileSystem._open

    def apart(*args: Any, **options: Any) -> Any:
        """Each reader has a file of its own, as in other stores."""
        return io.BytesIO(shared(*args, **options).getvalue())

    monkeypatch.setattr(MemoryFileSystem, "_open", apart)
    memory = fsspec.filesystem("memory")
    for suffix in SUFFIXES:
        local = write(tmp_path / f"a{suffix}")
        memory.pipe(f"/dir/a{suffix}", local.read_bytes())
        same(mg.load(f"memory://dir/a{suffix}"), mg.load(local))
    assert mg.load("memory://dir/*.npy").image.n == N
    refuses("memory://dir/none.npy", "^memory://dir/none.npy: no such file")
    memory.rm("/dir", recursive=True)


def test_uris_of_local_files(tmp_path: Path) -> None:
    local = write(tmp_path / "a b.npy")
    assert location(local.as_uri()) == local
    assert mg.load(local.as_uri()).fingerprint == mg.load(local).fingerprint


def test_what_is_a_uri() -> None:
    for text in ("a.npy", "C:/a.npy", "s3:/a.npy", "a://".replace("a", ""), "./s3://a"):
        assert isinstance(location(text), Path)
    found = location("abfs://container@account.dfs.core.windows.net/x/a.npy")
    assert isinstance(found, Remote)
    assert str(found) == "abfs://container@account.dfs.core.windows.net/x/a.npy"
    assert (str(found.parent), found.name) == (str(found)[:-6], "a.npy")


def test_stores_are_only_read(tmp_path: Path, run: Run) -> None:
    for target in ("s3://bucket/a.npz", location("s3://bucket/a.npz")):
        with pytest.raises(errors.OutputError, match=r"^s3://bucket/a\.npz: must be a local file"):
            mg.save(pair(), str(target))
    code, _, err = run("convert", write(tmp_path / "a.npy"), "s3://bucket/a.npz")
    assert code == 2
    assert "must be a local file" in err
