"""A real S3 server on this machine, whose answers a test can spoil."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyarrow import fs

BUCKET = "bucket"


class Server:
    """moto behind a switch.

    Attributes:
        port: on which it listens.
        seen: method and path of each request.
        spoil: returns a status to answer with instead, or None.
    """

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Handler(WSGIRequestHandler):
            protocol_version = "HTTP/1.0"  # no connection outlives its answer

        logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
        self.seen: list[tuple[str, str]] = []
        self.spoil: Callable[[str, str], int | None] = lambda *_: None
        self.app = DomainDispatcherApplication(create_backend_app)
        self.http = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, request_handler=Handler
        )
        self.port = self.http.server_port
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.thread.start()
        self.store = fs.S3FileSystem(
            access_key="user",
            secret_key="password",  # noqa: S106 - of a server on this machine
            region="us-east-1",
            scheme="http",
            endpoint_override=f"127.0.0.1:{self.port}",
            allow_bucket_creation=True,
        )
        self.store.create_dir(BUCKET)

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.seen.append((method, path))
        status = self.spoil(method, path)
        if status is None:
            found: Iterable[bytes] = self.app(environ, start)
            return found
        start(f"{status} Spoiled", [("Content-Length", "0")])
        return [b""]

    def uri(self, key: str) -> str:
        """The URI of an object."""
        return f"s3://{BUCKET}/{key}"

    def put(self, file: Path, key: str) -> str:
        """Upload a file; its URI."""
        with self.store.open_output_stream(f"{BUCKET}/{key}") as out:
            out.write(file.read_bytes())
        return self.uri(key)

    def stop(self) -> None:
        """Refuse every connection from now on."""
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@contextmanager
def serving() -> Iterator[Server]:
    """A server, which stops at the end."""
    server = Server()
    try:
        yield server
    finally:
        server.stop()
