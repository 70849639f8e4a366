"""Compares building from extracted images with building from the tars.

    python -m benchmarks.forms TARS --scratch FOLDER

TARS is a folder that `make/archives.py` made. It is extracted once, into an extracted
tree and into synset tars; images that are holes in the tars stay holes. Then each form
is built in turn, every time in a fresh process on a cold page cache, the tars with
their index kept from a build before.
"""

from __future__ import annotations

import argparse
import pathlib
import shutil
import statistics
import sys
from collections.abc import Mapping

from benchmarks.make.archives import (
    LIST_NAMES,
    TRAINING_NAME,
    VALIDATION_NAME,
    read_facts,
)
from benchmarks.make.extracted import extract_synset_tars, extract_tree
from benchmarks.measure.caches import go_cold
from benchmarks.measure.machine import machine_line
from benchmarks.measure.process import Measurement
from benchmarks.measure.runs import cut_options, run_module
from benchmarks.measure.tables import print_table
from imagenet2012_subset.imagenet import names

_TARS, _TREE = "tars", "tree"


def main() -> int:
    """Compares as the command line says, and prints a table of medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    path = pathlib.Path
    parser.add_argument("tars", type=path)
    parser.add_argument("--scratch", type=path, required=True, help="For all files.")
    parser.add_argument("--rounds", type=int, default=3)
    configs = list(LIST_NAMES)
    parser.add_argument("--configs", nargs="+", choices=configs, default=configs)
    args = parser.parse_args()

    forms = {
        _TARS: args.tars,
        _TREE: args.scratch / "tree",
        "synset tars": args.scratch / "synset_tars",
    }
    extract_tree(args.tars, forms[_TREE], names.wnid)
    extract_synset_tars(args.tars, forms["synset tars"])
    runs = _Runs(args.tars, args.scratch / "data")
    print(f"{machine_line()}\n", flush=True)
    print_table(
        "form | config | seconds | of that, looking up | times the tars'",
        [
            row
            for config in args.configs
            for row in _compare(runs, forms, config, args.rounds)
        ],
    )
    return 0


class _Runs:
    """Starts runs on what the tars hold, each on a cold page cache."""

    def __init__(self, tars: pathlib.Path, data_dir: pathlib.Path):
        self._tars = tars
        self._data_dir = data_dir
        self._facts = read_facts(tars)

    def build(self, form: pathlib.Path, config: str) -> float:
        """Returns the seconds of a build; what it made is removed, but for an index."""
        self._data_dir.mkdir(exist_ok=True)
        arguments = ["ours", config, f"--data_dir={self._data_dir}"]
        arguments += [f"--archives={form}"]
        arguments += cut_options(self._tars, self._facts, config)
        built = self._run("build_once", arguments)
        shutil.rmtree(built.printed["data_path"])
        return built.seconds

    def look_up(self, form: pathlib.Path, config: str, delay_ms: float = 0) -> float:
        """Returns the seconds of looking up what a build takes."""
        arguments = [f"--archives={form}", f"--delay_ms={delay_ms}"]
        arguments += [f"--subset_list={self._tars / LIST_NAMES[config]}"]
        arguments += [f"--validation_images={self._facts.validation_images}"]
        return self._run("look_up_once", arguments).seconds

    def forget(self) -> None:
        """Removes the indices of all builds."""
        shutil.rmtree(self._data_dir, ignore_errors=True)

    def _run(self, module: str, arguments: list[str]) -> Measurement:
        go_cold(self._tars / name for name in (TRAINING_NAME, VALIDATION_NAME))
        return run_module(module, arguments, self._data_dir)


def _compare(
    runs: _Runs, forms: Mapping[str, pathlib.Path], config: str, rounds: int
) -> list[list[str]]:
    """Measures every form of a config in turn; returns a row for each."""
    runs.forget()
    for folder in forms.values():  # Once, to keep what lies in the archives.
        runs.build(folder, config)
    builds: dict[str, list[float]] = {form: [] for form in forms}
    look_ups = []
    for _ in range(rounds):
        for form, folder in forms.items():
            builds[form].append(runs.build(folder, config))
        look_ups.append(runs.look_up(forms[_TREE], config))
    delayed = runs.look_up(forms[_TREE], config, delay_ms=1)
    runs.forget()
    base = statistics.median(builds[_TARS])
    rows = []
    for form, seconds in builds.items():
        median = statistics.median(seconds)
        looking_up = f"{statistics.median(look_ups):.1f}" if form == _TREE else ""
        rows.append([form, config, f"{median:.1f}", looking_up, f"{median / base:.2f}"])
    return [*rows, ["tree, 1 ms more a look-up", config, "", f"{delayed:.1f}", ""]]


if __name__ == "__main__":
    sys.exit(main())
