"""Builds one config with one builder, in this process, and prints the seconds it took.

`compare.py` starts this in a fresh process for every figure, so that no run inherits
another's imports, heap or page cache. The seconds leave out importing TensorFlow.
"""

from __future__ import annotations

import argparse
import importlib
import pathlib
import sys
import time
from typing import Any
from unittest import mock

import tensorflow_datasets as tfds
from archives import LIST_NAMES

_MODULES = {
    "tfds": "tensorflow_datasets.datasets.imagenet2012_subset"
    ".imagenet2012_subset_dataset_builder",
    "ours": "imagenet2012_subset",
}


def tfds_builder(args: argparse.Namespace) -> Any:
    """Returns TFDS's own builder, whatever else is registered under its name."""
    module = importlib.import_module(_MODULES["tfds"])
    return module.Builder(data_dir=args.data_dir, config=args.config)


def our_builder(args: argparse.Namespace) -> Any:
    """Returns this project's builder, with a config of its own for cut lists."""
    ours = importlib.import_module(_MODULES["ours"])
    config: Any = args.config
    if args.cut_to is not None:
        config = ours.SubsetConfig(
            name=f"{args.config}_cut",
            subset_list=str(_list_path(args)),
            validation_images=args.cut_to,
        )
    options = {} if args.workers is None else {"workers": args.workers}
    return ours.Builder(data_dir=args.data_dir, config=config, **options)


def _list_path(args: argparse.Namespace) -> pathlib.Path:
    archives: pathlib.Path = args.archives
    return archives / LIST_NAMES[args.config]


def main() -> int:
    """Builds as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("builder", choices=("tfds", "ours"))
    parser.add_argument("config", choices=tuple(LIST_NAMES))
    parser.add_argument("--archives", type=pathlib.Path, required=True)
    parser.add_argument("--data_dir", type=pathlib.Path, required=True)
    parser.add_argument("--workers", type=int, help="Ours only.")
    parser.add_argument(
        "--cut_to", type=int, help="Validation images, where the lists are cut ones."
    )
    args = parser.parse_args()

    builder = tfds_builder(args) if args.builder == "tfds" else our_builder(args)
    download_config = tfds.download.DownloadConfig(manual_dir=args.archives)
    # TFDS would import it when it is first needed, which is in the time measured.
    importlib.import_module("tensorflow")
    start = time.perf_counter()
    if args.builder == "tfds" and args.cut_to is not None:
        # A cut list is not the file whose checksum TFDS has.
        download = mock.Mock(return_value=_list_path(args))
        with mock.patch.object(tfds.download.DownloadManager, "download", download):
            builder.download_and_prepare(download_config=download_config)
    else:
        builder.download_and_prepare(download_config=download_config)
    print(f"seconds {time.perf_counter() - start:.3f}")
    print(f"data_path {builder.data_path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
