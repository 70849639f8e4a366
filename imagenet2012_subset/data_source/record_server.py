"""Reads records for the process that started this script, which imports little.

Reads pickled objects from standard input: `sys.path`, a source of records, then lists
of keys. Answers each list with a list of records or an exception.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from typing import BinaryIO


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
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
        # Keep the output of libraries out of the answers.
        os.dup2(2, 1)
        _serve(sys.stdin.buffer, stdout)
