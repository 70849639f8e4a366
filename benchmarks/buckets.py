"""Builds from a bucket behind a network, and streams the same bytes once.

    python -m benchmarks.buckets --archives FOLDER

The archives are those of `make/archives.py`. The store is `measure/store_server.py`:
each request takes 30 ms, each connection brings 100 MB/s. TFDS's own builder cannot
read `s3://`; where it can read a bucket, it streams the training archive through one
connection. So it is compared with exactly that: the bytes of both archives, streamed
once at that rate, without its work on them, and measured over `--stream_bytes` of them.
"""

from __future__ import annotations

import argparse
import pathlib
import shutil
import sys
import tempfile
from collections.abc import Iterator

from benchmarks.make.archives import (
    LIST_NAMES,
    TRAINING_NAME,
    ArchiveFacts,
    read_facts,
)
from benchmarks.measure.machine import machine_line
from benchmarks.measure.process import Measurement
from benchmarks.measure.runs import cut_options, run_module
from benchmarks.measure.store import serve
from benchmarks.measure.tables import print_table


def main() -> int:
    """Measures as the command line says, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archives", type=pathlib.Path, required=True)
    parser.add_argument("--stream_bytes", type=float, default=2e9)
    configs = list(LIST_NAMES)
    parser.add_argument("--configs", nargs="+", choices=configs, default=configs)
    args = parser.parse_args()

    facts = read_facts(args.archives)
    size = facts.training_size + facts.validation_size
    headers = facts.training_images + facts.validation_images
    print(machine_line())
    print(f"\n{facts.synsets:,} synsets, {headers:,} headers, {size / 1e9:.1f} GB\n")
    streamed = _stream(args.archives, int(args.stream_bytes), size)
    rows = [_row("both archives, streamed", streamed, streamed, "-", 2, size, 0)]
    with tempfile.TemporaryDirectory() as scratch:
        for config in args.configs:
            data_dir = pathlib.Path(scratch) / config
            rows += _build(args.archives, facts, config, data_dir, streamed)
    print_table(
        "what | seconds | times as fast as the stream | CPU seconds | requests"
        " | GB read | extra disk, GB",
        rows,
    )
    return 0


def _stream(archives: pathlib.Path, sample: int, size: int) -> float:
    """Returns the seconds that `size` bytes take through one connection."""
    sample = min(sample, (archives / TRAINING_NAME).stat().st_size)
    with serve(archives) as store:
        return store.stream_seconds(TRAINING_NAME, sample) * size / sample


def _build(
    archives: pathlib.Path,
    facts: ArchiveFacts,
    config: str,
    data_dir: pathlib.Path,
    streamed: float,
) -> Iterator[list[str]]:
    """Builds from nothing and with the index kept; yields a row for each."""
    data_dir.mkdir()
    for what in (f"`{config}`", f"`{config}`, index kept"):
        with serve(archives) as store:
            arguments = ["ours", config, f"--data_dir={data_dir}"]
            arguments += [f"--archives={store.folder}"]
            arguments += cut_options(archives, facts, config)
            built = run_module("build_once", arguments, data_dir, store.environment)
            counts = store.counts()
        yield _row(
            what,
            built.seconds,
            streamed,
            f"{float(built.printed['cpu_seconds']):.1f}",
            counts["requests"],
            counts["bytes"],
            _extra_disk(built),
        )
        shutil.rmtree(built.printed["data_path"])


def _row(
    what: str,
    seconds: float,
    streamed: float,
    cpu: str,
    requests: int,
    read: float,
    disk: float,
) -> list[str]:
    row = [what, f"{seconds:.1f}", f"{streamed / seconds:.1f}", cpu, f"{requests:,}"]
    row += [f"{read / 1e9:.2f}", f"{disk / 1e9:.2f}"]
    print(*row, sep=", ", file=sys.stderr, flush=True)
    return row


def _extra_disk(built: Measurement) -> int:
    return built.peak_disk - built.final_disk


if __name__ == "__main__":
    sys.exit(main())
