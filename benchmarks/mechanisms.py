"""Tells what each mechanism of the builder's brings, by turning it off.

    python -m benchmarks.mechanisms --archives DIR --folder DIR

Builds take turns, as many rounds as asked for; `times` is the median of the ratios to
the build with everything on, round by round. With `--against CHECKOUT` the builder as
it is in another checkout takes turns too, and with `--only` mechanisms may be chosen,
or none. Only the archives' pages are made cold, so use archives on a disk in memory
(see make/memory_disk.sh), or as many rounds as average out what a disk does besides.
"""

from __future__ import annotations

import argparse
import pathlib
import sys

from benchmarks.make.archives import LIST_NAMES
from benchmarks.measure.machine import machine_line
from benchmarks.measure.mechanisms import MECHANISMS
from benchmarks.measure.tables import print_table
from benchmarks.measure.turns import COLUMNS, Way, take_turns

_EVERYTHING = "nothing"


def main() -> int:
    """Measures as the command line says, and prints a table for each config."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    path = pathlib.Path
    parser.add_argument("--archives", type=path, required=True)
    parser.add_argument("--folder", type=path, required=True, help="For all files.")
    configs = list(LIST_NAMES)
    parser.add_argument("--configs", nargs="+", choices=configs, default=configs)
    parser.add_argument("--rounds", type=int, default=5)
    names = list(MECHANISMS)
    parser.add_argument("--only", nargs="*", choices=names, default=names)
    parser.add_argument("--against", type=path, metavar="CHECKOUT")
    parser.add_argument(
        "--index_kept",
        choices=("no", "everything", "yes"),
        default="yes",
        help="Whether to build once more with it: with everything on alone, or always"
        " where a mechanism matters then.",
    )
    args = parser.parse_args()

    ways = {_EVERYTHING: Way(with_index=args.index_kept != "no")}
    if args.against is not None:
        ways[f"(the builder in {args.against.name})"] = Way(
            [f"--checkout={args.against}"], args.index_kept != "no"
        )
    for name in args.only:
        mechanism = MECHANISMS[name]
        ways[mechanism.description] = Way(
            [f"--without={name}"], mechanism.with_index and args.index_kept == "yes"
        )
    scratch = args.folder / "mechanisms"

    print(machine_line(), flush=True)
    for config in args.configs:
        from_nothing, with_index = take_turns(
            args.archives, scratch, config, ways, args.rounds, note=_note
        )
        for title, figures in (
            (config, from_nothing),
            (f"{config}, index kept", with_index),
        ):
            print_table(
                f"{title}: turned off | {COLUMNS}",
                [[name, *figures.row(name, _EVERYTHING)] for name in figures.builds],
            )
    return 0


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
