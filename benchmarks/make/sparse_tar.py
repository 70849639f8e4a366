"""Writes tar archives whose members may be holes: headers without their content."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from typing import BinaryIO

_BLOCK = tarfile.BLOCKSIZE
_RECORD = tarfile.RECORDSIZE
_MODE = 0o644
_MTIME = 1_340_000_000


def archive_size(sizes: Sequence[int]) -> int:
    """Returns the bytes of a tar with members of these sizes, padded as GNU tar's."""
    content = sum(_BLOCK + _padded(size) for size in sizes) + 2 * _BLOCK
    return -(-content // _RECORD) * _RECORD


class Writer:
    """Writes members one after the other, and leaves holes where nothing is."""

    def __init__(self, file: BinaryIO, start: int = 0) -> None:
        """Begins an archive.

        Args:
          file: Open for writing and seekable; anything past the end must read as zeros.
          start: Where in the file the archive begins, in bytes: not 0 for a tar in a
            tar.
        """
        self._file = file
        self._start = start
        self.position = start

    def header(self, name: str, size: int) -> int:
        """Writes a member's header.

        Returns:
          The offset in the file where the member's `size` bytes begin. They are a
          hole until the caller writes them.
        """
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = size, _MODE, _MTIME
        self._file.seek(self.position)
        self._file.write(info.tobuf(format=tarfile.GNU_FORMAT))
        content = self.position + _BLOCK
        self.position = content + _padded(size)
        return content

    def member(self, name: str, content: bytes) -> None:
        """Writes a member and its content."""
        self.header(name, len(content))
        self._file.write(content)

    def close(self) -> int:
        """Ends the archive, which needs no writing where files begin as zeros.

        Returns:
          The offset in the file just behind the archive's padding.
        """
        length = self.position - self._start + 2 * _BLOCK
        return self._start - (-length // _RECORD) * _RECORD


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
