"""Where the examples get their dataset: yours, or the dummy data.

python examples/EXAMPLE.py                              # dummy data, in seconds
python examples/EXAMPLE.py --data_dir ~/tensorflow_datasets        # built before
python examples/EXAMPLE.py --manual_dir ~/imagenet      # built now from archives
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile

import tensorflow_datasets as tfds

from imagenet2012_subset import SubsetConfig

_DUMMY_DATA = pathlib.Path(__file__).parent.parent / "dummy_data"
_DUMMY_LISTS = {"1pct": "1percent.txt", "10pct": "10percent.txt"}


def arguments(description: str) -> argparse.ArgumentParser:
    """Returns a parser that knows where the dataset is."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--manual_dir", help="the folder of the two archives")
    parser.add_argument("--data_dir", help="default: ~/tensorflow_datasets")
    return parser


def is_dummy(args: argparse.Namespace) -> bool:
    """Returns whether no dataset was named, so that dummy data takes its place."""
    return args.manual_dir is None and args.data_dir is None


def prepared(
    args: argparse.Namespace, config: str, file_format: str | None = None
) -> tfds.core.DatasetBuilder:
    """Returns the builder of a dataset that is there, or that it builds."""
    manual_dir, data_dir = args.manual_dir, args.data_dir
    chosen: str | SubsetConfig = config
    if is_dummy(args):
        manual_dir, data_dir = _DUMMY_DATA, tempfile.mkdtemp(prefix="dummy_data_")
        chosen = SubsetConfig(
            name=f"dummy_{config}",
            description="Drawn shapes in place of photos.",
            subset_list=str(_DUMMY_DATA / _DUMMY_LISTS[config]),
            validation_images=10,
        )
    builder = tfds.builder(
        "imagenet2012_subset", config=chosen, data_dir=data_dir, file_format=file_format
    )
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=manual_dir)
    )
    return builder
