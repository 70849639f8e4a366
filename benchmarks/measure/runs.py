"""Runs builds in fresh processes on cold caches, and prints what they took."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks.make.archives import LIST_NAMES, read_facts

_DROP_CACHES = pathlib.Path("/proc/sys/vm/drop_caches")
_DISKS = pathlib.Path("/proc/diskstats")
# A disk with at most this many operations a second for this many seconds is at rest.
_AT_REST, _REST_SECONDS, _MAX_WAIT_SECONDS = 50, 3, 60

_ALL_SYNSETS = 1000


@dataclasses.dataclass(frozen=True)
class Run:
    """What one build took.

    Attributes:
      seconds: without imports.
      cpu_seconds: of all threads, in user and in system mode.
      memory: peak resident memory in bytes.
      data_path: the directory of the dataset.
    """

    seconds: float
    cpu_seconds: float
    memory: int
    data_path: pathlib.Path


def build(
    builder: str,
    config: str,
    archives: pathlib.Path,
    data_dir: pathlib.Path,
    *,
    manual_dir: pathlib.Path | str | None = None,
    checkout: pathlib.Path | None = None,
) -> Run:
    """Builds a config in a fresh process.

    Args:
      builder: `ours`, or `tfds` for TFDS's own builder.
      config: `1pct` or `10pct`.
      archives: the directory of the archives, and of the lists cut to their synsets.
      data_dir: where to build.
      manual_dir: the same images in another form, or elsewhere; may be a URL.
      checkout: another checkout of this repository, whose package builds.

    Raises:
      RuntimeError: if the build fails; the message ends with its output.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    module = [sys.executable, "-m", "benchmarks.measure.build_once"]
    command = [*module, builder, config]
    command += [f"--data_dir={data_dir}", f"--archives={manual_dir or archives}"]
    facts = read_facts(archives)
    if facts.synsets != _ALL_SYNSETS or facts.validation_images != 50_000:
        command.append(f"--cut_list={archives / LIST_NAMES[config]}")
        command.append(f"--cut_to={facts.validation_images}")
    if checkout is not None:
        command.append(f"--checkout={checkout}")
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-4000:]}")
    printed = dict(line.split(" ", 1) for line in done.stdout.splitlines()[-4:])
    return Run(
        float(printed["seconds"]),
        float(printed["cpu_seconds"]),
        int(printed["memory"]),
        pathlib.Path(printed["data_path"]),
    )


def build_twice(
    archives: pathlib.Path,
    config: str,
    data_dir: pathlib.Path,
    checkout: pathlib.Path | None = None,
    manual_dir: pathlib.Path | None = None,
) -> tuple[Run, Run]:
    """Builds with ours on cold caches, then again with the saved index alone."""
    runs = []
    for _ in range(2):
        shutil.rmtree(data_dir / "imagenet2012_subset", ignore_errors=True)
        go_cold(archives)
        run = build(
            "ours", config, archives, data_dir, manual_dir=manual_dir, checkout=checkout
        )
        runs.append(run)
    return runs[0], runs[1]


def go_cold(folder: pathlib.Path) -> None:
    """Waits until the folder's disk is at rest, and drops the page cache.

    A file system continues to discard free blocks for a while, which must not count
    towards the next run. The host of a virtual machine may still cache data.

    Raises:
      PermissionError: if this process may not drop caches (it takes root).
    """
    os.sync()
    device = folder.stat().st_dev
    at_rest = 0
    for _ in range(_MAX_WAIT_SECONDS if _DISKS.exists() else 0):
        before = _operations(device)
        time.sleep(1)
        at_rest = at_rest + 1 if _operations(device) - before <= _AT_REST else 0
        if at_rest == _REST_SECONDS:
            break
    _DROP_CACHES.write_text("3")


def _operations(device: int) -> int:
    """Returns how many reads, writes and discards a disk has completed."""
    for line in _DISKS.read_text().splitlines():
        columns = line.split()
        if os.makedev(int(columns[0]), int(columns[1])) == device:
            return sum(int(columns[i]) for i in (3, 7, 14) if i < len(columns))
    return 0


def median_and_range(values: Sequence[float]) -> str:
    """Returns text such as `4.2 (4.0 to 4.9)`, or one value as it is."""
    median = f"{statistics.median(values):.1f}"
    if len(values) == 1:
        return median
    return f"{median} ({min(values):.1f} to {max(values):.1f})"


def median_ratio(values: Sequence[float], others: Sequence[float]) -> float:
    """Returns the median of the ratios of values measured in the same rounds."""
    return statistics.median(a / b for a, b in zip(values, others, strict=True))


def machine_line() -> str:
    """Describes the machine and versions, without identifying the host."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    version = importlib.metadata.version
    return (
        f"{os.cpu_count()} CPUs, {memory:.1f} GiB of memory, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()},"
        f" tensorflow {version('tensorflow')},"
        f" tensorflow-datasets {version('tensorflow-datasets')};"
        f" load average {os.getloadavg()[0]:.1f}"
    )


def print_table(heading: str, rows: Sequence[Sequence[str]]) -> None:
    """Prints a table in Markdown; `heading` has its columns with `|` between them."""
    columns = heading.count("|") + 1
    print(f"| {heading} |\n|{' --- |' * columns}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print(flush=True)
