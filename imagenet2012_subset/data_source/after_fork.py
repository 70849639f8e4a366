"""Data sources that can be read before and after a fork.

As a script, which imports little, this reads records for the process that started it.
"""

from __future__ import annotations

import copy
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any, BinaryIO, SupportsIndex

_LIBRARY = "array_record.python.array_record_module"

# The modules that were loaded before this process was forked, if it was.
_loaded_before_fork: set[str] = set()
os.register_at_fork(after_in_child=lambda: _loaded_before_fork.update(sys.modules))

# Sources that were opened before the fork. Closing them here is not safe either.
_opened_before_fork: list[Any] = []


class _ServedRecords:
    """Records that are read by a separate process, which was not forked."""

    def __init__(self, records: Any):
        self._records = records
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._server: subprocess.Popen[bytes] | None = None

    def _started(self) -> subprocess.Popen[bytes]:
        server = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        _send(server, sys.path)
        _send(server, self._records)
        return server

    def __getitem__(self, key: SupportsIndex) -> Any:
        return self.__getitems__([key.__index__()])[0]

    def __getitems__(self, keys: Sequence[int]) -> Any:
        with self._lock:
            server = self._server = self._server or self._started()
            assert server.stdout is not None
            try:
                _send(server, list(keys))
                answer = pickle.load(server.stdout)
            except (BrokenPipeError, EOFError) as error:
                status = server.wait()
                raise RuntimeError(
                    "The process that reads records for this one ended, status "
                    f"{status}. See its standard error for the cause; it may have run "
                    "out of memory"
                ) from error
            except BaseException:  # Such as an interrupt.
                # The next call must not get the answer to this one.
                self._server = None
                _end(server)
                raise
        if isinstance(answer, Exception):
            raise answer
        return answer

    def __del__(self) -> None:
        # A fork copies this object too. The server belongs to the original.
        if self._server and self._owner == os.getpid():
            _end(self._server)


def _send(server: subprocess.Popen[bytes], message: Any) -> None:
    assert server.stdin is not None
    pickle.dump(message, server.stdin, pickle.HIGHEST_PROTOCOL)
    server.stdin.flush()


def _end(server: subprocess.Popen[bytes]) -> None:
    with server:
        server.kill()


class RecordsOfAnyProcess:
    """Serialized records that may be read before and after a fork.

    The library that reads ArrayRecord files keeps a thread and its locks for the whole
    process. A fork copies the locks but not the thread, so a child crashes or hangs
    even with files that it opened itself. A forked process therefore starts a new
    process to read the records.
    """

    def __init__(self, records: Any):
        """Wraps TFDS's source of records, whether already opened or not."""
        # Like pickling, copying leaves out open files.
        self._closed = copy.copy(records)
        self._opened: tuple[int, Any] | None = None

    def _here(self) -> Any:
        opened = self._opened
        if opened is None or opened[0] != os.getpid():
            _opened_before_fork.append(opened)
            records = copy.copy(self._closed)
            if _LIBRARY in _loaded_before_fork:
                records = _ServedRecords(records)
            self._opened = opened = (os.getpid(), records)
        return opened[1]

    def __len__(self) -> int:
        return len(self._closed)

    def __getitem__(self, key: SupportsIndex) -> Any:
        return self._here()[key]

    def __getitems__(self, keys: Sequence[int]) -> Any:
        return self._here().__getitems__(keys)

    def __reduce__(self) -> Any:
        return RecordsOfAnyProcess, (self._closed,)


def readable_after_fork(source: Any) -> Any:
    """Makes a data source of ArrayRecord files usable in a process that forks.

    `Builder.as_data_source` does this. Call it for the data sources of read-only
    builders: those of `tfds.builder_from_directory`, and of `tfds.builder` with a
    version or the name of a custom config.

    Args:
      source: the data source of one split, from `as_data_source` of any builder.
    """
    if not isinstance(source.data_source, RecordsOfAnyProcess):
        source.data_source = RecordsOfAnyProcess(source.data_source)
    return source


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Reads pickled objects: `sys.path`, a source of records, then lists of keys.

    Answers each list with a list of records or an exception.
    """
    sys.path[:] = pickle.load(requests)
    records = pickle.load(requests)
    while True:
        try:
            keys = pickle.load(requests)
        except EOFError:
            return
        try:
            answer = records.__getitems__(keys)
        except Exception as error:
            answer = error
        pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()


if __name__ == "__main__":
    # Ignore interrupts from the terminal: this process ends with its parent.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with os.fdopen(os.dup(1), "wb") as stdout:
        os.dup2(2, 1)  # Keep the output of libraries out of the answers.
        _serve(sys.stdin.buffer, stdout)
