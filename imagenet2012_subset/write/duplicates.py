"""Notices the same bytes under several names while a split is written."""

from __future__ import annotations

import os
import threading

import google_crc32c
import numpy as np
import numpy.typing as npt
from absl import logging

from imagenet2012_subset.errors import ArchiveError, first_of

# ImageNet contains a few pairs of identical images, far less than 1 % of any split. A
# small split may contain one of them.
_MAX_SHARE = 0.01
_MAX_IMAGES = 2
_COPIES_TO_WARN_OF = 3

# Archives that are made for tests repeat many images. In an incomplete download, one or
# a few placeholders are repeated.
_PLACEHOLDER_SHARE = 0.1


class Duplicates:
    """Compares the bytes of a split's images; may be used from any thread.

    Only images of equal length can be equal, so only those are hashed. CRC-32C and
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
        self._lock = threading.Lock()

    def add(self, name: str, data: bytes) -> None:
        """Notes the bytes of an image."""
        if len(data) in self._shared_sizes:
            key = len(data), google_crc32c.value(data)
            with self._lock:
                self._names.setdefault(key, []).append(name)

    def finish(self) -> None:
        """Compares all images; warns if three or more have the same bytes.

        Raises:
          ArchiveError: if more than 1 % of the images share their bytes with another
            one, and more than a tenth of these are copies of the same image.
        """
        copies = [names for names in self._names.values() if len(names) > 1]
        num_shared = sum(map(len, copies))
        most = max(copies, key=len, default=[])
        has_placeholder = len(most) > _PLACEHOLDER_SHARE * num_shared
        what = (
            f"{num_shared:,} of {self._num_images:,} {self._split} images share their "
            f"bytes with another one, for example {first_of(sorted(most))}"
        )
        accepted = max(_MAX_IMAGES, _MAX_SHARE * self._num_images)
        if num_shared > accepted and has_placeholder:
            raise ArchiveError(
                self._path,
                f"contains the same bytes under several names: {what}",
                'Look at one of them: it may be a placeholder of a website ("photo no '
                'longer available"). Extract or download the original images again',
            )
        if len(most) >= _COPIES_TO_WARN_OF:
            logging.warning("%s: %s. The dataset contains all.", self._path, what)
