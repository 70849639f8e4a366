"""Makes permissions count for root as they do for any other user."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pathlib
import struct
from collections.abc import Iterator

import pytest

# linux/capability.h: version 3 of the header, and what lets root pass by permissions.
_VERSION = 0x20080522
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2
_SETS = struct.Struct("6I")  # Effective, permitted and inheritable, low and high.


@contextlib.contextmanager
def counted() -> Iterator[None]:
    """Applies a file's permissions to its owner, even if root runs the test.

    Another user's identity would also work, but could not enter a checkout or an
    environment that only root may read. Skips the test where root keeps its rights.
    """
    if os.geteuid():
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "capset"):
        pytest.skip("root passes by permissions, and this platform cannot keep it from")
    before = _capabilities(libc)
    effective, *others = _SETS.unpack(before)
    without = effective & ~(1 << _DAC_OVERRIDE | 1 << _DAC_READ_SEARCH)
    _set_capabilities(libc, _SETS.pack(without, *others))
    try:
        # Some checkouts are another user's, and root then needs its rights to read on.
        for path in (pathlib.Path(__file__), pathlib.Path(contextlib.__file__)):
            try:
                path.read_bytes()
            except OSError as error:
                pytest.skip(f"only root's rights let root read {error.filename}")
        yield
    finally:
        _set_capabilities(libc, before)


def _header() -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(struct.pack("Ii", _VERSION, 0), 8)


def _capabilities(libc: ctypes.CDLL) -> bytes:
    sets = ctypes.create_string_buffer(_SETS.size)
    if libc.capget(_header(), sets):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return sets.raw


def _set_capabilities(libc: ctypes.CDLL, sets: bytes) -> None:
    if libc.capset(_header(), ctypes.create_string_buffer(sets, _SETS.size)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
