"""A proxy that records the requests to an object store, and makes some fail."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import re
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Request(NamedTuple):
    """A request to the store.

    Attributes:
      method: such as `GET`.
      path: decoded, with the query.
      first: the first byte of the range, None without a range.
      size: the length of the range in bytes, 0 without one.
    """

    method: str
    path: str
    first: int | None
    size: int


# Returns how a request fails: "error" (500), "forbidden" (403), "cut" (no answer),
# "half" (half of the body), or None.
Fault = Callable[[Request], str | None]


class FaultProxy:
    """Forwards to a server on the loopback address.

    Attributes:
      url: where it listens.
      requests: all that were made.
      fault: returns how each request fails; None if it does not.
    """

    def __init__(self, port: int, *, is_google: bool = False):
        """Starts to forward.

        Args:
          port: where the server listens.
          is_google: whether it is gcp-storage-emulator, whose XML protocol has no HEAD
            and no versions: the proxy adds both.
        """
        self.requests: list[Request] = []
        self.fault: Fault = lambda request: None
        handler_class = _GoogleHandler if is_google else _Handler
        handler = type("Handler", (handler_class,), {"proxy": self, "upstream": port})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def reads_of(self, name: str) -> list[Request]:
        """Returns the requests for ranges of an object whose key has this name."""
        return [r for r in self.requests if name in r.path and r.first is not None]

    @contextlib.contextmanager
    def failing(self, fault: Fault) -> Iterator[None]:
        self.fault = fault
        try:
            yield
        finally:
            self.fault = lambda request: None

    def close(self) -> None:
        self._server.shutdown()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultProxy
    upstream: int

    def _forward(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
        first, last = map(int, wanted.groups()) if wanted else (None, -1)
        size = last + 1 - first if first is not None else 0
        path = urllib.parse.unquote(self.path)  # Stores encode keys differently.
        request = Request(self.command, path, first, size)
        self.proxy.requests.append(request)
        fault = self.proxy.fault(request)
        if fault == "cut":
            self.close_connection = True
            return
        if fault in ("error", "forbidden"):
            self.send_response(500 if fault == "error" else 403)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        status, headers, data = self._ask(body)
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in (
                "transfer-encoding",
                "connection",
                "date",
                "server",
            ):
                self.send_header(name, value)
        has_body = self.command != "HEAD" and status not in (204, 304)
        if has_body and "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if has_body:
                self.wfile.write(data[: len(data) // 2] if fault == "half" else data)
        self.close_connection = fault == "half"

    def _ask(
        self, body: bytes | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        return self._request(self.command, self.path, body)

    def _request(
        self, method: str, path: str, body: bytes | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        server = http.client.HTTPConnection("127.0.0.1", self.upstream)
        try:
            server.request(method, path, body, dict(self.headers))
            answer = server.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            server.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _forward  # noqa: N815

    def log_message(self, *args: object) -> None:
        del args


class _GoogleHandler(_Handler):
    def _ask(
        self, body: bytes | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        is_json = self.path.startswith(("/storage/", "/download/", "/upload/"))
        if is_json or self.command not in ("GET", "HEAD"):
            return super()._ask(body)
        path = urllib.parse.unquote(self.path)
        _, bucket, key = path.split("/", 2)
        of_object = f"/storage/v1/b/{bucket}/o/{urllib.parse.quote(key, safe='')}"
        _, _, facts = self._request("GET", of_object)
        status, headers, data = self._request("GET", urllib.parse.quote(path))
        if status in (200, 206):
            headers["ETag"] = f'"{json.loads(facts)["generation"]}"'
            headers["Last-Modified"] = "Wed, 01 Jan 2025 00:00:00 GMT"
        return status, headers, data
