"""Plain reads of a store, through the proxy that the environment has."""

from __future__ import annotations

import asyncio
import http.server
import threading
from collections.abc import Iterator

import pytest

pytest.importorskip("aiohttp", reason="comes with the clients of stores alone")

from imagenet2012_subset.storage.remote.ranges import PlainReads
from imagenet2012_subset.storage.remote.store import ObjectStatus, StoredObject

_DATA = bytes(range(256))


class _Server(http.server.ThreadingHTTPServer):
    """Gives ranges of the same bytes whatever is asked for, and notes what that is."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
        self.send_response(206)
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        self.wfile.write(_DATA[first : last + 1])

    def log_message(self, *args: object) -> None:
        del args


class _Client:
    """As much of s3fs as signs a request."""

    req_kw = s3_additional_kwargs = None

    def __init__(self, url: str):
        self.loop = asyncio.get_running_loop()
        self._url_of_all = url

    async def _url(self, key: str, expires: int) -> str:
        assert expires > 300
        return f"{self._url_of_all}/{key}"


@pytest.fixture
def server() -> Iterator[_Server]:
    server = _Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def environment(monkeypatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def _read(url: str) -> bytes | None:
    async def read() -> bytes | None:
        stored = StoredObject("s3", _Client(url), "bucket/key")  # type: ignore[arg-type]
        reads = PlainReads(stored, ObjectStatus(256, 0, "", ""))
        data = await reads.read(7, 20)
        await reads._open_session().close()
        return data

    return asyncio.run(read())


def test_without_a_proxy_the_store_is_asked(server):
    assert _read(server.url) == _DATA[7:27]
    assert server.asked == ["/bucket/key"]


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY"])
def test_the_environments_proxy_is_asked_for_the_store(server, monkeypatch, variable):
    monkeypatch.setenv(variable, server.url)
    assert _read("http://store.example") == _DATA[7:27]
    assert server.asked == ["http://store.example/bucket/key"]


def test_what_no_proxy_names_is_asked_itself(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert _read(server.url) == _DATA[7:27]
    assert server.asked == ["/bucket/key"]
