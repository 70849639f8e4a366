"""A directory as an S3 bucket behind a network: 30 ms a request, 100 MB/s a connection.

    python -m benchmarks.measure.store_server DIRECTORY

Prints its port, and runs until it is killed. It has HEAD and GET with a range of
`s3://bucket/NAME`, which is what a build requests, and checks no signature. The tests
run on servers that know the whole protocol, but those take too much CPU time here.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import email.utils
import http.server
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

BUCKET = "bucket"
_COUNTS = "counts"
_SECONDS = 0.03
_BYTES_A_SECOND = 100e6
_CHUNK = 256 << 10


@contextlib.contextmanager
def serve(directory: pathlib.Path) -> Iterator[str]:
    """Serves the files of a directory in another process; yields the server's URL."""
    command = [sys.executable, "-m", __name__, str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


def counts(url: str) -> dict[str, int]:
    """Returns how many `requests` a server has answered, and `bytes` it has sent."""
    with urllib.request.urlopen(f"{url}/{_COUNTS}") as answer:
        result: dict[str, int] = json.load(answer)
    return result


def stream_seconds(url: str, name: str, size: int) -> float:
    """Returns the seconds that the first bytes of an object take in one request."""
    headers = {"Range": f"bytes=0-{size - 1}"}
    request = urllib.request.Request(f"{url}/{BUCKET}/{name}", headers=headers)
    start = time.perf_counter()
    with urllib.request.urlopen(request) as answer:
        while answer.read(1 << 20):
            pass
    return time.perf_counter() - start


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers the requests of one connection, each no faster than a network would."""

    protocol_version = "HTTP/1.1"
    directory: pathlib.Path
    counts: collections.Counter[str]

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        if self.path == f"/{_COUNTS}":
            self._send_head(200, len(body := json.dumps(self.counts).encode()))
            self.wfile.write(body)
        else:
            self._answer()

    def _answer(self) -> None:
        self.counts["requests"] += 1
        time.sleep(_SECONDS)
        path = self.directory / pathlib.Path(self.path).name
        if not path.is_file():
            self._send_head(404, 0)
            return
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            self._etag = f'"{status.st_mtime_ns:x}"'
            wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            if not wanted:
                self._send_head(200, status.st_size)
                return
            first, last = map(int, wanted.groups())
            end = min(last + 1, status.st_size)
            self._send_head(206, end - first, f"bytes {first}-{last}/{status.st_size}")
            self._send_range(file.fileno(), first, end)
        self.counts["bytes"] += end - first

    def _send_head(self, status: int, length: int, content_range: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        if content_range:
            self.send_header("Content-Range", content_range)
        if status != 404:
            self.send_header("ETag", getattr(self, "_etag", ""))
            self.send_header("Last-Modified", email.utils.formatdate(0, usegmt=True))
        self.end_headers()

    def _send_range(self, source: int, position: int, end: int) -> None:
        connection = self.connection.fileno()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * _CHUNK)
        due = time.perf_counter()
        while position < end:
            size = min(_CHUNK, end - position)
            due += size / _BYTES_A_SECOND
            if (early := due - time.perf_counter()) > 0:
                time.sleep(early)
            position += os.sendfile(connection, source, position, size)

    def log_message(self, *args: object) -> None:
        """Logs nothing."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


def main() -> int:
    """Serves the directory that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=pathlib.Path)
    facts = {
        "directory": parser.parse_args().directory,
        "counts": collections.Counter(requests=0, bytes=0),
    }
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), facts))
    print(server.server_port, flush=True)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
