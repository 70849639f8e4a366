"""A folder that stays the same one while it is changed, whatever takes its name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

from etils import epath

from imagenet2012_subset.storage.paths import is_local


@contextlib.contextmanager
def held_folder(folder: epath.Path) -> Iterator[Callable[[epath.Path], object]]:
    """Lends what moves a file into a folder, in place of one of its name.

    Nobody else who holds the folder does so meanwhile. If the folder is renamed, files
    go where it is by then, and not into what takes its name. Remote storage has nothing
    of the kind.

    Raises:
      OSError: if there is no such folder.
    """
    if not is_local(folder):
        yield lambda file: file.replace(folder / file.name)
        return
    import fcntl  # Windows has none, where this is not called.

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # Some file systems know no locks.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield lambda file: os.replace(file, file.name, dst_dir_fd=descriptor)
    finally:
        os.close(descriptor)
