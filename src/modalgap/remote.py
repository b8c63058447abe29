"""Files in object stores, named by URI: ``s3://``, ``gs://``, ``abfs://``, ``hf://`` and others.

A ``Remote`` has the methods of ``pathlib.Path`` that the readers of files use, so that one reader
serves both. Stores are opened by pyarrow or, for other schemes, by fsspec, which find credentials
in the environment. Messages and ``str(remote)`` never contain credentials of a URI.
"""

from __future__ import annotations

import fnmatch
import io
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, NamedTuple, TypeVar, cast
from urllib.parse import parse_qs, urlsplit
from urllib.request import url2pathname

from modalgap.errors import FileError, ModalgapError, reason

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.fs import FileInfo, FileSystem

ATTEMPTS = 5  # of a request to S3, with growing pauses; other stores have their own rules
Stamp = tuple[int, int | str]  # size, and time of change or entity tag
Answer = TypeVar("Answer")
_URI = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]+)://(?:(?P<user>[^/@]*)@)?(?P<host>[^/?]*)(?P<path>/.*?)?"
    r"(?:\?(?P<options>\w+=.*))?",  # a "?" without "=" belongs to a pattern
    re.IGNORECASE | re.DOTALL,
)
PATIENCE = 30  # seconds that Google Cloud Storage may not answer
_BY_ARROW = {"gs", "gcs", "abfs", "abfss", "hdfs", "viewfs"}


class Status(NamedTuple):
    """The two entries of ``os.stat_result`` that readers use."""

    st_size: int
    st_mode: int


@dataclass(frozen=True, order=True)
class Remote:
    """A file or folder of an object store.

    Attributes:
        root: scheme, host and options of the URI, which open the store. It may hold credentials.
        path: path in the store, from a slash on; or empty.
    """

    root: str = field(repr=False)
    path: str

    def __str__(self) -> str:
        found = _parsed(self.root)
        # the container of abfs://container@account stands where others have a user
        host = f"{found['user']}@{found['host']}" if _is_azure(found) else found["host"]
        return f"{found['scheme']}://{host}{self.path}"

    def __truediv__(self, name: str) -> Remote:
        return replace(self, path=f"{self.path.rstrip('/')}/{name}")

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.path).name

    @property
    def stem(self) -> str:
        """The name without its extension."""
        return PurePosixPath(self.path).stem

    @property
    def suffix(self) -> str:
        """The extension, with its dot."""
        return PurePosixPath(self.path).suffix

    @property
    def suffixes(self) -> list[str]:
        """All extensions."""
        return PurePosixPath(self.path).suffixes

    @property
    def parent(self) -> Remote:
        """The folder."""
        return replace(self, path=self.path.rpartition("/")[0])

    def exists(self) -> bool:
        """Whether it is a file or a folder."""
        return bool(self._info().type.value)

    def is_dir(self) -> bool:
        """Whether it is a folder: a store calls every prefix of a key a folder."""
        info = self._info()
        return bool(info.type.value) and not info.is_file

    def stat(self) -> Status:
        """Size and kind.

        Raises:
            FileNotFoundError: neither a file nor a folder.
            FileError: the store does not answer.
        """
        info = self._info()
        if not info.type.value:
            raise FileNotFoundError(str(self))
        return Status(info.size or 0, stat.S_IFREG if info.is_file else stat.S_IFDIR)

    def iterdir(self) -> Iterator[Remote]:
        """The files and folders in this folder."""
        return iter(self._below(recursive=False))

    def glob(self, pattern: str) -> Iterator[Remote]:
        """Files and folders below this one that match a pattern; wildcards match no slash."""
        wanted = pattern.split("/")
        skip = len(self.path.rstrip("/")) + 1
        for found in self._below(recursive=len(wanted) > 1):
            parts = found.path[skip:].split("/")
            if len(parts) == len(wanted) and all(map(_matches, parts, wanted)):
                yield found

    def expanded(self) -> list[Remote]:
        """The files that match this path as a pattern."""
        parts = self.path.strip("/").split("/")
        first = next(i for i, part in enumerate(parts) if re.search(r"[*?\[]", part))
        folder = replace(self, path="".join(f"/{part}" for part in parts[:first]))
        try:
            return list(folder.glob("/".join(parts[first:])))
        except FileNotFoundError:
            return []

    def open(self, _mode: str = "rb") -> IO[bytes]:
        """The file, for reading only; small reads are served from a buffer."""
        return cast("IO[bytes]", io.BufferedReader(cast("Any", self.source()), 64 * 2**10))

    def source(self) -> pa.NativeFile:
        """The file as pyarrow's readers take it."""
        return self.ask(lambda store, path: store.open_input_file(path))

    def stamp(self) -> Stamp:
        """Size and entity tag of the file, which differ after a change."""
        with self.source() as file:
            return self.stamp_of(file)

    def stamp_of(self, file: pa.NativeFile) -> Stamp:
        """The stamp of this file, which is open."""
        size = int(self.ask(lambda *_: file.size()))
        try:
            tag = file.metadata().get("ETag")
        except Exception:  # few stores answer this
            tag = None
        return (size, tag.decode() if tag else self._info().mtime_ns or 0)

    def ask(self, question: Callable[[FileSystem, str], Answer]) -> Answer:
        """Call ``question(store, path)``; errors become a FileError of one line, without secrets.

        Raises:
            FileError: the store refuses the request or does not answer.
            FileNotFoundError: the store has no such file.
        """
        try:
            store, base = _store(self.root, ATTEMPTS)
            return question(store, f"{base}{self.path}")
        except (FileNotFoundError, ModalgapError):
            raise
        except MemoryError as error:
            raise FileError(f"{self}: must fit in memory; it does not") from error
        except Exception as error:  # each store has exceptions of its own
            text = re.sub(r" \(Request ID: .*?\)", "", reason(error, 400))
            for secret in _secrets(self.root):
                text = text.replace(secret, "***")
            raise FileError(f"{self}: cannot be read ({text[:240]})") from None

    def _info(self) -> FileInfo:
        return self.ask(lambda store, path: store.get_file_info(path.rstrip("/")))

    def _below(self, *, recursive: bool) -> list[Remote]:
        from pyarrow.fs import FileSelector

        def listed(store: FileSystem, path: str) -> list[Remote]:
            path = path.rstrip("/")
            infos = store.get_file_info(FileSelector(path, recursive=recursive))
            skip = len(path.lstrip("/")) + 1
            return [self / info.path.lstrip("/")[skip:] for info in infos]

        return self.ask(listed)


