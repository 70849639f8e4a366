"""Builds from a bucket behind a network, and streams the same bytes once.

    python benchmarks/buckets.py --archives FOLDER

The archives are those of `compare.py`. The store is `store_server.py`: each request
takes 30 ms, each connection brings 100 MB/s. TFDS's own builder cannot read `s3://`;
where it can read a bucket, it streams the training archive through one connection. So
it is compared with exactly that: the bytes of both archives, streamed once at that
rate, without its work on them, and measured over `--stream_bytes` of them.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

_HERE = pathlib.Path(__file__).parent
_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
_TARS = ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar")


def main() -> None:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archives", type=pathlib.Path, required=True)
    parser.add_argument("--stream_bytes", type=float, default=2e9)
    parser.add_argument("--configs", nargs="+", default=["1pct", "10pct"])
    parser.add_argument("--build", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.build:
        _build(json.loads(args.build))
        return
    facts = json.loads((args.archives / "facts.json").read_text())
    num_bytes = sum((args.archives / name).stat().st_size for name in _TARS)
    headers = facts["training_images"] + facts["validation_images"]
    print(
        f"{headers:,} headers, {num_bytes / 1e9:.1f} GB, "
        f"{facts['synsets'] / 1000:.0%} of the original's synsets\n"
    )
    print(
        "| what | seconds | times as fast as the stream | CPU seconds | requests "
        "| GB read | local disk peak, GB |"
        "\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    )
    with tempfile.TemporaryDirectory() as scratch:
        streamed = _stream(args.archives, args.stream_bytes, num_bytes)
        _row("both archives, streamed", streamed, 1, 0, 2, num_bytes, 0)
        for config in args.configs:
            for kept in (False, True):
                _measure(args.archives, facts, config, kept, scratch, streamed)


def _row(
    what: str,
    seconds: float,
    times: float,
    cpu: float,
    requests: int,
    read: float,
    disk: float,
) -> None:
    print(
        f"| {what} | {seconds:.1f} | {times:.1f} | {cpu:.1f} | {requests:,} "
        f"| {read / 1e9:.2f} | {disk / 1e9:.2f} |",
        flush=True,
    )


class _Store:
    """The server, for as long as the block lasts."""

    def __init__(self, folder: pathlib.Path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._server = subprocess.Popen(
            [sys.executable, _HERE / "store_server.py", folder, f"--port={port}"]
        )
        for _ in range(100):
            try:
                self.counts()
                break
            except OSError:
                time.sleep(0.1)

    def counts(self) -> dict[str, int]:
        with urllib.request.urlopen(f"{self.url}/-/counts") as answer:
            counts: dict[str, int] = json.load(answer)
        return counts

    def __enter__(self) -> _Store:
        return self

    def __exit__(self, *error: object) -> None:
        self._server.kill()
        self._server.wait()


def _stream(folder: pathlib.Path, sample: float, num_bytes: int) -> float:
    """Returns the seconds that all bytes take through one connection."""
    with _Store(folder) as store:
        size = min(int(sample), (folder / _TARS[0]).stat().st_size)
        request = urllib.request.Request(
            f"{store.url}/bucket/imagenet/{_TARS[0]}",
            headers={"Range": f"bytes=0-{size - 1}"},
        )
        begun = time.perf_counter()
        with urllib.request.urlopen(request) as answer:
            while answer.read(1 << 20):
                pass
        return (time.perf_counter() - begun) * num_bytes / size


def _measure(
    folder: pathlib.Path,
    facts: dict[str, Any],
    config: str,
    kept: bool,
    scratch: str,
    streamed: float,
) -> None:
    data_dir = pathlib.Path(scratch) / "data"
    shutil.rmtree(data_dir / "imagenet2012_subset", ignore_errors=True)
    if not kept:
        shutil.rmtree(data_dir, ignore_errors=True)
    plan = {
        "config": config,
        "data_dir": str(data_dir),
        "subset_list": str(folder / f"{config.removesuffix('pct')}percent.txt"),
        "validation_images": facts["validation_images"],
    }
    with _Store(folder) as store:
        before = _used(pathlib.Path(scratch))
        build = subprocess.Popen(
            [
                sys.executable,
                __file__,
                f"--archives={folder}",
                f"--build={json.dumps(plan)}",
            ],
            env=os.environ | _ENVIRONMENT | {"AWS_ENDPOINT_URL": store.url},
            stdout=subprocess.PIPE,
            text=True,
        )
        peak = _Peak(pathlib.Path(scratch))
        output, _ = build.communicate()
        disk = peak.stop()
        if build.returncode:
            raise SystemExit("the build failed")
        counts = store.counts()
    measured = json.loads(output.splitlines()[-1])
    seconds = measured["seconds"]
    dataset = _used(data_dir / "imagenet2012_subset")
    _row(
        f"`{config}`{', index kept' if kept else ''}",
        seconds,
        streamed / seconds,
        measured["cpu_seconds"],
        counts["requests"],
        counts["bytes"],
        max(0, disk - before - dataset),
    )


class _Peak:
    """The most that a folder takes, looked at twice a second."""

    def __init__(self, folder: pathlib.Path):
        self._folder = folder
        self._most = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(0.5):
            self._most = max(self._most, _used(self._folder))

    def stop(self) -> int:
        self._stop.set()
        self._thread.join()
        return self._most


def _used(folder: pathlib.Path) -> int:
    def sizes() -> Iterator[int]:
        for path in folder.rglob("*"):
            try:
                if path.is_file():
                    yield path.stat().st_size
            except FileNotFoundError:  # It was moved to its place meanwhile.
                pass

    return sum(sizes())


def _build(plan: dict[str, Any]) -> None:
    """Builds in a process of its own; prints the seconds, imports left out."""
    import tensorflow as tf  # noqa: F401
    import tensorflow_datasets as tfds

    import imagenet2012_subset

    tfds.disable_progress_bar()
    builder = imagenet2012_subset.Builder(
        config=imagenet2012_subset.SubsetConfig(
            name=f"bucket_{plan['config']}",
            subset_list=plan["subset_list"],
            validation_images=plan["validation_images"],
        ),
        data_dir=plan["data_dir"],
    )
    begun, cpu_begun = time.perf_counter(), time.process_time()
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir="s3://bucket/imagenet")
    )
    seconds = time.perf_counter() - begun
    cpu_seconds = time.process_time() - cpu_begun
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds}))


if __name__ == "__main__":
    main()
