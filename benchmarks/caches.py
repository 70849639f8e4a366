"""Makes the page cache cold, as far as this machine permits."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable

_DROP = pathlib.Path("/proc/sys/vm/drop_caches")


def go_cold(files: Iterable[pathlib.Path]) -> str:
    """Drops what the kernel keeps of `files`, and of everything else if permitted.

    Nothing below the kernel is reached: a virtual machine's host may still keep them.

    Returns:
      How cold the caches now are, in words for a report.
    """
    os.sync()  # Pages not yet written are not dropped.
    try:
        _DROP.write_text("3")
        return "cold (all page caches dropped before every run)"
    except OSError:
        pass
    if not hasattr(os, "posix_fadvise"):
        return "WARM (this system offers no way to drop page caches)"
    for path in files:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return "cold for the archives only (posix_fadvise; dropping all is not permitted)"
