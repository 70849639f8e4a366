"""Notices the same bytes under several names while a split is written."""

from __future__ import annotations

import os
import threading
import zlib

import numpy as np
import numpy.typing as npt
from absl import logging

from imagenet2012_subset.errors import ArchiveError, counted, first_of

# ImageNet contains a few pairs of identical images, far less than 1 % of any split.
_MAX_SHARE = 0.01
_COPIES_TO_WARN_OF = 3


class Duplicates:
    """Compares the bytes of a split's images; may be used from any thread.

    Only images of equal length can be equal, so only those are hashed. CRC-32 and
    length together suffice: among a million images they coincide by chance once in
    thousands of builds, and one pair changes nothing.
    """

    def __init__(
        self, path: os.PathLike[str] | str, split: str, sizes: npt.NDArray[np.int64]
    ):
        """Takes where the images of a split are, and the length of each in bytes."""
        values, counts = np.unique(sizes, return_counts=True)
        self._shared_sizes = frozenset(values[counts > 1].tolist())
        self._num_images = len(sizes)
        self._path = path
        self._split = split
        self._names: dict[tuple[int, int], list[str]] = {}
        self._num_shared = 0
        self._lock = threading.Lock()

    def add(self, name: str, data: bytes) -> None:
        """Compares an image with those before it.

        Raises:
          ArchiveError: if more than 1 % of the split's images share their bytes, and
            more than a pair does.
        """
        if len(data) not in self._shared_sizes:
            return
        with self._lock:
            names = self._names.setdefault((len(data), zlib.crc32(data)), [])
            names.append(name)
            if len(names) > 1:
                self._num_shared += 2 if len(names) == 2 else 1
            # A small split may contain a pair of true duplicates.
            if self._num_shared <= max(2, _MAX_SHARE * self._num_images):
                return
            copies = max(self._names.values(), key=len)
            raise ArchiveError(
                self._path,
                "contains the same bytes under several names: at least "
                f"{self._num_shared:,} of {self._num_images:,} {self._split} images "
                f"share their bytes with another one, for example {first_of(copies)}",
                'Look at one of them: it may be a placeholder of a website ("photo no '
                'longer available"). Extract or download the original images again',
            )

    def log(self) -> None:
        """Warns of images that occur several times."""
        for copies in self._names.values():
            if len(copies) >= _COPIES_TO_WARN_OF:
                logging.warning(
                    "%s: %s of the %s split have the same bytes (%s). The dataset "
                    "contains all of them.",
                    self._path,
                    counted(len(copies), "image"),
                    self._split,
                    first_of(sorted(copies)),
                )
