"""Tells files of this machine from those of remote storage."""

from __future__ import annotations

import os

from etils import epath


def is_local(path: epath.Path) -> bool:
    """Whether the platform's own calls can open a path: it is no URL, as `gs://` is."""
    return "://" not in os.fspath(path)
