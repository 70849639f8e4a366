"""Compares this builder with TFDS's own, or with another checkout of this repository.

    python -m benchmarks.compare --lists LISTS --synsets 200
    python -m benchmarks.compare --lists LISTS --configs 1pct --validation_images 10000
    python -m benchmarks.compare --lists LISTS --synsets 200 --against CHECKOUT

Each build runs in a fresh process on a cold page cache (which takes root). The archives
are synthetic and sparse, in the original's structure (see make/archives.py): all
1,281,167 headers of the training archive, or those of the first synsets. The datasets
of both builders are compared record by record.
"""

from __future__ import annotations

import argparse
import collections
import pathlib
import shutil
import subprocess
import sys
import tempfile

from benchmarks.make.archives import LIST_NAMES, fetch_lists, make_archives
from benchmarks.measure.runs import (
    Run,
    build,
    build_twice,
    go_cold,
    machine_line,
    median_and_range,
    median_ratio,
    print_table,
)

_TFDS, _OURS, _KEPT = "TFDS", "ours", "ours, index saved"


def main() -> int:
    """Runs the comparison, and prints a table for each config."""
    args = _arguments()
    lists = args.lists or fetch_lists(args.folder / "lists")
    name = f"archives-{args.synsets}-{args.validation_images or 'all'}"
    archives = args.archives or args.folder / name
    facts = make_archives(
        archives,
        lists,
        args.synsets,
        configs=args.configs,
        validation_images=args.validation_images,
    )
    print(machine_line())
    print(
        f"\n{facts.synsets:,} synsets, {facts.training_images:,} training members in "
        f"{facts.training_size / 1e9:.1f} GB, {facts.validation_images:,} validation "
        f"images in {facts.validation_size / 1e9:.1f} GB.\n",
        flush=True,
    )
    for config in args.configs:
        runs = _runs_of(config, archives, args)
        rows = [_row(way, runs, args) for way in runs]
        print_table(
            f"{config} | seconds | CPU seconds | peak memory, GB | TFDS's seconds / "
            "these | these / the other checkout's",
            rows,
        )
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    folder = pathlib.Path(tempfile.gettempdir()) / "imagenet2012_subset_benchmark"
    path = pathlib.Path
    parser.add_argument("--synsets", type=int, default=1000)
    parser.add_argument("--validation_images", type=int, help="by default 50 a synset")
    parser.add_argument("--lists", type=path, help="directory; else downloaded")
    parser.add_argument("--folder", type=path, default=folder, help="for all files")
    parser.add_argument("--archives", type=path, help="their directory, if elsewhere")
    configs = list(LIST_NAMES)
    parser.add_argument("--configs", nargs="+", choices=configs, default=configs)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--against", type=path, metavar="CHECKOUT")
    parser.add_argument("--no_tfds", action="store_true", help="leave out TFDS's build")
    return parser.parse_args()


def _runs_of(
    config: str, archives: pathlib.Path, args: argparse.Namespace
) -> dict[str, list[Run]]:
    """Builds a config in each way, in turns; returns the runs of each way."""
    runs: dict[str, list[Run]] = collections.defaultdict(list)
    scratch = args.folder / "built"
    if not args.no_tfds:
        go_cold(archives)
        theirs = build("tfds", config, archives, scratch / "tfds")
        runs[_TFDS].append(theirs)
    for number in range(args.rounds):
        checkouts = [None, args.against] if args.against else [None]
        for checkout in checkouts:
            data_dir = scratch / ("other" if checkout else "ours")
            first, again = build_twice(archives, config, data_dir, checkout=checkout)
            suffix = f" ({checkout.name})" if checkout else ""
            runs[_OURS + suffix].append(first)
            runs[_KEPT + suffix].append(again)
            if number == 0 and not checkout and not args.no_tfds:
                _check_equality(theirs, again)
            shutil.rmtree(scratch)  # Two datasets at a time need less memory.
    return runs


def _check_equality(theirs: Run, ours: Run) -> None:
    """Prints how many records are equal.

    Raises:
      RuntimeError: if the datasets differ.
    """
    command = [sys.executable, "-m", "benchmarks.measure.equality"]
    # A config of your own notes the fingerprint of its list.
    command += [str(theirs.data_path), str(ours.data_path), "--ignore=metadata.json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr[-2000:])
    print(f"{done.stdout.strip()}\n", flush=True)


def _row(way: str, runs: dict[str, list[Run]], args: argparse.Namespace) -> list[str]:
    seconds = [run.seconds for run in runs[way]]
    by_tfds = against = "-"
    if _TFDS in runs:
        by_tfds = f"{runs[_TFDS][0].seconds / sorted(seconds)[len(seconds) // 2]:.1f}"
    if args.against and f"{way} ({args.against.name})" in runs:
        others = [run.seconds for run in runs[f"{way} ({args.against.name})"]]
        against = f"{median_ratio(seconds, others):.2f}"
    return [
        way,
        median_and_range(seconds),
        median_and_range([run.cpu_seconds for run in runs[way]]),
        f"{max(run.memory for run in runs[way]) / 1e9:.2f}",
        by_tfds,
        against,
    ]


if __name__ == "__main__":
    sys.exit(main())