Location = Path | Remote


def location(path: str | Path | Remote) -> Location:
    """The local path or the remote file that a user's path means.

    Raises:
        FileError: options after "?" that a store does not have, or a secret key with a "/".
    """
    if not isinstance(path, str):
        return path
    found = _URI.fullmatch(path)
    if found is None:
        return Path(path)
    scheme = found["scheme"].lower()
    if scheme == "file":
        return Path(url2pathname(urlsplit(path).path))
    if scheme == "s3" and ":" in found["host"] and "@" in (found["path"] or ""):
        raise FileError("s3://…: must have the / of a secret key as %2F; found another /")
    if found["options"] and scheme not in _BY_ARROW | {"s3"}:
        raise FileError(
            f"{scheme}://{found['host']}{found['path'] or ''}: must have no options after '?';"
            f" found {found['options'].partition('=')[0]}"
        )
    user = f"{found['user']}@" if found["user"] is not None else ""
    options = f"?{found['options']}" if found["options"] else ""
    return Remote(f"{scheme}://{user}{found['host']}{options}", found["path"] or "")


@lru_cache(64)
def _store(root: str, attempts: int) -> tuple[FileSystem, str]:
    """The store, and the path of its root inside of it."""
    from pyarrow import fs

    found = _parsed(root)
    if found["scheme"] == "s3":
        return _s3(found, attempts), found["host"]
    if found["scheme"] in _BY_ARROW:
        if found["scheme"] in ("gs", "gcs") and "retry_limit_seconds=" not in root:
            # by default it tries for 15 minutes
            root += f"{'&' if found['options'] else '?'}retry_limit_seconds={PATIENCE}"
        store, base = fs.FileSystem.from_uri(root)
        return store, base.rstrip("/")
    import fsspec

    other, base = fsspec.core.url_to_fs(root)
    return fs.PyFileSystem(fs.FSSpecHandler(other)), base.rstrip("/")


def _s3(found: dict[str, str], attempts: int) -> FileSystem:
    """Options of the URI come first, then those of the environment, as in the tools of AWS."""
    from pyarrow import fs

    options = {name: values[0] for name, values in parse_qs(found["options"]).items()}
    unknown = set(options) - {"region", "scheme", "endpoint_override", "anonymous"}
    if unknown:
        raise ValueError(f"unknown option {min(unknown)}")
    environment = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if environment and "endpoint_override" not in options:
        scheme, _, host = environment.rpartition("://")
        options |= {"endpoint_override": host.rstrip("/"), "scheme": scheme or "https"}
    region = options.get("region") or os.environ.get("AWS_REGION")
    region = region or os.environ.get("AWS_DEFAULT_REGION")
    if region is None and "endpoint_override" not in options:
        region = fs.resolve_s3_region(found["host"])
    key, _, secret = found["user"].partition(":")
    return fs.S3FileSystem(
        access_key=key or None,
        secret_key=secret or None,
        anonymous=options.get("anonymous", "").lower() in ("1", "true", "yes"),
        region=region,
        scheme=options.get("scheme"),
        endpoint_override=options.get("endpoint_override"),
        connect_timeout=10,
        request_timeout=60,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=attempts),
    )


def _parsed(root: str) -> dict[str, str]:
    found = _URI.fullmatch(root)
    return {name: value or "" for name, value in (found.groupdict() if found else {}).items()}


def _is_azure(found: dict[str, str]) -> bool:
    return found["scheme"].startswith("abfs") and ":" not in found["user"] and bool(found["user"])


def _secrets(root: str) -> list[str]:
    """The parts of a URI that may be credentials, longest first."""
    found = _parsed(root)
    values = [value for each in parse_qs(found["options"]).values() for value in each]
    secrets = [*values, found["user"], *found["user"].split(":")]
    if _is_azure(found):
        secrets = values
    return sorted((each for each in secrets if len(each) > 3), key=len, reverse=True)


def _matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern) and name.startswith(".") <= pattern.startswith(".")
