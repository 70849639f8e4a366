"""A temporary file to which several threads append."""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import Any

from imagenet2012_subset.errors import WriteError


class Spool:
    """Appends buffers to a new file from any thread; an exception removes the file."""

    def __init__(self, path: str):
        """Takes the path; entering the context creates the file.

        Args:
          path: where the file will be.
        """
        self.path = path
        self._lock = threading.Lock()
        self._end = 0
        self._stopped = False

    def __enter__(self) -> Spool:
        try:
            self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        except OSError as error:
            raise self._unwritable(error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._fd)
        if error:
            os.unlink(self.path)

    def stop(self) -> None:
        """Makes each later call of `append` raise an error, to end other threads."""
        self._stopped = True

    def append(self, data: Any) -> int:
        """Writes a buffer, and returns the offset of its first byte.

        Raises:
          WriteError: if the disk is full or fails.
          RuntimeError: after `stop`.
        """
        if self._stopped:
            raise RuntimeError(f"{self.path} is no longer written")
        rest = memoryview(data)
        with self._lock:
            start = at = self._end
            self._end += len(rest)
        try:
            while rest:
                written = os.pwrite(self._fd, rest, at)
                rest, at = rest[written:], at + written
        except OSError as error:
            raise self._unwritable(error) from error
        return start

    def _unwritable(self, error: OSError) -> WriteError:
        return WriteError(
            self.path,
            f"cannot be written ({error.strerror or error})",
            "Check that the disk has space and that data_dir is writable",
        )
