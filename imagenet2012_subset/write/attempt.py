"""Writes a shard in a folder of its own; it takes its place once it is whole."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import uuid
from collections.abc import Callable, Iterator

from etils import epath

from imagenet2012_subset.plan.shards import ShardPlan
from imagenet2012_subset.sources.source import Source
from imagenet2012_subset.storage.paths import is_local
from imagenet2012_subset.storage.sync import sync_file
from imagenet2012_subset.write.shard import ShardWriter, unwritable

_ATTEMPT_PREFIX = "attempt."


def write_apart(
    writer: ShardWriter,
    shard: ShardPlan,
    source: Source,
    on_record: Callable[[], None] = lambda: None,
) -> None:
    """Writes a shard so that two attempts at it never mix.

    What writes records opens no file at most object stores. So there, a shard is
    written to the local disk's folder for temporary files first.

    Args:
      writer: writes a shard.
      shard: its plan.
      source: what `shard.origin` opens.
      on_record: as for `ShardWriter.write`.

    Raises:
      WriteError: as `ShardWriter.write`.
      ArchiveError: likewise.
    """
    final = epath.Path(shard.path)
    try:
        with _folder_of_its_own(final.parent) as folder:
            here = dataclasses.replace(shard, path=str(folder / final.name))
            for file in writer.write(here, source, on_record):
                if is_local(final):
                    sync_file(file)
                    file.replace(final.parent / file.name)
                else:
                    file.copy(final.parent / file.name, overwrite=True)
    except OSError as error:
        raise unwritable(final, str(error)) from error


def remove_attempts(folder: epath.Path) -> None:
    """Removes what attempts left whose process was killed."""
    if is_local(folder):
        for path in folder.glob(f"{_ATTEMPT_PREFIX}*"):
            path.rmtree(missing_ok=True)


@contextlib.contextmanager
def _folder_of_its_own(final: epath.Path) -> Iterator[epath.Path]:
    if not is_local(final):
        with tempfile.TemporaryDirectory(prefix="imagenet2012_subset.") as folder:
            yield epath.Path(folder)
        return
    folder = final / f"{_ATTEMPT_PREFIX}{uuid.uuid4().hex}"
    # Not with its parents: where the build is over, nothing is made again.
    folder.mkdir()
    try:
        yield folder
    finally:
        folder.rmtree(missing_ok=True)
