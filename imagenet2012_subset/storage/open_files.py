"""How many files a process may open."""

from __future__ import annotations

import os
import sys

# Where it cannot be told.
_FILES_OPEN_BEFORE = 32


def more_open_files() -> int | None:
    """Returns how many files this process may open besides those it has open.

    None if there is no limit, or none that the platform tells.
    """
    if sys.platform == "win32":
        return None
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return None
    return allowed - _num_open_files()


def _num_open_files() -> int:
    try:
        return len(os.listdir("/dev/fd"))
    except OSError:
        return _FILES_OPEN_BEFORE
