"""What makes builds fast, each to be turned off by itself in the running process.

The package has no switches for these. They are turned off at its seams: by putting
something plainer in the place of a module's function or of a contract's method.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import numpy.typing as npt

from imagenet2012_subset.storage import open as storage_open
from imagenet2012_subset.storage.local_file import LocalFile, LocalQueue
from imagenet2012_subset.storage.portable_file import PortableFile
from imagenet2012_subset.storage.queue import ReadQueue
from imagenet2012_subset.tar import nested, walk
from imagenet2012_subset.tar.flat import walk_flat
from imagenet2012_subset.tar.headers import BLOCK, PlainHeaders
from imagenet2012_subset.write import prepare, splits
from imagenet2012_subset.write.threads import run_together


class Mechanism(NamedTuple):
    """One thing that makes builds fast, or safe.

    Attributes:
      description: What it is, for a table.
      turn_off: Does without it until the process ends.
      with_index: Whether it matters as well where an index spares the walk.
    """

    description: str
    turn_off: Callable[[], None]
    with_index: bool


def _put(module: Any, name: str, value: object) -> None:
    # It fails by name where the seam has moved.
    mock.patch.object(module, name, value).start()


def _read_with_advice(is_concerned: Callable[[int], bool]) -> None:
    """Lets queues of some sizes read without direct reads."""
    queue = LocalFile.queue

    @contextlib.contextmanager
    def queue_with_advice(
        file: LocalFile, capacity: int, size: int
    ) -> Iterator[ReadQueue]:
        if is_concerned(size):
            yield LocalQueue(file, None)
            return
        with queue(file, capacity, size) as direct:
            yield direct

    _put(LocalFile, "queue", queue_with_advice)


def _headers_with_advice() -> None:
    _read_with_advice(lambda size: size == BLOCK)


def _images_with_advice() -> None:
    _read_with_advice(lambda size: size != BLOCK)


def _all_with_advice() -> None:
    _read_with_advice(lambda size: True)


def _portable_threads() -> None:
    _put(storage_open, "LocalFile", PortableFile)


def _one_piece() -> None:
    whole = functools.partial(walk_flat, members_a_piece=sys.maxsize)
    _put(nested, "walk_flat", whole)


def _header_by_header() -> None:
    def parse_each(blocks: npt.NDArray[np.uint8]) -> PlainHeaders:
        parsed = PlainHeaders([], [], [])
        for block in blocks:
            is_plain, name, size = False, b"", 0
            with contextlib.suppress(tarfile.HeaderError):
                info = tarfile.TarInfo.frombuf(block.tobytes(), "ascii", "strict")
                is_plain = info.type == tarfile.REGTYPE
                name, size = info.name.encode(), info.size
            parsed.is_plain.append(is_plain)
            parsed.names.append(name)
            parsed.sizes.append(size)
        return parsed

    _put(walk, "parse_plain", parse_each)


def _sync_at_the_end() -> None:
    _put(splits, "sync_file", lambda path: None)


def _never_sync() -> None:
    _sync_at_the_end()
    _put(prepare, "sync_folder", lambda folder: None)


def _wait_for_syncs() -> None:
    def run_half(tasks: Sequence[Any], num_threads: int, stop: Any) -> list[Any]:
        return run_together(tasks, num_threads // 2, stop)

    _put(splits, "run_together", run_half)


MECHANISMS: Mapping[str, Mechanism] = {
    "direct_headers": Mechanism("direct reads of headers", _headers_with_advice, False),
    "direct_images": Mechanism("direct reads of images", _images_with_advice, True),
    "direct": Mechanism("both", _all_with_advice, True),
    "linux": Mechanism(
        "all that is Linux's (portable threads read)", _portable_threads, True
    ),
    "pieces": Mechanism("walking a flat tar in pieces", _one_piece, False),
    "parsing": Mechanism(
        "parsing many headers at once (each by `tarfile`)", _header_by_header, False
    ),
    "shard_sync": Mechanism(
        "sync of each shard as it ends (all at the end)", _sync_at_the_end, True
    ),
    "overlap": Mechanism("writing on while a shard is synced", _wait_for_syncs, True),
    "sync": Mechanism("any sync (unsafe)", _never_sync, True),
}
