"""Walks archives' headers in this process, and prints their number and the seconds."""

from __future__ import annotations

import argparse
import pathlib
import sys
import tempfile
import time

from etils import epath

from imagenet2012_subset.archives import locate_archives, open_archives
from imagenet2012_subset.locate import Located, locate
from imagenet2012_subset.manual_dir import TRAINING, VALIDATION, open_original
from imagenet2012_subset.tar_walk import IN_FLIGHT


def walk(which: str, folder: epath.Path, in_flight: int) -> list[Located]:
    """Walks both archives as a build does, or one of them by itself."""
    if which == "both":
        with tempfile.TemporaryDirectory() as index_folder:
            archives = locate_archives(open_archives(folder), epath.Path(index_folder))
        return [archive.located for archive in archives]
    original = {"training": TRAINING, "validation": VALIDATION}[which]
    return [locate(open_original(folder, original), in_flight=in_flight)]


def main() -> int:
    """Walks as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", choices=("both", "training", "validation"))
    parser.add_argument("--archives", type=pathlib.Path, required=True)
    parser.add_argument("--in_flight", type=int, default=IN_FLIGHT, help="Not for both")
    args = parser.parse_args()

    start = time.perf_counter()
    found = walk(args.which, epath.Path(args.archives), args.in_flight)
    seconds = time.perf_counter() - start
    print(f"headers {sum(len(one.images) + one.num_others for one in found)}")
    print(f"seconds {seconds:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
