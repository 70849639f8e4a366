"""Walks archives' headers in this process, and prints their number and the seconds."""

from __future__ import annotations

import argparse
import pathlib
import sys
import time

from etils import epath

from imagenet2012_subset.imagenet.originals import TRAINING, VALIDATION
from imagenet2012_subset.sources.source import Index
from imagenet2012_subset.sources.tar_archive import TarArchive
from imagenet2012_subset.sources.tar_index import index_tar
from imagenet2012_subset.storage.open import open_file


def walk(which: str, folder: epath.Path, in_flight: int | None) -> list[Index]:
    """Walks both archives as a build does, or one of them by itself."""
    if which == "both":
        return [
            TarArchive(open_file(folder / original.file_name), original).index()
            for original in (TRAINING, VALIDATION)
        ]
    original = {"training": TRAINING, "validation": VALIDATION}[which]
    file = open_file(folder / original.file_name)
    return [index_tar(file, in_flight=in_flight)]


def main() -> int:
    """Walks as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", choices=("both", "training", "validation"))
    parser.add_argument("--archives", type=pathlib.Path, required=True)
    parser.add_argument("--in_flight", type=int, help="Not for both.")
    args = parser.parse_args()

    start = time.perf_counter()
    found = walk(args.which, epath.Path(args.archives), args.in_flight)
    seconds = time.perf_counter() - start
    print(f"headers {sum(len(one.entries) + one.num_others for one in found)}")
    print(f"seconds {seconds:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
