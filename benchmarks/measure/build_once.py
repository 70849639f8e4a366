"""Builds one config with one builder in this process, and prints what it took.

Other commands start this in a fresh process for each figure, so that no run inherits
the imports, heap or page cache of another one. The figures exclude importing
TensorFlow.
"""

from __future__ import annotations

import argparse
import importlib
import pathlib
import resource
import sys
import time
from typing import Any
from unittest import mock

import tensorflow_datasets as tfds

_TFDS_BUILDER = (
    "tensorflow_datasets.datasets.imagenet2012_subset"
    ".imagenet2012_subset_dataset_builder"
)


def make_builder(args: argparse.Namespace) -> Any:
    """Returns the builder that the arguments name."""
    if args.builder == "tfds":
        module = importlib.import_module(_TFDS_BUILDER)
        return module.Builder(data_dir=args.data_dir, config=args.config)
    if args.checkout is not None:
        sys.path.insert(0, str(args.checkout.resolve()))
    ours = importlib.import_module("imagenet2012_subset")
    config: Any = args.config
    if args.cut_list is not None:
        config = ours.SubsetConfig(
            name=f"{args.config}_cut",
            subset_list=str(args.cut_list),
            validation_images=args.cut_to,
        )
    return ours.Builder(data_dir=args.data_dir, config=config)


def main() -> int:
    """Builds the config of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    path = pathlib.Path
    parser.add_argument("builder", choices=("tfds", "ours"))
    parser.add_argument("config")
    parser.add_argument("--archives", required=True, help="their directory or URL")
    parser.add_argument("--data_dir", type=path, required=True)
    parser.add_argument("--cut_list", type=path, help="instead of the config's list")
    parser.add_argument("--cut_to", type=int, help="validation images, with a list")
    parser.add_argument("--checkout", type=path, help="another one of ours")
    args = parser.parse_args()

    builder = make_builder(args)
    config = tfds.download.DownloadConfig(manual_dir=args.archives)
    importlib.import_module("tensorflow")  # Else it would be part of the time.
    cpu_before, start = time.process_time(), time.perf_counter()
    if args.builder == "tfds" and args.cut_list is not None:
        # TFDS knows the checksum of the whole list only.
        download = mock.Mock(return_value=args.cut_list)
        with mock.patch.object(tfds.download.DownloadManager, "download", download):
            builder.download_and_prepare(download_config=config)
    else:
        builder.download_and_prepare(download_config=config)
    print()
    print("seconds", time.perf_counter() - start)
    print("cpu_seconds", time.process_time() - cpu_before)
    # Linux reports kibibytes.
    print("memory", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    print("data_path", builder.data_path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
