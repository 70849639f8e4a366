"""Fetches the two original subset lists."""

from __future__ import annotations

import hashlib
import pathlib
import urllib.request
from collections.abc import Mapping

_URL = (
    "https://raw.githubusercontent.com/google-research/simclr/master/imagenet_subsets/"
)
_SHA256: Mapping[str, str] = {
    "1percent.txt": "71e82a48ba78252683ae334c4d019ebd5c6e855b9599c1389fbe83eb9549cf17",
    "10percent.txt": "6d09de11e7bdaf5b1f3b1f249b6183695f97310cdd20f0c03e7235b6b9392091",
}


def fetch_lists(folder: pathlib.Path) -> pathlib.Path:
    """Downloads the lists that are not in `folder` yet, and returns it.

    Raises:
      ValueError: If a download is not the original file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, sha256 in _SHA256.items():
        if (folder / name).exists():
            continue
        with urllib.request.urlopen(_URL + name) as response:
            content = response.read()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ValueError(f"{_URL}{name} is no longer the original list")
        (folder / name).write_bytes(content)
    return folder
