"""Compares building from other forms of ImageNet with building from the two tars.

    python -m benchmarks.forms TARS --scratch FOLDER

TARS is a directory that `make/archives.py` made. With 20 synsets, FOLDER needs 5 GB.
Each form is made from the tars, built from twice, and removed. Each build is one run in
a fresh process on a cold page cache, the second one with the index that the first one
saved. Parquet files are also compared with the least work they could take: pyarrow
reads all of them, and the dataset is written (from the tars, index saved).
"""

from __future__ import annotations

import argparse
import functools
import pathlib
import shutil
import sys
import time
from collections.abc import Callable, Mapping

from pyarrow import parquet

from benchmarks.make import forms
from benchmarks.measure.runs import Run, build_twice, go_cold, machine_line, print_table

_FORMS: Mapping[str, Mapping[str, Callable[[pathlib.Path, pathlib.Path], None]]] = {
    "1pct": {
        "extracted images": forms.extract_tree,
        "synset tars": forms.extract_synset_tars,
        "TFRecord": functools.partial(forms.prepare, file_format="tfrecord"),
        "ArrayRecord": functools.partial(forms.prepare, file_format="array_record"),
    },
    "10pct": {"parquet": forms.write_parquet},
}


def main() -> int:
    """Runs the comparison, and prints a table for each config."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    path = pathlib.Path
    parser.add_argument("tars", type=path)
    parser.add_argument("--scratch", type=path, required=True, help="for all files")
    args = parser.parse_args()

    folder, data_dir = args.scratch / "form", args.scratch / "data"
    print(f"{machine_line()}\n", flush=True)
    for config, makers in _FORMS.items():
        of_tars = build_twice(args.tars, config, data_dir)
        rows = [_row("the two tars", of_tars, of_tars)]
        for form, make in makers.items():
            shutil.rmtree(data_dir)
            make(args.tars, folder)
            runs = build_twice(args.tars, config, data_dir, manual_dir=folder)
            rows.append(_row(form, runs, of_tars))
            if form == "parquet":
                seconds = _read_seconds(folder) + of_tars[1].seconds
                ratios = [f"{run.seconds / seconds:.2f}" for run in runs]
                rows.append(["parquet / plain read and write", "", "", *ratios])
            shutil.rmtree(folder)
        shutil.rmtree(data_dir)
        print_table(
            f"{config} | first, seconds | again, seconds | first / tars' | again / "
            "tars'",
            rows,
        )
    return 0


def _row(form: str, runs: tuple[Run, Run], of_tars: tuple[Run, Run]) -> list[str]:
    seconds = [f"{run.seconds:.1f}" for run in runs]
    pairs = zip(runs, of_tars, strict=True)
    return [form, *seconds, *(f"{a.seconds / b.seconds:.2f}" for a, b in pairs)]


def _read_seconds(folder: pathlib.Path) -> float:
    """Returns how long pyarrow takes to read all parquet files, one after another."""
    go_cold(folder)
    start = time.perf_counter()
    for path in sorted(folder.glob("*.parquet")):
        parquet.read_table(path)
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
