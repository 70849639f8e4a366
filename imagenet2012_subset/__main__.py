"""Checks archives or a prepared dataset, or writes a page that shows one.

imagenet2012-subset check MANUAL_DIR
imagenet2012-subset check DATA_DIR/imagenet2012_subset/1pct/5.0.0
imagenet2012-subset page DATA_DIR/imagenet2012_subset/1pct/5.0.0

Where the command is not installed, `python -m imagenet2012_subset` stands for it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from etils import epath

from imagenet2012_subset import Builder, DatasetError
from imagenet2012_subset.check.folder import check_folder, number_of_images
from imagenet2012_subset.check.report import Report
from imagenet2012_subset.page.write import write_page
from imagenet2012_subset.storage.paths import supported
from imagenet2012_subset.version import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns 0 if all is well, else 1."""
    args = _parser().parse_args(arguments)
    try:
        if args.command == "page":
            print(write_page(args.dataset, args.output))
            return 0
        report = _check(args)
    except DatasetError as error:
        if args.command != "check" or not args.json:
            print(error, file=sys.stderr)
            return 1
        report = Report(args.path)
        report.add(False, error.path, f"{error.problem}. {error.remedy}")
    print(report.to_json() if args.json else report.to_text())
    return 0 if report.ok else 1


def _check(args: argparse.Namespace) -> Report:
    return check_folder(
        _path(args.path),
        Builder,
        data_dir=_path(args.data_dir) if args.data_dir else None,
        manual_dir=_path(args.manual_dir) if args.manual_dir else None,
        subset_list=args.subset_list,
        validation_images=args.validation_images,
        sha256=args.sha256,
    )


def _path(argument: str) -> epath.Path:
    return epath.Path(supported(os.path.expanduser(argument)))


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
        help="check a manual directory or a prepared dataset",
        description="Checks the archives in a manual directory, or every record of a "
        "prepared dataset. The exit status is 0 if all is well, else 1.",
    )
    check.add_argument(
        "path",
        help="a manual directory, or a dataset: the folder with dataset_info.json",
    )
    check.add_argument("--json", action="store_true", help="print JSON")
    check.add_argument(
        "--data_dir",
        help="where datasets are built: what lies in the archives is kept there, and "
        "a build need not find it again",
    )
    archives = check.add_argument_group("for a manual directory")
    archives.add_argument(
        "--sha256",
        action="store_true",
        help="read the archives whole and compare them with the originals",
    )
    dataset = check.add_argument_group("for a prepared dataset")
    dataset.add_argument(
        "--manual_dir", help="compare image bytes with the archives in this folder"
    )
    dataset.add_argument(
        "--subset_list", help="the list it was built from: shows which images lack"
    )
    dataset.add_argument(
        "--validation_images",
        type=number_of_images,
        metavar="N",
        help="how many it should have; by default what the builder noted, or all",
    )
    page = commands.add_parser(
        "page",
        help="write an HTML page that shows a prepared dataset",
        description="Writes one HTML file that shows what is in a prepared dataset: "
        "its origin, splits and shards, balance and sizes, and images to search and "
        "page. It opens without a server and without network.",
    )
    page.add_argument("dataset", help="a dataset: the folder with dataset_info.json")
    page.add_argument(
        "--output",
        metavar="FILE",
        help="the file to write; by default one in the current folder that is named "
        "for the dataset",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
