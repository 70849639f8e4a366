"""A folder as an S3 bucket behind a network: 30 ms a request, 100 MB/s a connection.

Run as a program of its own, so that it takes none of the reader's time:

    python -m benchmarks.measure.store_server FOLDER --port 9000

It knows HEAD, GET with a range and ListObjectsV2 of `s3://bucket/imagenet`, which is
what s3fs asks for to read. It checks no signature. That the protocol is understood is
for the tests to show, on servers made by others; those keep objects in memory, or have
no listing, and spend more time on a request than s3fs does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import email.utils
import json
import os
import pathlib
import re
import socket
import urllib.parse

BUCKET = "bucket"
FOLDER = "imagenet"
_CHUNK = 256 << 10
# To find where data ends takes longer than to send so much of it.
_DATA_BYTES = 32 << 10
# A small answer takes no longer for its length.
_AT_ONCE = 16 << 10
_RANGE = re.compile(r"\r\n[Rr]ange: bytes=(\d+)-(\d+)")


class StoreServer:
    """Serves a folder's files as objects, no quicker than a network would.

    Attributes:
      seconds: how long each request takes before its answer begins.
      bytes_a_second: what a connection brings.
      counts: how many requests there were, and how many bytes of objects were sent.
      zeros: a file of nothing else, to send holes of other files from.
    """

    def __init__(self, folder: pathlib.Path, seconds: float, bytes_a_second: float):
        """Opens all files of a folder."""
        self.seconds = seconds
        self.bytes_a_second = bytes_a_second
        self.counts = {"requests": 0, "bytes": 0}
        self.zeros = os.memfd_create("zeros")
        os.truncate(self.zeros, _CHUNK)
        self._files = {
            path.name: (os.open(path, os.O_RDONLY), path.stat())
            for path in sorted(folder.iterdir())
            if path.is_file()
        }

    async def serve(self, port: int) -> None:
        """Answers until the task is cancelled."""
        server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self), "127.0.0.1", port, backlog=2048
        )
        async with server:
            await server.serve_forever()

    def answer(self, request: str) -> _Answer:
        """Returns the answer to a request's head."""
        method, target, _ = request.split(" ", 2)
        path, _, query = target.partition("?")
        if path == "/-/counts":
            return _Answer("200", body=json.dumps(self.counts).encode(), is_quick=True)
        self.counts["requests"] += 1
        name = urllib.parse.unquote(path).rpartition("/")[2]
        if name not in self._files:
            if "list-type" in query:
                return _Answer("200", body=self._listing(query))
            return _Answer("404")
        descriptor, status = self._files[name]
        headers = (
            f'ETag: "{status.st_mtime_ns:x}"\r\n'
            f"Last-Modified: {email.utils.formatdate(status.st_mtime, usegmt=True)}\r\n"
        )
        if method == "HEAD":
            return _Answer("200", f"{headers}Content-Length: {status.st_size}\r\n")
        wanted = _RANGE.search(request)
        first = int(wanted[1]) if wanted else 0
        end = min(status.st_size, int(wanted[2]) + 1) if wanted else status.st_size
        self.counts["bytes"] += end - first
        headers += f"Content-Length: {end - first}\r\n"
        headers += f"Content-Range: bytes {first}-{end - 1}/{status.st_size}\r\n"
        return _Answer("206", headers, b"", descriptor, first, end)

    def _listing(self, query: str) -> bytes:
        prefix = urllib.parse.parse_qs(query).get("prefix", [""])[0]
        contents = "".join(
            f"<Contents><Key>{FOLDER}/{name}</Key><Size>{status.st_size}</Size>"
            "<LastModified>2020-01-01T00:00:00.000Z</LastModified></Contents>"
            for name, (_, status) in self._files.items()
            if f"{FOLDER}/{name}".startswith(prefix)
        )
        return (
            f"<?xml version='1.0'?><ListBucketResult><Name>{BUCKET}</Name>"
            f"<Prefix>{prefix}</Prefix><IsTruncated>false</IsTruncated>{contents}"
            "</ListBucketResult>"
        ).encode()


@dataclasses.dataclass
class _Answer:
    """A head, and a body or what to read it from."""

    status: str
    headers: str = ""
    body: bytes = b""
    descriptor: int = -1
    first: int = 0
    end: int = 0
    is_quick: bool = False

    @property
    def head(self) -> bytes:
        length = "" if self.headers else f"Content-Length: {len(self.body)}\r\n"
        return f"HTTP/1.1 {self.status} -\r\n{length}{self.headers}\r\n".encode()


class _Connection(asyncio.Protocol):
    """Answers one request after the other."""

    def __init__(self, server: StoreServer):
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * _CHUNK)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if end:
            self._received = rest
            answer = self._server.answer(head.decode("latin-1"))
            seconds = 0 if answer.is_quick else self._server.seconds
            self._loop.call_later(seconds, self._begin, answer)

    def _begin(self, answer: _Answer) -> None:
        size = answer.end - answer.first
        head = answer.head + answer.body
        if 0 < size <= _AT_ONCE:
            head += os.pread(answer.descriptor, size, answer.first)
        self._transport.write(head)
        if size > _AT_ONCE:
            self._send_later(answer, answer.first, self._loop.time())

    def _send_later(self, answer: _Answer, position: int, since: float) -> None:
        """Sends a chunk once the connection would have brought it."""
        end = min(position + _CHUNK, answer.end)
        due = since + (end - position) / self._server.bytes_a_second
        self._loop.call_at(due, self._send, answer, position, end, due)

    def _send_from_file(self, descriptor: int, position: int, size: int) -> int:
        """Returns how much of a file the connection took; the kernel copies it."""
        connection = self._transport.get_extra_info("socket").fileno()
        sent = 0
        # A reader who does not keep up is waited for.
        with contextlib.suppress(BlockingIOError):
            while sent < size:
                start, piece = position + sent, size - sent
                # Holes would fill the page cache of the machine that is measured.
                if hole := min(piece, _bytes_to_data(descriptor, start)):
                    sent += os.sendfile(connection, self._server.zeros, 0, hole)
                else:
                    piece = min(piece, _DATA_BYTES)
                    # Else it is read page by page while all connections wait.
                    os.posix_fadvise(descriptor, start, piece, os.POSIX_FADV_WILLNEED)
                    sent += os.sendfile(connection, descriptor, start, piece)
        return sent

    def _send(self, answer: _Answer, position: int, end: int, due: float) -> None:
        if self._transport.is_closing():
            return
        if not self._transport.get_write_buffer_size():
            size = end - position
            position += self._send_from_file(answer.descriptor, position, size)
        if position < end:
            wait = self._loop.time() + 0.001
            self._loop.call_at(wait, self._send, answer, position, end, due)
        elif end < answer.end:
            self._send_later(answer, end, due)


def _bytes_to_data(descriptor: int, position: int) -> int:
    """Returns how long the hole is that a position of a file lies in, if it does."""
    try:
        return os.lseek(descriptor, position, os.SEEK_DATA) - position
    except OSError:  # The file ends with it.
        return os.fstat(descriptor).st_size - position


def main() -> None:
    """Serves until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path, help="its files are the objects")
    parser.add_argument("--port", type=int, required=True, help="where to listen")
    parser.add_argument("--seconds", type=float, default=0.03, help="a request takes")
    parser.add_argument("--bytes_a_second", type=float, default=100e6)
    args = parser.parse_args()
    server = StoreServer(args.folder, args.seconds, args.bytes_a_second)
    asyncio.run(server.serve(args.port))


if __name__ == "__main__":
    main()
