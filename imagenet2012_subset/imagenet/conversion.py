"""Converts images to RGB JPEGs as TFDS does, without importing TensorFlow.

TFDS converts with TensorFlow. It runs in a child process here, because a process that
has imported TensorFlow can crash when PyTorch is imported after it.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import threading
from typing import IO

_IDLE_SECONDS = 60.0


class ConversionError(ValueError):
    """TFDS cannot convert an image to an RGB JPEG."""


def convert(function: str, image: bytes) -> bytes:
    """Converts an image with a function of `tfds.core.utils`.

    Args:
      function: `jpeg_cmyk_to_rgb` or `png_to_jpeg`.
      image: the encoded image.

    Raises:
      ConversionError: if TFDS cannot convert the image.
    """
    return _converter.convert(function, image)


class _Converter:
    """A child process that converts images. It starts on demand and ends when idle."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._timer = threading.Timer(0, self.close)

    def convert(self, function: str, image: bytes) -> bytes:
        with self._lock:
            self._timer.cancel()
            try:
                answer = self._answer((function, image))
            except BaseException:
                # The answer to an interrupted request stays in the pipe.
                self._stop()
                raise
            self._timer = threading.Timer(_IDLE_SECONDS, self.close)
            self._timer.daemon = True
            self._timer.start()
        if isinstance(answer, ConversionError):
            raise answer
        return answer

    def close(self) -> None:
        with self._lock:
            self._stop()

    def _answer(self, request: tuple[str, bytes]) -> bytes | ConversionError:
        if self._errors is None or self._process is None:
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115
            self._process = _start(self._errors)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            pickle.dump(request, self._process.stdin)
            self._process.stdin.flush()
            answer: bytes | ConversionError = pickle.load(self._process.stdout)
        except (BrokenPipeError, EOFError) as error:
            status = self._process.wait()
            self._errors.seek(0)
            printed = self._errors.read().decode(errors="replace").strip()
            raise RuntimeError(
                f"The process that converts images ended with status {status}. It "
                f"printed: {printed[-2000:]}"
            ) from error
        return answer

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
        if self._errors is not None:
            self._errors.close()


def _start(stderr: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "imagenet2012_subset.imagenet.conversion_server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            # TensorFlow would reserve the memory of every visible GPU.
            "CUDA_VISIBLE_DEVICES": "-1",
        },
    )


_converter = _Converter()
# A forked process must not share its parent's pipes and lock.
os.register_at_fork(after_in_child=_converter.__init__)  # type: ignore[misc]
