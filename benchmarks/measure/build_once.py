"""Builds one config with one builder, in this process, and prints what it took.

Other commands start this in a fresh process for every figure, so that no run inherits
another's imports, heap or page cache. The figures leave out importing TensorFlow.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pathlib
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple
from unittest import mock

import tensorflow_datasets as tfds

_MODULES = {
    "tfds": "tensorflow_datasets.datasets.imagenet2012_subset"
    ".imagenet2012_subset_dataset_builder",
    "ours": "imagenet2012_subset",
}
_MECHANISMS = "benchmarks.measure.mechanisms"


class Built(NamedTuple):
    """What a build took.

    Attributes:
      seconds: From beginning to end.
      cpu_seconds: Of all its threads, in its own code and the kernel's.
      data_path: Where the dataset is.
    """

    seconds: float
    cpu_seconds: float
    data_path: str


def tfds_builder(args: argparse.Namespace) -> Any:
    """Returns TFDS's own builder, whatever else is registered under its name."""
    module = importlib.import_module(_MODULES["tfds"])
    return module.Builder(data_dir=args.data_dir, config=args.config)


def our_builder(args: argparse.Namespace) -> Any:
    """Returns this project's builder, with a config of its own for cut lists."""
    # A fork has what its parent imported, maybe of another checkout.
    for name in [*sys.modules]:
        if name.partition(".")[0] == _MODULES["ours"] or name == _MECHANISMS:
            del sys.modules[name]
    if args.checkout is not None:
        sys.path.insert(0, str(args.checkout.resolve()))
    ours = importlib.import_module(_MODULES["ours"])
    for mechanism in args.without:
        importlib.import_module(_MECHANISMS).MECHANISMS[mechanism].turn_off()
    config: Any = args.config
    if args.cut_list is not None:
        config = ours.SubsetConfig(
            name=f"{args.config}_cut",
            subset_list=str(args.cut_list),
            validation_images=args.cut_to,
        )
    options = {} if args.workers is None else {"workers": args.workers}
    return ours.Builder(data_dir=args.data_dir, config=config, **options)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Returns what the arguments, or the command line, say to build."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    path = pathlib.Path
    parser.add_argument("builder", choices=tuple(_MODULES))
    parser.add_argument("config")
    parser.add_argument("--archives", required=True, help="Their folder, or its URL.")
    parser.add_argument("--data_dir", type=path, required=True)
    parser.add_argument("--cut_list", type=path, help="In place of the config's own.")
    parser.add_argument("--cut_to", type=int, help="Validation images, with a list.")
    parser.add_argument("--workers", type=int, help="Ours only.")
    parser.add_argument("--checkout", type=path, help="Ours, as it is there.")
    parser.add_argument(
        "--without", nargs="*", default=(), help="Ours, with mechanisms turned off."
    )
    return parser.parse_args(arguments)


def build(args: argparse.Namespace) -> Built:
    """Builds as `parse` says; may be called once a process."""
    builder = tfds_builder(args) if args.builder == "tfds" else our_builder(args)
    download_config = tfds.download.DownloadConfig(manual_dir=args.archives)
    # TFDS would import it when it is first needed, which is in the time measured.
    importlib.import_module("tensorflow")
    cpu_before = _cpu_seconds()
    start = time.perf_counter()
    if args.builder == "tfds" and args.cut_list is not None:
        # A cut list is not the file whose checksum TFDS has.
        download = mock.Mock(return_value=args.cut_list)
        with mock.patch.object(tfds.download.DownloadManager, "download", download):
            builder.download_and_prepare(download_config=download_config)
    else:
        builder.download_and_prepare(download_config=download_config)
    seconds = time.perf_counter() - start
    return Built(seconds, _cpu_seconds() - cpu_before, str(builder.data_path))


def _cpu_seconds() -> float:
    """Returns what this process took of the CPUs, in its own code and the kernel's."""
    times = os.times()
    return times.user + times.system


def main() -> int:
    """Builds as the command line says."""
    for name, fact in build(parse())._asdict().items():
        print(name, fact)
    return 0


if __name__ == "__main__":
    sys.exit(main())
