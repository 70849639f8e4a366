"""The two archives of a manual directory, and what lies in them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

from etils import epath

from imagenet2012_subset import index
from imagenet2012_subset.archive_file import ArchiveFile
from imagenet2012_subset.locate import Located, locate
from imagenet2012_subset.manual_dir import TRAINING, VALIDATION, open_original
from imagenet2012_subset.tfds_internals import tqdm
from imagenet2012_subset.threads import Progress, StopFlag, run_together


class Archive(NamedTuple):
    """An archive and what it holds."""

    file: ArchiveFile
    located: Located


def open_archives(manual_dir: epath.Path) -> list[ArchiveFile]:
    """Opens the training and the validation archive, in this order.

    Raises:
      ManualDirError: if an archive is not there, or is no tar.
      ArchiveError: if it cannot be opened.
    """
    return [open_original(manual_dir, one) for one in (TRAINING, VALIDATION)]


def locate_archives(
    files: Sequence[ArchiveFile], index_folder: epath.Path | None
) -> list[Archive]:
    """Finds the images of archives, one archive after the other.

    Args:
      files: the archives.
      index_folder: where what was found is kept for the next time; None keeps nothing.

    Raises:
      ArchiveError: if an archive cannot be read, is cut off or damaged.
    """
    known = [index.load(index_folder, file) for file in files]
    unknown = [file for file, located in zip(files, known, strict=True) if not located]
    stop = StopFlag()
    with tqdm(
        total=sum(file.size for file in unknown),
        desc="Locating images",
        unit="B",
        unit_scale=True,
        leave=False,
        disable=not unknown,
    ) as bar:
        on_progress = Progress(bar.update, stop)
        tasks = [
            functools.partial(locate, file, on_progress=on_progress) for file in unknown
        ]
        # Each walk has work for the interpreter after every read, so two at once wait
        # for each other more than for the disk.
        walked = iter(run_together(tasks, num_threads=1, stop=stop))
    archives = []
    for file, kept in zip(files, known, strict=True):
        archives.append(Archive(file, kept or next(walked)))
        if not kept:
            index.save(index_folder, *archives[-1])
    return archives
