"""Reads records for the process that started it: a script, which imports little.

It reads from standard input, pickled, `sys.path`, then a source of records, then lists
of keys, and answers each list with a list of records or with an exception.
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
    # A terminal also interrupts this process, which ends when the other one does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with os.fdopen(os.dup(1), "wb") as stdout:
        # What a library prints does not belong among the answers.
        os.dup2(2, 1)
        _serve(sys.stdin.buffer, stdout)
