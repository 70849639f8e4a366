"""Converts images for the process that started this script: see `conversion.py`.

Reads pickled requests from standard input, each the name of a function of
`tfds.core.utils` and an image, and answers each with the RGB JPEG or an exception.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from typing import BinaryIO

import tensorflow_datasets as tfds

from imagenet2012_subset.errors import first_line
from imagenet2012_subset.imagenet.conversion import ConversionError


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    import tensorflow as tf

    while True:
        try:
            function, image = pickle.load(requests)
        except EOFError:
            return
        answer: bytes | Exception
        try:
            answer = bytes(getattr(tfds.core.utils, function)(image))
        except tf.errors.InvalidArgumentError as error:
            answer = ConversionError(first_line(error).rstrip("."))
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    # Ignore interrupts from the terminal: this process ends with its parent.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with os.fdopen(os.dup(1), "wb") as stdout:
        os.dup2(2, 1)  # Keep the output of libraries out of the answers.
        _serve(sys.stdin.buffer, stdout)
