"""Opens the dataset of an example: yours, or the dummy data.

python examples/EXAMPLE.py                              # dummy data, in seconds
python examples/EXAMPLE.py --data_dir ~/tensorflow_datasets        # built before
python examples/EXAMPLE.py --manual_dir ~/imagenet      # built now from archives

The dummy data is built once, as `imagenet2012_subset/dummy_1pct` or `dummy_10pct` in
TFDS's default directory.
"""

from __future__ import annotations

import argparse
import pathlib

import tensorflow_datasets as tfds

from imagenet2012_subset import SubsetConfig

_DUMMY_DATA = pathlib.Path(__file__).parent.parent / "dummy_data"
_DUMMY_LISTS = {"1pct": "1percent.txt", "10pct": "10percent.txt"}


def arguments(description: str) -> argparse.ArgumentParser:
    """Returns a parser of the options that locate the dataset."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--manual_dir", help="the folder of the two archives")
    parser.add_argument("--data_dir", help="default: ~/tensorflow_datasets")
    return parser


def prepared(
    args: argparse.Namespace, config: str, file_format: str = "tfrecord"
) -> tfds.core.DatasetBuilder:
    """Returns the builder of the dataset, which it builds if it does not exist."""
    manual_dir = args.manual_dir
    chosen: str | SubsetConfig = config
    if args.manual_dir is None and args.data_dir is None:
        manual_dir = _DUMMY_DATA
        chosen = SubsetConfig(
            name=f"dummy_{config}",
            description="Drawn shapes instead of photos.",
            subset_list=str(_DUMMY_DATA / _DUMMY_LISTS[config]),
            validation_images=10,
        )
    builder = tfds.builder(
        "imagenet2012_subset",
        config=chosen,
        data_dir=args.data_dir,
        file_format=file_format,
    )
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=manual_dir)
    )
    return builder
