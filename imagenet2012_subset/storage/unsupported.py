"""What a file system cannot do, though the platform can: told once, and left out."""

from __future__ import annotations

import errno
import os
import threading

from absl import logging
from etils import epath

NO_ADVICE = "takes no advice on what to cache: reading and writing go on without"
NO_SYNC = "cannot sync files: a power cut within the next minute may empty them"

# What a file system says that does not know the call.
_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)

_told: set[tuple[int, str]] = set()
_lock = threading.Lock()


def tell_unsupported(path: epath.Path, error: OSError, lack: str) -> None:
    """Warns that a file system lacks something, once for each.

    Args:
      path: of a file.
      error: what a call ended in.
      lack: what that means.

    Raises:
      OSError: `error`, if it means something else.
    """
    if error.errno not in _UNSUPPORTED:
        raise error
    key = (os.stat(path).st_dev, lack)
    with _lock:
        if key not in _told:
            _told.add(key)
            logging.warning("The file system of %s %s", path, lack)
