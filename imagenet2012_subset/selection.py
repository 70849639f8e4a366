"""Selects the wanted images among those located, or says what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from imagenet2012_subset import synsets
from imagenet2012_subset.archive_file import ArchiveFile
from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.images import Images
from imagenet2012_subset.locate import Located
from imagenet2012_subset.manual_dir import TRAINING, VALIDATION, Original
from imagenet2012_subset.members import decoded

_TASK_3_SYNSETS = 120
_SHOWN = 3


def select_training(
    file: ArchiveFile,
    located: Located,
    listed: Sequence[str],
    *,
    ignore_duplicates: bool = False,
) -> Images:
    """Returns the listed images, in archive order.

    Args:
      file: the training archive.
      located: what it holds.
      listed: the names to keep.
      ignore_duplicates: of images with the same name, keep the first.

    Raises:
      ArchiveError: unless each listed name is found, and found once.
    """
    return _select(file, TRAINING, located, listed, ignore_duplicates)


def select_validation(
    file: ArchiveFile,
    located: Located,
    num_images: int = synsets.NUM_VALIDATION_IMAGES,
    *,
    ignore_duplicates: bool = False,
) -> Images:
    """Returns the validation images, in archive order.

    Args:
      file: the validation archive.
      located: what it holds.
      num_images: how many there must be.
      ignore_duplicates: of images with the same number, keep the first.

    Raises:
      ArchiveError: unless the images are exactly numbers 1 to `num_images`.
    """
    wanted = [f"ILSVRC2012_val_{i:08d}.JPEG" for i in range(1, num_images + 1)]
    images = _select(file, VALIDATION, located, wanted, ignore_duplicates)
    known = set(wanted)
    extra = [
        name
        for name in decoded(located.images.names)
        if synsets.validation_number(name) is not None and name not in known
    ]
    if extra:
        raise ArchiveError(
            file.path,
            f"has {_count(extra, 'validation image')} outside 1 to {num_images:,} "
            f"({first_of(extra)})",
            VALIDATION.how_to_get,
        )
    return images


def _select(
    file: ArchiveFile,
    original: Original,
    located: Located,
    wanted: Iterable[str],
    ignore_duplicates: bool,
) -> Images:
    missing = {name.encode("ascii") for name in wanted}
    num_wanted = len(missing)
    chosen = []
    repeated = []
    selected: set[bytes] = set()
    for index, name in enumerate(located.images.names.tolist()):
        if name in missing:
            missing.remove(name)
            selected.add(name)
            chosen.append(index)
        elif name in selected:
            repeated.append(name)
    if missing:
        names = sorted(name.decode() for name in missing)
        raise ArchiveError(
            file.path,
            f"lacks {len(names):,} of {num_wanted:,} images ({first_of(names)}); "
            f"it has {file.size:,} bytes, the original {original.size:,}"
            f"{_what_it_is(located, original)}",
            f"{original.how_to_get}; `python -m imagenet2012_subset check` says what a "
            "directory holds",
        )
    if repeated and not ignore_duplicates:
        names = sorted({name.decode() for name in repeated})
        raise ArchiveError(
            file.path,
            f"has {_count(names, 'image')} more than once ({first_of(names)})",
            f"Which one is right cannot be told. {original.how_to_get}",
        )
    return Images(file, located.images.take(chosen))


def _what_it_is(located: Located, original: Original) -> str:
    """Returns a guess at what somebody put in the archive's place."""
    names = located.images.names
    training = np.char.startswith(names, b"n")
    num_validation = int(np.char.startswith(names, b"ILSVRC2012_val_").sum())
    num_test = int(np.char.startswith(names, b"ILSVRC2012_test_").sum())
    if original is TRAINING:
        if num_validation:
            return f". It holds validation images, as {VALIDATION.file_name} does"
        num_synsets = len(np.unique(names[training].astype("S9")))
        if 0 < num_synsets < len(synsets.wnids()):
            task_3 = (
                ", as the archive of task 3, dogs, does"
                if num_synsets == _TASK_3_SYNSETS
                else ""
            )
            return f". It holds {num_synsets:,} of 1,000 synsets{task_3}"
    elif training.any():
        return f". It holds training images, as {TRAINING.file_name} does"
    if num_test:
        return ". It holds the test images, which have no labels"
    if not len(names):
        others = ", ".join(located.others) or "nothing"
        return f". It holds no ImageNet image, but {others}"
    return ""


def _count(names: Sequence[str], what: str) -> str:
    return f"{len(names):,} {what}{'' if len(names) == 1 else 's'}"


def first_of(names: Sequence[str]) -> str:
    """Returns the first few names for a message, and dots where there are more."""
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
