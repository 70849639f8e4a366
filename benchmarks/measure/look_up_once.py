"""Looks a config's images up, builds nothing, and prints the seconds."""

from __future__ import annotations

import argparse
import os
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

from etils import epath

from imagenet2012_subset.sources.discovery import find_sources
from imagenet2012_subset.subset.select import select_training, select_validation
from imagenet2012_subset.subset.subset_list import read_subset_list


def delay_path_calls(seconds: float) -> None:
    """Lets every call that takes a path take longer, as over a network."""

    def delayed(call: Callable[..., Any]) -> Callable[..., Any]:
        def wait_and_call(*args: Any, **kwargs: Any) -> Any:
            time.sleep(seconds)
            return call(*args, **kwargs)

        return wait_and_call

    for name in ("stat", "lstat", "scandir", "open"):
        setattr(os, name, delayed(getattr(os, name)))


def main() -> int:
    """Looks up as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    path = pathlib.Path
    parser.add_argument("--archives", type=path, required=True, help="Or what else.")
    parser.add_argument("--subset_list", type=path, required=True)
    parser.add_argument("--validation_images", type=int, required=True)
    parser.add_argument("--delay_ms", type=float, default=0)
    args = parser.parse_args()

    if args.delay_ms:
        delay_path_calls(args.delay_ms / 1000)
    start = time.perf_counter()
    found = find_sources(epath.Path(args.archives))
    select_training(found.training, read_subset_list(args.subset_list))
    select_validation(found.validation, args.validation_images)
    print(f"seconds {time.perf_counter() - start:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
