"""Runs a command and measures its memory, and the disk that its data folder takes."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence

_INTERVAL = 0.2  # Seconds between two looks at the disk.
_MAXRSS_UNIT = 1024  # Linux reports kibibytes.


@dataclasses.dataclass(frozen=True)
class Measurement:
    """One run of a command; memory and disk are in bytes.

    Attributes:
      seconds: What the command printed as `seconds`.
      memory: Peak resident memory of the largest process of its tree.
      peak_disk: Most that the folder took while it ran, beyond what was there before.
      final_disk: What the folder took afterwards, beyond what was there before.
      printed: The command's other `name value` lines.
    """

    seconds: float
    memory: int
    peak_disk: int
    final_disk: int
    printed: dict[str, str]


def run(
    command: Sequence[str],
    folder: pathlib.Path,
    environment: Mapping[str, str] | None = None,
) -> Measurement:
    """Runs the command to its end, watching the disk `folder` takes.

    Keep this process small: Linux counts the memory of the process that starts
    another as a lower bound of the started one's peak.

    Args:
      command: It and its arguments.
      folder: Where to watch the disk.
      environment: Variables to set beside those of this process.

    Raises:
      RuntimeError: If the command fails; the message ends with what it said.
    """
    before = disk_usage(folder)
    peak = before
    ended = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(_INTERVAL):
            peak = max(peak, disk_usage(folder))

    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        variables = {**os.environ, **(environment or {})}
        process = subprocess.Popen(command, stdout=out, stderr=err, env=variables)
        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        finally:
            ended.set()
            watcher.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{err.read()[-4000:]}")
        lines = (line.rstrip("\n").partition(" ") for line in out)
        printed = {name: value for name, _, value in lines}
    after = disk_usage(folder)
    return Measurement(
        seconds=float(printed.pop("seconds")),
        memory=usage.ru_maxrss * _MAXRSS_UNIT,
        peak_disk=max(peak, after) - before,
        final_disk=after - before,
        printed=printed,
    )


def disk_usage(folder: pathlib.Path) -> int:
    """Returns the bytes allocated to the files under `folder`, 0 if it is not there."""
    total = 0
    try:
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                total += disk_usage(pathlib.Path(entry.path))
                continue
            try:
                total += entry.stat(follow_symlinks=False).st_blocks * 512
            except FileNotFoundError:
                continue  # Files come and go while a builder runs.
    except FileNotFoundError:
        pass
    return total
