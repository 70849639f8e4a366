"""Compares TFDS's own builder with ours: time, memory, disk, and the datasets made.

    python -m benchmarks.compare

Every figure comes from a fresh process on a cold page cache. The archives are synthetic
and of the original's shape (see make/archives.py). At full size, allow an hour and
70 GB of disk; `--synsets 20` takes minutes.
"""

from __future__ import annotations

import argparse
import pathlib
import shutil
import sys
import tempfile

from benchmarks.make.archives import LIST_NAMES, make_archives
from benchmarks.make.lists import fetch_lists
from benchmarks.measure.machine import machine_line
from benchmarks.measure.process import Measurement
from benchmarks.measure.runs import Runs
from benchmarks.measure.tables import print_table

_NONE = "-"


def main() -> int:
    """Compares as the command line says, printing each table as soon as it is known."""
    args = _arguments()
    lists = args.lists or fetch_lists(args.folder / "lists")
    archives = args.folder / f"archives-{args.synsets}"
    facts = make_archives(args.archives or archives, lists, args.synsets)
    tfds_dir = args.tfds or args.folder / f"tfds-{args.synsets}"
    scratch = args.folder / f"ours-{args.synsets}"
    runs = Runs(args.archives or archives, facts, tfds_dir, scratch)

    print(machine_line())
    print(
        f"\n{facts.synsets:,} synsets, {facts.training_images:,} training members in "
        f"{facts.training_size / 1e9:.1f} GB, {facts.validation_images:,} validation "
        f"images in {facts.validation_size / 1e9:.1f} GB. Caches: {runs.go_cold()}.\n"
    )
    builds = [row for config in args.configs for row in _compare(runs, config, args)]
    print_table(
        "builder | config | seconds | peak memory, GB | peak disk, GB | extra disk, GB"
        " | headers a second | TFDS's seconds / these | these / floor",
        builds,
    )
    print_table(
        "ours: workers | config | seconds | peak memory, GB",
        [
            [str(workers), config, f"{run.seconds:.1f}", _gb(run.memory)]
            for config in args.configs[:1]
            for workers in args.workers
            for run in [runs.ours(config, [f"--workers={workers}"])]
        ],
    )
    walks = {
        "both archives, as a build does": runs.walk("both"),
        "training, many in flight": runs.walk("training"),
        "training, one at a time": runs.walk("training", in_flight=1),
        "validation, many in flight": runs.walk("validation"),
        "validation, one at a time": runs.walk("validation", in_flight=1),
    }
    print_table(
        "header walk | headers | seconds | headers a second",
        [
            [
                name,
                f"{int(walk.printed['headers']):,}",
                f"{walk.seconds:.1f}",
                _headers_a_second(walk),
            ]
            for name, walk in walks.items()
        ],
    )
    shutil.rmtree(scratch, ignore_errors=True)
    if args.tfds is None:
        shutil.rmtree(tfds_dir, ignore_errors=True)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    folder = pathlib.Path(tempfile.gettempdir()) / "imagenet2012_subset_benchmark"
    path = pathlib.Path
    parser.add_argument("--synsets", type=int, default=1000)
    parser.add_argument("--lists", type=path, help="Lists' folder; else downloaded.")
    parser.add_argument("--folder", type=path, default=folder, help="For all files.")
    parser.add_argument("--archives", type=path, help="Archives' folder, if elsewhere.")
    parser.add_argument(
        "--tfds",
        type=path,
        help="Keep TFDS's datasets here with their figures, and reuse those found here."
        " Otherwise each is made anew and removed once compared.",
    )
    configs = list(LIST_NAMES)
    parser.add_argument("--configs", nargs="+", choices=configs, default=configs)
    parser.add_argument("--workers", nargs="*", type=int, default=[1, 2, 4])
    return parser.parse_args()


def _compare(runs: Runs, config: str, args: argparse.Namespace) -> list[list[str]]:
    """Makes all builds of a config and returns their rows of the first table."""
    if args.tfds is None:
        runs.forget_tfds(config)
    theirs, is_earlier = runs.tfds(config)
    ours = runs.ours(config)
    print(f"{config}: {runs.equality(theirs, ours)}\n", flush=True)
    if args.tfds is None:
        runs.forget_tfds(config)
    again = runs.ours_again(config)
    # Beside the builds, not once for all configs: a disk is not the same for hours.
    walk = runs.walk("both")
    copy = runs.copy(config)
    floor = copy + walk.seconds

    def row(name: str, run: Measurement, headers: str, floor: float) -> list[str]:
        return [
            name,
            config,
            f"{run.seconds:.1f}",
            _gb(run.memory),
            _gb(run.peak_disk),
            _gb(run.peak_disk - run.final_disk),
            headers,
            f"{theirs.seconds / run.seconds:.1f}",
            f"{run.seconds / floor:.2f}",
        ]

    return [
        row("TFDS (earlier run)" if is_earlier else "TFDS", theirs, _NONE, floor),
        row("ours", ours, _headers_a_second(walk), floor),
        row("ours, second build (index kept)", again, _NONE, copy),
        [
            f"floor: copy {copy:.2f} s + headers {walk.seconds:.2f} s",
            config,
            f"{floor:.1f}",
            *[_NONE] * 4,
            f"{theirs.seconds / floor:.1f}",
            "1",
        ],
    ]


def _headers_a_second(walk: Measurement) -> str:
    return f"{int(walk.printed['headers']) / walk.seconds:,.0f}"


def _gb(size: int) -> str:
    return f"{size / 1e9:.2f}"


if __name__ == "__main__":
    sys.exit(main())
