"""Selects the images of a config from a source, or reports which are missing."""

from __future__ import annotations

import collections
from collections.abc import Sequence

import numpy as np

from imagenet2012_subset.errors import ArchiveError, counted, first_of
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.names import TRAINING, VALIDATION
from imagenet2012_subset.sources.images import Images
from imagenet2012_subset.sources.source import Entries, Source, decoded


def select_training(
    source: Source, listed: Sequence[str], *, ignore_duplicates: bool = False
) -> Images:
    """Returns the listed images, in source order.

    Args:
      source: the training images.
      listed: the names to keep.
      ignore_duplicates: keep the first of images with the same name.

    Raises:
      ArchiveError: unless each listed name is found exactly once.
    """
    return _select(source, listed, ignore_duplicates)


def select_validation(
    source: Source,
    num_images: int = names.NUM_VALIDATION_IMAGES,
    *,
    ignore_duplicates: bool = False,
) -> Images:
    """Returns the validation images, in source order.

    Args:
      source: the validation images.
      num_images: the required number of images.
      ignore_duplicates: keep the first of images with the same number.

    Raises:
      ArchiveError: unless the images are numbered exactly 1 to `num_images`.
    """
    wanted = [names.validation_name(number) for number in range(1, num_images + 1)]
    images = _select(source, wanted, ignore_duplicates)
    known = set(wanted)
    extra = [
        name
        for name in decoded(source.listing().names)
        if names.validation_number(name) is not None and name not in known
    ]
    if extra:
        raise ArchiveError(
            source.path,
            f"has {counted(len(extra), 'validation image')} outside 1 to "
            f"{num_images:,} ({first_of(extra)})",
            source.remedy,
        )
    return images


def _select(source: Source, wanted: Sequence[str], ignore_duplicates: bool) -> Images:
    found = source.look_up(wanted)
    found_names = decoded(found.names)
    if missing := sorted(set(wanted).difference(found_names)):
        raise ArchiveError(
            source.path,
            f"is missing {len(missing):,} of {len(wanted):,} images "
            f"({first_of(missing)}); {source.describe()}{_what_it_is(source)}",
            f"{source.remedy}; `python -m imagenet2012_subset check` reports what a "
            "directory contains",
        )
    first_at = {name: at for at, name in reversed([*enumerate(found_names)])}
    if len(first_at) < len(found_names):
        if not ignore_duplicates:
            raise _duplicated(source, found)
        found = found.take(sorted(first_at.values()))
    return Images(source, found)


def _duplicated(source: Source, found: Entries) -> ArchiveError:
    counts = collections.Counter(decoded(found.names))
    repeated = sorted(name for name, count in counts.items() if count > 1)
    places = [source.where(entry) for entry in found if entry.name == repeated[0]]
    return ArchiveError(
        source.path,
        f"contains {counted(len(repeated), 'image')} more than once "
        f"({first_of(repeated)}); {repeated[0]} is {' and '.join(places)}",
        f"Remove the wrong ones. {source.remedy}",
    )


def _what_it_is(source: Source) -> str:
    """Returns a guess at what the source is instead of the original."""
    listing = source.listing()
    found = listing.names
    training = np.char.startswith(found, b"n")
    num_validation = int(np.char.startswith(found, b"ILSVRC2012_val_").sum())
    num_test = int(np.char.startswith(found, b"ILSVRC2012_test_").sum())
    if source.original == TRAINING:
        if num_validation:
            return f". It contains validation images, as {VALIDATION.file_name} does"
        num_synsets = len(np.unique(found[training].astype("S9")))
        if 0 < num_synsets < len(names.wnids()):
            task_3 = (
                ", as the archive of task 3, dogs, does"
                if num_synsets == names.NUM_TASK_3_SYNSETS
                else ""
            )
            return f". It contains {num_synsets:,} of 1,000 synsets{task_3}"
    elif training.any():
        return f". It contains training images, as {TRAINING.file_name} does"
    if num_test:
        return ". It contains the test images, which have no labels"
    if not len(found):
        others = f", but {first_of(listing.others)}" if listing.others else ""
        return f". It contains no ImageNet image{others}"
    return ""
