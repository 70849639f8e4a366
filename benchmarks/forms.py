"""Compares building from extracted images and synset tars with building from the tars.

    python -m benchmarks.forms TARS --scratch FOLDER

TARS is a directory that `make/archives.py` made. It is extracted once; images that are
holes in the tars stay holes. Then the forms are built one after another, each time in a
fresh process on a cold page cache, the tars with the index that an earlier build saved.
"""

from __future__ import annotations

import argparse
import collections
import pathlib
import shutil
import sys

from benchmarks.make.archives import LIST_NAMES, read_facts
from benchmarks.make.extracted import extract_synset_tars, extract_tree
from benchmarks.measure.runs import (
    build,
    go_cold,
    machine_line,
    median_and_range,
    median_ratio,
    print_table,
)
from imagenet2012_subset.imagenet import names


def main() -> int:
    """Runs the comparison, and prints a table for each config."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    path = pathlib.Path
    parser.add_argument("tars", type=path)
    parser.add_argument("--scratch", type=path, required=True, help="for all files")
    parser.add_argument("--rounds", type=int, default=3)
    configs = list(LIST_NAMES)
    parser.add_argument("--configs", nargs="+", choices=configs, default=configs)
    args = parser.parse_args()

    facts = read_facts(args.tars)
    forms = {
        "tars": args.tars,
        "extracted": args.scratch / "tree",
        "synset tars": args.scratch / "synset_tars",
    }
    extract_tree(args.tars, forms["extracted"], names.wnid)
    extract_synset_tars(args.tars, forms["synset tars"])
    print(f"{machine_line()}\n", flush=True)
    data_dir = args.scratch / "data"
    for config in args.configs:
        shutil.rmtree(data_dir, ignore_errors=True)
        seconds = collections.defaultdict(list)
        for number in range(args.rounds + 1):
            for form, folder in forms.items():
                go_cold(args.tars)
                run = build("ours", config, folder, data_dir, facts, lists=args.tars)
                shutil.rmtree(run.data_path)
                if number:  # The first round saves the indices.
                    seconds[form].append(run.seconds)
        print_table(
            f"{config} | seconds | these / the tars'",
            [
                [
                    form,
                    median_and_range(taken),
                    f"{median_ratio(taken, seconds['tars']):.2f}",
                ]
                for form, taken in seconds.items()
            ],
        )
    shutil.rmtree(data_dir)
    return 0


if __name__ == "__main__":
    sys.exit(main())
