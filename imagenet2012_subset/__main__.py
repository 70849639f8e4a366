"""Checks a manual directory or prepared datasets, or writes a page about a dataset.

imagenet2012-subset check MANUAL_DIR
imagenet2012-subset check DATA_DIR
imagenet2012-subset check DATA_DIR/imagenet2012_subset/1pct/5.0.0
imagenet2012-subset page DATA_DIR/imagenet2012_subset/1pct/5.0.0

`python -m imagenet2012_subset` is the same command.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence

from etils import epath

from imagenet2012_subset import DatasetError
from imagenet2012_subset.check.folder import check_folder
from imagenet2012_subset.check.report import Report
from imagenet2012_subset.imagenet.names import NUM_VALIDATION_IMAGES
from imagenet2012_subset.output import say
from imagenet2012_subset.page.write import write_page
from imagenet2012_subset.storage.paths import supported
from imagenet2012_subset.version import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns 0 if it succeeds and every check passes, else 1."""
    args = _parser().parse_args(arguments)
    try:
        if args.command == "page":
            say(str(write_page(_path(args.dataset), args.output)))
            return 0
        report = check_folder(
            _path(args.path),
            data_dir=_path(args.data_dir) if args.data_dir else None,
            manual_dir=_path(args.manual_dir) if args.manual_dir else None,
            subset_list=args.subset_list,
            validation_images=args.validation_images,
            sha256=args.sha256,
            decode=args.decode,
        )
    except DatasetError as error:
        if args.command != "check" or not args.json:
            with contextlib.suppress(OSError, ValueError):
                print(error, file=sys.stderr)
            return 1
        report = Report(args.path)
        report.add_error(error.path, error)
    say(report.to_json() if args.json else report.to_text())
    return 0 if report.ok else 1


def _path(argument: str) -> epath.Path:
    return epath.Path(supported(os.path.expanduser(argument)))


def _number_of_images(argument: str) -> int:
    """Parses a number of validation images."""
    number = int(argument) if argument.isdecimal() else 0
    if not 1 <= number <= NUM_VALIDATION_IMAGES:
        # argparse drops the messages of other errors.
        raise argparse.ArgumentTypeError(
            f"must be a number from 1 to {NUM_VALIDATION_IMAGES:,}, not {argument!r}"
        )
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="imagenet2012-subset")
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {__version__}"
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="{check,page}"
    )
    check = commands.add_parser(
        "check",
        help="check a manual directory or prepared datasets",
        description="Checks the images in a manual directory, or every record of a "
        "prepared dataset or of all datasets in a data_dir. The exit status is 0 if "
        "every check passes, else 1.",
    )
    check.add_argument(
        "path",
        help="a manual directory; a dataset (the directory with dataset_info.json); or "
        "a directory of datasets, such as a data_dir",
    )
    check.add_argument("--json", action="store_true", help="print JSON")
    check.add_argument(
        "--decode",
        action="store_true",
        help="decode every image strictly, and report the file names of damaged ones",
    )
    check.add_argument(
        "--subset_list",
        metavar="FILE",
        help="for a dataset: the list that it was built from, which shows which images "
        "are missing; for a manual directory: the training images that must exist",
    )
    check.add_argument(
        "--data_dir",
        help="where you build datasets: the index of an archive is saved there, so "
        "that the next build does not read its headers again",
    )
    check.add_argument(
        "--validation_images",
        type=_number_of_images,
        metavar="N",
        help="how many validation images there should be; by default as many as a "
        "dataset records, or all",
    )
    archives = check.add_argument_group("for a manual directory")
    archives.add_argument(
        "--sha256",
        action="store_true",
        help="read the archives in full and compare them with the originals",
    )
    dataset = check.add_argument_group("for a prepared dataset")
    dataset.add_argument(
        "--manual_dir", help="compare the images with those in this directory"
    )
    page = commands.add_parser(
        "page",
        help="write an HTML page about a prepared dataset",
        description="Writes one HTML file about a prepared dataset, by default into "
        "the current directory, and prints its path. The page shows where the dataset "
        "comes from, its splits, shards, class balance and image sizes, and images to "
        "search and browse. It needs no server and no network.",
    )
    page.add_argument("dataset", help="a dataset: the directory with dataset_info.json")
    page.add_argument(
        "--output",
        metavar="FILE",
        help="the file to write; by default CURRENT_DIRECTORY/imagenet2012_subset-"
        "CONFIG-VERSION.html",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
