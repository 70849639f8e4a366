"""Compares builds from a bucket behind a network with streaming both archives once.

    python -m benchmarks.buckets ARCHIVES

ARCHIVES is a directory that `make/archives.py` made, best on a file system in memory.
Each request to the store takes 30 ms, and each connection brings 100 MB/s (see
measure/store_server.py). TFDS's own builder cannot read `s3://`; where it can read a
bucket, it streams the archives through one connection. Here that is what the first
`--stream_bytes` take, for as many bytes as both archives have, without any other work.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from unittest import mock

from benchmarks.make.archives import LIST_NAMES, TRAINING_NAME, read_facts
from benchmarks.measure.runs import build, machine_line, print_table
from benchmarks.measure.store_server import BUCKET, counts, serve, stream_seconds


def main() -> int:
    """Runs the benchmark of the command line, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archives", type=pathlib.Path)
    parser.add_argument("--stream_bytes", type=float, default=2e9)
    configs = list(LIST_NAMES)
    parser.add_argument("--configs", nargs="+", choices=configs, default=configs)
    args = parser.parse_args()

    facts = read_facts(args.archives)
    size = facts.training_size + facts.validation_size
    headers = facts.training_images + facts.validation_images
    print(machine_line())
    print(f"\n{facts.synsets:,} synsets, {headers:,} headers, {size / 1e9:.1f} GB\n")
    sample = min(int(args.stream_bytes), facts.training_size)
    with serve(args.archives) as url:
        streamed = stream_seconds(url, TRAINING_NAME, sample) * size / sample
    row = ["both archives, streamed", f"{streamed:.1f}", "1.0", "-", "-", "2"]
    rows = [[*row, f"{size / 1e9:.2f}"]]
    with tempfile.TemporaryDirectory(dir=args.archives) as scratch:
        for config in args.configs:
            rows += _build(args.archives, config, pathlib.Path(scratch), streamed)
    print_table(
        "what | seconds | times as fast as streaming | CPU seconds | peak memory, GB"
        " | requests | GB read",
        rows,
    )
    return 0


def _build(
    archives: pathlib.Path, config: str, scratch: pathlib.Path, streamed: float
) -> Iterator[list[str]]:
    """Builds with nothing saved, then with the index saved; yields a row for each."""
    for what in (config, f"{config}, index saved"):
        with serve(archives) as url:
            variables = {
                "AWS_ACCESS_KEY_ID": "id",
                "AWS_SECRET_ACCESS_KEY": "secret",
                "AWS_ENDPOINT_URL": url,
            }
            with mock.patch.dict(os.environ, variables):
                data_dir, bucket = scratch / config, f"s3://{BUCKET}"
                run = build("ours", config, archives, data_dir, manual_dir=bucket)
            read = counts(url)
        shutil.rmtree(run.data_path)
        yield [
            what,
            f"{run.seconds:.1f}",
            f"{streamed / run.seconds:.1f}",
            f"{run.cpu_seconds:.1f}",
            f"{run.memory / 1e9:.2f}",
            f"{read['requests']:,}",
            f"{read['bytes'] / 1e9:.2f}",
        ]


if __name__ == "__main__":
    sys.exit(main())
