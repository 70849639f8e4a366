"""Stores for the tests of this folder, and requests that fail."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tests.shared.fault_proxy import FaultProxy, Request
from tests.shared.stores import bucket, google, google_bucket, s3

__all__ = ["bucket", "google", "google_bucket", "s3"]


@contextlib.contextmanager
def failing_now_and_then(proxy: FaultProxy) -> Iterator[None]:
    """Lets every third read fail, each time in another way."""
    faults: list[str] = []

    def every_third(request: Request) -> str | None:
        if request.first is None or len(proxy.requests) % 3:
            return None
        faults.append(("error", "cut", "half")[len(faults) % 3])
        return faults[-1]

    with proxy.failing(every_third):
        yield
    assert {*faults} == {"error", "cut", "half"}
