"""Limits of this process, for as long as a test needs them."""

import contextlib
import resource
from collections.abc import Iterator


@contextlib.contextmanager
def limited(kind: int, number: int) -> Iterator[None]:
    """Sets the soft limit of a resource, such as `resource.RLIMIT_NOFILE`."""
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (number, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))
