"""What the errors of a store's client become."""

from __future__ import annotations

import errno

import pytest

from imagenet2012_subset.storage.remote.store import as_os_errors


def _raised(error: Exception) -> OSError:
    try:
        with as_os_errors("s3://bucket/key"):
            raise error
    except OSError as found:
        return found


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (PermissionError("Forbidden"), errno.EACCES),  # As s3fs has it.
        (OSError("Forbidden"), errno.EIO),  # As gcsfs has it.
        (TimeoutError("Forbidden"), errno.EIO),
        (ValueError("Forbidden"), errno.EIO),
    ],
)
def test_an_error_without_a_number_gets_one_and_names_the_path(error, number):
    found = _raised(error)
    assert (found.errno, found.filename) == (number, "s3://bucket/key")
    assert found.strerror == f"{type(error).__name__}: Forbidden"
    assert found.__cause__ is error
    assert isinstance(found, PermissionError) == (number == errno.EACCES)


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError("key"),
        FileExistsError("key"),
        NotADirectoryError("key"),
        OSError(errno.ENOSPC, "full", "key"),
        PermissionError(errno.EPERM, "no", "key"),
    ],
)
def test_what_says_enough_comes_out_as_it_is(error):
    assert _raised(error) is error
