"""One line about the machine and the software that figures were taken with."""

from __future__ import annotations

import importlib.metadata
import os
import platform


def machine_line() -> str:
    """Returns the facts that figures depend on, and nothing that identifies a host."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    version = importlib.metadata.version
    return (
        f"{os.cpu_count()} CPUs, {memory:.1f} GiB of memory, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()},"
        f" tensorflow {version('tensorflow')},"
        f" tensorflow-datasets {version('tensorflow-datasets')};"
        f" load average before the first run {os.getloadavg()[0]:.1f}"
    )
