"""The server: right answers, to its own page only."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import torch
from explore.serving import serving
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

import modalgap as mg
from modalgap.errors import InputError
from modalgap.explore import server as servers
from modalgap.explore.asked import searcher
from modalgap.explore.scene import Scene
from modalgap.explore.server import Explorer, application, serve


def pair() -> mg.Pair:
    random = np.random.default_rng(0)
    image, text = random.normal(size=(2, 30, 6)) + np.eye(6)[:2, None] * 3
    return mg.Pair(image, text)


class Encoder:
    """A text tower that encodes a number as the text row of this number."""

    modalities, dim = ("image", "text"), 6

    def tokenize(self, texts: list[str]) -> list[int]:
        return [int(each) for each in texts]

    def encode_text(self, tokens: list[int]) -> torch.Tensor:
        return pair().text.unit()[tokens]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a running server, host and path."""
    explorer = Explorer(pair(), model=lambda scene: searcher(scene, Encoder()))  # type: ignore[arg-type]
    with serving(explorer) as found:
        yield found


def ask(address: str, path: str = "", **headers: str) -> tuple[int, bytes]:
    host, _, token = address.removeprefix("http://").partition("/")
    with closing(http.client.HTTPConnection(host, timeout=60)) as connection:
        connection.request("GET", f"/{token}{path}", headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_it_serves_the_page_and_frames_of_any_strength(address: str) -> None:
    status, page = ask(address)
    assert status == 200
    assert b"connect-src 'self'" in page.replace(b"&#39;", b"'")
    assert b"octet-stream" not in page
    status, text = ask(address, "frame?scene=0&closer=shift&strength=0.37")
    found = json.loads(text)
    closed = mg.close(pair(), "shift", alpha=0.37)
    keys = {each["name"]: each["value"] for each in found["keys"]}
    assert status == 200
    assert keys["l2m"] == mg.measure(closed, only="l2m")["l2m"].value
    assert ask(address, "frame?scene=0&closer=shift&strength=0.37")[1] == text
    assert json.loads(ask(address, "scene?scene=0")[1])["sides"][0]["n"] == 30


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("frame?scene=0&closer=shift&strength=9", "strength"),
        ("frame?scene=0&closer=shift&strength=nan", "strength"),
        ("frame?scene=0&closer=shift&strength=x", "strength"),
        ("frame?scene=0&closer=../../etc/passwd", "closer"),
        ("frame?scene=4&closer=center", "scene"),
        ("frame?scene=-1&closer=center", "scene"),
        ("scene", "scene"),
        ("answers?text=", "query"),
        (f"answers?text={'x' * 400}", "query"),
    ],
)
def test_wrong_requests_are_one_line(address: str, path: str, words: str) -> None:
    status, text = ask(address, path)
    assert status == 400
    assert words in json.loads(text)["error"]


def test_other_tokens_hosts_and_origins_are_refused(address: str) -> None:
    host = address.split("/")[2]
    for place in (f"http://{host}/", f"http://{host}/wrong/", f"http://{host}/favicon.ico"):
        assert ask(place)[0] == 403
    assert ask(address, Host="evil.example")[0] == 403
    assert ask(address, "scene?scene=0", Origin="http://evil.example")[0] == 403
    assert ask(address, "scene?scene=0", Origin=f"http://{host}")[0] == 200
    assert ask(address, "../../../../etc/passwd")[0] == 403


def test_it_listens_on_this_machine_only(address: str) -> None:
    port = int(address.split(":")[2].split("/")[0])
    for each in {
        found[4][0] for found in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
    }:
        if not str(each).startswith("127.") and each != "::1":
            with socket.socket() as other:
                assert other.connect_ex((each, port)) != 0


def test_several_clients_at_once(address: str) -> None:
    answers: list[Any] = []
    strengths = [0.11, 0.22, 0.33, 0.44]

    def client(strength: float) -> None:
        answers.append(
            json.loads(ask(address, f"frame?scene=0&closer=shift&strength={strength}")[1])
        )

    threads = [threading.Thread(target=client, args=(each,)) for each in strengths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(each["strength"] for each in answers) == strengths


def test_a_query_is_searched_raw_centred_and_standardised(address: str) -> None:
    lists = json.loads(ask(address, "answers?text=7")[1])["lists"]
    assert [each["title"] for each in lists] == ["Raw cosines", "Centred", "Standardised scores"]
    data = pair()
    rows = torch.cat([side.unit() for side in data.sides])
    order = (rows @ data.text.unit()[7]).argsort(descending=True)[:8].tolist()
    assert [row + 30 * side for side, row, _ in lists[0]["items"]] == order
    closed = mg.close(data, "center")
    rows = torch.cat([side.unit() for side in closed.sides])
    order = (rows @ closed.text.unit()[7]).argsort(descending=True)[:8].tolist()
    assert [row + 30 * side for side, row, _ in lists[1]["items"]] == order


def test_models_of_another_width_are_refused() -> None:
    wide = mg.Pair(*np.random.default_rng(0).normal(size=(2, 9, 4)))
    with pytest.raises(InputError, match="width"):
        searcher(Scene.of(wide, 100, 0), Encoder())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="texts"):
        searcher(Scene.of(wide.image, 100, 0), Encoder())  # type: ignore[arg-type]


def test_old_frames_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    explorer = Explorer(pair())
    one = len(explorer.frame("0", "shift", "0.5"))
    monkeypatch.setattr(servers, "CACHE", 3 * one)
    for step in range(8):
        explorer.frame("0", "shift", str(step / 10))
    assert sum(map(len, explorer._kept.values())) <= 3 * one


def test_a_port_in_use_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="cannot be used"):
            serve(Explorer(pair()), taken.getsockname()[1])


def test_browsers_leave_out_the_port_of_http() -> None:
    async def status(host: str) -> int:
        server = HTTPServer(application(Explorer(pair()), "token", 80))
        own = bind_sockets(0, "127.0.0.1")
        server.add_sockets(own)
        where = f"http://127.0.0.1:{own[0].getsockname()[1]}/token/"
        answer = await AsyncHTTPClient().fetch(where, headers={"Host": host}, raise_error=False)
        server.stop()
        return int(answer.code)

    assert asyncio.run(status("127.0.0.1")) == 200
    assert asyncio.run(status("evil.example")) == 403
