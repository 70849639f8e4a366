"""The store of `store_server`, in a process of its own for as long as it is needed."""

from __future__ import annotations

import contextlib
import json
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.measure.store_server import BUCKET, FOLDER

_SECONDS_TO_START = 20


class Store(NamedTuple):
    """A store that answers.

    Attributes:
      endpoint: URL of the server.
    """

    endpoint: str

    @property
    def environment(self) -> dict[str, str]:
        """What s3fs has to find in the environment to read from this store."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "id",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    @property
    def folder(self) -> str:
        """URL of what is there, as s3fs takes it."""
        return f"s3://{BUCKET}/{FOLDER}"

    def counts(self) -> dict[str, int]:
        """Returns how many `requests` there were, and `bytes` that were sent.

        Raises:
          OSError: If the store does not answer.
        """
        with urllib.request.urlopen(f"{self.endpoint}/-/counts") as answer:
            counts: dict[str, int] = json.load(answer)
        return counts

    def stream_seconds(self, name: str, size: int) -> float:
        """Returns the seconds of an object's first bytes through one connection."""
        request = urllib.request.Request(
            f"{self.endpoint}/{BUCKET}/{FOLDER}/{name}",
            headers={"Range": f"bytes=0-{size - 1}"},
        )
        begun = time.perf_counter()
        with urllib.request.urlopen(request) as answer:
            while answer.read(1 << 20):
                pass
        return time.perf_counter() - begun


@contextlib.contextmanager
def serve(folder: pathlib.Path) -> Iterator[Store]:
    """Serves a folder's files from a process of their own.

    Raises:
      OSError: If the server does not come to answer.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    module = "benchmarks.measure.store_server"
    command = [sys.executable, "-m", module, str(folder), f"--port={port}"]
    server = subprocess.Popen(command)
    try:
        store = Store(f"http://127.0.0.1:{port}")
        _wait_for(store)
        yield store
    finally:
        server.kill()
        server.wait()


def _wait_for(store: Store) -> None:
    end = time.monotonic() + _SECONDS_TO_START
    while True:
        try:
            store.counts()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return
