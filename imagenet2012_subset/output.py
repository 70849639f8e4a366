"""Console output that never ends a build: lines that cannot be written are dropped."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

from imagenet2012_subset.tfds_internals import tqdm


def say(message: str) -> None:
    """Prints a line on standard output.

    Characters that standard output cannot encode are escaped. A line that cannot be
    written, for example to a full disk, is dropped and does not stay in a buffer.
    """
    stream = sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    line = f"{message}\n".encode(encoding, "backslashreplace")
    with contextlib.suppress(OSError, ValueError):
        if stream is sys.__stdout__ and stream is not None:
            stream.flush()
            os.write(stream.fileno(), line)
        else:
            print(line.decode(encoding), end="", file=stream, flush=True)


def progress_bar(**keywords: Any) -> Any:
    """Returns TFDS's progress bar, which ignores errors of standard error."""
    return tqdm(file=_Forgiving(sys.stderr), **keywords)


class _Forgiving:
    """A text stream that drops text it cannot write."""

    def __init__(self, stream: Any):
        self._stream = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
