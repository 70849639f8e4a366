"""A file that appears only once it is complete."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator

from etils import epath

from imagenet2012_subset.errors import WriteError

GENERATOR = "imagenet2012_subset page"
"""What a page calls its maker, by which it is known as one that may be replaced."""

_HEAD = 2_000  # Bytes of a page, in which it says so.
_REMEDY = "Give another file as --output"


@contextlib.contextmanager
def complete_or_absent(path: epath.Path) -> Iterator[Callable[[str], None]]:
    """Gives what writes a page's text under `path`, once all of it is there.

    That nothing can be written there is known at the start, before there is work to
    lose. What is under `path` stays until the new page takes its place.

    Raises:
      WriteError: if `path` cannot be written, or if what is there is no page.
    """
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex}.incomplete"

    def write(text: str) -> None:
        with _explained(path):
            temporary.write_bytes(text.encode())
            temporary.replace(path)

    with _explained(path):
        _check_replaceable(path)
        temporary.write_bytes(b"")
    try:
        yield write
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _check_replaceable(path: epath.Path) -> None:
    if not path.exists():
        return
    if path.is_dir():
        raise WriteError(path, "is a folder", _REMEDY)
    with path.open("rb") as file:
        if GENERATOR.encode() not in file.read(_HEAD):
            raise WriteError(path, "is there, and is no page of a dataset", _REMEDY)


@contextlib.contextmanager
def _explained(path: epath.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise WriteError(path, f"cannot be written ({reason})", _REMEDY) from error
