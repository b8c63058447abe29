"""The page from a server on this machine: any strength, and search by text.

The server listens on 127.0.0.1 only. Its address has a random token as first part of the path;
requests with another token, host, or origin are refused. It reads no path from the page: a request
names a view, a closer, and a strength. Requests keep no state, so any number of tabs can be open.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import socket
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from modalgap.data.media import Media
from modalgap.embeddings import Embeddings, Modalities, Pair
from modalgap.errors import InputError, ModalgapError, OptionError, quoted
from modalgap.explore.frames import frame
from modalgap.explore.maps import points
from modalgap.explore.payload import frame_dict, scene_dict
from modalgap.explore.steps import Step, choices
from modalgap.explore.verb import WIDER, limits_of, page_of, views
from modalgap.extras import import_extra

HOST = "127.0.0.1"
HTTP = 80
CACHE = 64 * 2**20  # bytes of frames that are kept
LONGEST = 300  # characters of a query
Search = Callable[[str], list[dict[str, Any]]]


class Explorer:
    """Answers to the requests of the page, as JSON; the last ones are kept.

    Args:
        data: as for ``modalgap.explore.explore``.
        media: as there.
        points: as there.
        title: as there.
        seed: as there.
        model: makes the function that searches by text from the first view; None: no search.
    """

    def __init__(
        self,
        data: Pair | Embeddings | Modalities,
        *,
        media: Mapping[str, Media] | Media | None = None,
        points: int | None = None,
        title: str | None = None,
        seed: int = 0,
        model: Callable[..., Search] | None = None,
    ) -> None:
        self.views, remarks = views(data, media, points, seed)
        self._seed = seed
        self._search = None if model is None else model(self.views[0].scene)
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self.page = page_of(
            self.views, remarks, title, seed, None, query=self._search is not None
        ).encode("utf-8", "backslashreplace")

    def scene(self, number: str) -> bytes:
        """One view."""
        view = self._view(number)

        def make() -> dict[str, Any]:
            rows = [side.unit() for side in view.scene.sides]
            limits = limits_of([points(view.maps, rows)], WIDER)
            known = choices(view.scene)
            return scene_dict(view.scene, view.maps, known, [], view.sheets, limits)

        return self._once(f"scene {number}", make)

    def frame(self, number: str, closer: str, strength: str | None) -> bytes:
        """One step.

        Raises:
            OptionError: an unknown view or closer, or a strength that is not within its limits.
            NotApplicable: the closer does not apply to these rows.
        """
        view = self._view(number)
        step = Step(closer, None if strength is None else _number(strength))
        return self._once(
            f"frame {number} {step}",
            lambda: frame_dict(frame(view.scene, view.maps, step, self._seed)),
        )

    def answers(self, text: str) -> bytes:
        """The lists for a query.

        Raises:
            InputError: there is no model, or the query is empty or too long.
        """
        if self._search is None:
            raise InputError("search by text needs a model: start with --model")
        if not text.strip() or len(text) > LONGEST:
            raise InputError(f"query: must have 1 to {LONGEST} characters; got {len(text)}")
        return json.dumps({"lists": self._search(text)}, allow_nan=False).encode()

    def _view(self, number: str) -> Any:
        if number not in map(str, range(len(self.views))):
            raise OptionError(f"scene: must be 0 … {len(self.views) - 1}; got {quoted(number)}")
        return self.views[int(number)]

    def _once(self, key: str, make: Callable[[], dict[str, Any]]) -> bytes:
        if key not in self._kept:
            self._kept[key] = json.dumps(make(), allow_nan=False).encode()
            while len(self._kept) > 1 and sum(map(len, self._kept.values())) > CACHE:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


def _number(text: str) -> float:
    try:
        return round(float(text), 2)
    except ValueError:
        raise OptionError(f"strength: must be a number; got {quoted(text)}") from None


def serve(explorer: Explorer, port: int = 0, *, ready: Callable[[str], None] = print) -> None:
    """Serve a page until the process is interrupted.

    Args:
        explorer: the answers.
        port: the port; 0: any free one.
        ready: called with the address of the page.

    Raises:
        InputError: the port cannot be used, or bokeh is not installed.
    """
    asyncio.run(_serve(explorer, port, ready))


async def _serve(explorer: Explorer, port: int, ready: Callable[[str], None]) -> None:
    httpserver = import_extra("tornado.httpserver", "explore", "explore")
    try:
        own = socket.create_server((HOST, port))
    except (OSError, OverflowError) as error:
        raise InputError(f"port {port}: cannot be used ({error})") from None
    own.setblocking(False)
    token, found = secrets.token_urlsafe(16), own.getsockname()[1]
    server = httpserver.HTTPServer(application(explorer, token, found), max_body_size=0)
    server.add_socket(own)
    logging.getLogger("tornado.access").setLevel(logging.CRITICAL)  # refusals are not news
    logging.getLogger("tornado.general").setLevel(logging.CRITICAL)
    ready(f"http://{HOST}:{found}/{token}/")
    try:
        await asyncio.Event().wait()
    finally:
        server.stop()
        await server.close_all_connections()  # browsers keep theirs open


def application(explorer: Explorer, token: str, port: int) -> Any:
    """The tornado application: the page and its three requests, below the token."""
    web = import_extra("tornado.web", "explore", "explore")
    pool = ThreadPoolExecutor(1)  # one computation at a time; a request waits for its turn
    end = "" if port == HTTP else f":{port}"  # browsers leave out the port of HTTP
    hosts = {f"{name}{end}" for name in (HOST, "localhost")}

    class Own(web.RequestHandler):  # type: ignore[misc, name-defined]
        def prepare(self) -> None:
            origin = self.request.headers.get("Origin")
            if self.request.host not in hosts or (
                origin is not None and origin.removeprefix("http://") not in hosts
            ):
                raise web.HTTPError(403)

        def set_default_headers(self) -> None:
            self.clear_header("Server")
            for name, value in {
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
                "X-Frame-Options": "DENY",
                "Referrer-Policy": "no-referrer",
                "Cross-Origin-Resource-Policy": "same-origin",
            }.items():
                self.set_header(name, value)

        def write_error(self, status_code: int, **_: Any) -> None:
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(f"{status_code}\n")

    class Refused(Own):
        def prepare(self) -> None:
            raise web.HTTPError(403)

    class Page(Own):
        def get(self) -> None:
            self.set_header("Content-Type", "text/html; charset=utf-8")
            self.finish(explorer.page)

    class Answers(Own):
        def initialize(self, make: Callable[[Any], bytes]) -> None:
            self.make = make

        async def get(self) -> None:
            self.set_header("Content-Type", "application/json; charset=utf-8")
            try:
                text = await asyncio.get_running_loop().run_in_executor(pool, self.make, self)
            except ModalgapError as error:
                self.set_status(400)
                text = json.dumps({"error": str(error)}).encode()
            self.finish(text)

    def ask(make: Callable[[Any], bytes]) -> dict[str, Any]:
        return {"make": make}

    def one(handler: Any, name: str, default: Any = "") -> Any:
        return handler.get_query_argument(name, default)

    return web.Application(
        [
            (rf"/{token}/", Page),
            (rf"/{token}/scene", Answers, ask(lambda h: explorer.scene(one(h, "scene")))),
            (
                rf"/{token}/frame",
                Answers,
                ask(
                    lambda h: explorer.frame(
                        one(h, "scene"), one(h, "closer"), one(h, "strength", None)
                    )
                ),
            ),
            (rf"/{token}/answers", Answers, ask(lambda h: explorer.answers(one(h, "text")))),
        ],
        default_handler_class=Refused,
    )
