"""What a file offers, whatever it lies on."""

from __future__ import annotations

import contextlib
from typing import NamedTuple, Protocol

from etils import epath

from imagenet2012_subset.errors import LEAVE_ALONE, ArchiveError
from imagenet2012_subset.storage.queue import ReadQueue

_CHANGED = f"The file changed or its disk failed while it was being read; {LEAVE_ALONE}"


class Place(NamedTuple):
    """A byte of a file on the disk.

    Attributes:
      path: the file.
      offset: of the byte from the file's start.
      size: of the file in bytes.
    """

    path: epath.Path
    offset: int
    size: int


class File(Protocol):
    """A file opened for reading; its methods may be called from any thread.

    Attributes:
      path: where the file is.
      size: its length in bytes when it was opened.
      mtime_ns: when it was last modified, in nanoseconds since the epoch.
      small_in_flight: how many reads of a few hundred bytes, asked for together, it
        answers soonest; more gain nothing.
      large_in_flight: how many reads to have under way so that who reads it in turn
        need not wait.
    """

    path: epath.Path
    size: int
    mtime_ns: int
    small_in_flight: int
    large_in_flight: int

    def read(self, offset: int, size: int) -> bytes:
        """Returns the `size` bytes that start at `offset`.

        Raises:
          ArchiveError: if the file cannot be read or ends before that.
        """

    def place(self, offset: int) -> Place:
        """Returns what to tell the user of a byte: where on the disk it is."""

    def queue(
        self, capacity: int, size: int
    ) -> contextlib.AbstractContextManager[ReadQueue]:
        """Lends a queue of reads, to one thread at a time.

        Args:
          capacity: how many reads may be under way at once.
          size: how many bytes most of them have at the most.
        """


def unreadable(path: epath.Path, offset: int, error: OSError) -> ArchiveError:
    """Returns the error of a disk that fails, or of a file that was taken away."""
    reason = error.strerror or error
    return ArchiveError(path, f"cannot be read at byte {offset:,} ({reason})", _CHANGED)


def ends_early(path: epath.Path, offset: int) -> ArchiveError:
    """Returns the error of a file that is shorter than it was when it was opened."""
    return ArchiveError(
        path, f"ends at byte {offset:,}, though more was there", _CHANGED
    )
