"""The two archives of a manual directory, and what lies in them."""

from __future__ import annotations

import functools
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


class Archives(NamedTuple):
    """The two archives that the dataset is made of."""

    training: Archive
    validation: Archive


def open_archives(manual_dir: epath.Path) -> list[ArchiveFile]:
    """Opens the training and the validation archive, in this order.

    Raises:
      ManualDirError: if an archive is not there, or is no tar.
      ArchiveError: if it cannot be opened.
    """
    return [open_original(manual_dir, one) for one in (TRAINING, VALIDATION)]


def locate_archives(files: list[ArchiveFile], index_folder: epath.Path) -> Archives:
    """Finds the images of both archives, in both at the same time.

    Args:
      files: the training and the validation archive.
      index_folder: where what was found is kept, for the next time.

    Raises:
      ArchiveError: if an archive cannot be read, is cut off or damaged.
    """
    kept_at = [index.index_path(index_folder, file.path) for file in files]
    known = [index.load(path, file) for path, file in zip(kept_at, files, strict=True)]
    unknown = [number for number, located in enumerate(known) if located is None]
    stop = StopFlag()
    with tqdm(
        total=sum(files[number].size for number in unknown),
        desc="Locating images",
        unit="B",
        unit_scale=True,
        leave=False,
        disable=not unknown,
    ) as bar:
        on_progress = Progress(bar.update, stop)
        walked = run_together(
            [
                functools.partial(locate, files[number], on_progress=on_progress)
                for number in unknown
            ],
            num_threads=len(files),
            stop=stop,
        )
    for number, located in zip(unknown, walked, strict=True):
        index.save(kept_at[number], files[number], located)
        known[number] = located
    training, validation = (
        Archive(file, located)
        for file, located in zip(files, known, strict=True)
        if located is not None
    )
    return Archives(training, validation)
