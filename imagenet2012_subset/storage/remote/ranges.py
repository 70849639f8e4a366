"""Ranges of one object by plain HTTP, with one signature or token for all of them."""

from __future__ import annotations

import asyncio
import contextlib
import time
import urllib.parse
import urllib.request
import weakref
from typing import Any, NamedTuple

import aiohttp

from imagenet2012_subset.storage.remote.store import (
    ObjectStatus,
    Replaced,
    StoredObject,
)

# A signature holds longer, but the credentials that made it may not.
_SIGN_AGAIN_SECONDS = 300
_SIGNED_FOR_SECONDS = 3600

# With less, a connection is stopped and started again many times in a long read.
_BUFFER_BYTES = 1 << 20

_PARTIAL_CONTENT = 206
_NO_LONGER_THAT = (404, 412)
_TRY_LATER = (408, 429)
_SERVER_ERROR = 500


class _Request(NamedTuple):
    url: str
    headers: dict[str, str]
    proxy: str | None


class PlainReads:
    """Reads ranges where nothing goes wrong; in its client's event loop alone.

    A store's client spends most of a small read on building and signing the request.
    """

    def __init__(self, stored: StoredObject, status: ObjectStatus):
        self._stored = stored
        self._status = status
        self._session: aiohttp.ClientSession | None = None
        self._request: _Request | None = None
        self._signed_at = 0.0
        self._are_allowed = True

    async def read(self, start: int, size: int) -> bytes | None:
        """Returns `size` bytes from `start` on; None if that was not to be had.

        Raises:
          Replaced: if the store says that it has another object by now.
        """
        if not self._are_allowed:
            return None
        # The errors of a connection have many kinds; the client tells them better.
        with contextlib.suppress(aiohttp.ClientError, OSError, asyncio.TimeoutError):
            data = await self._get(start, size)
            if len(data) == size:
                return data
        return None

    async def _get(self, start: int, size: int) -> bytes:
        request = await self._signed_request()
        if request is None:
            return b""
        headers = {**request.headers, "Range": f"bytes={start}-{start + size - 1}"}
        async with self._open_session().get(
            request.url, headers=headers, proxy=request.proxy
        ) as response:
            if response.status == _PARTIAL_CONTENT:
                return await response.read()
            if response.status in _NO_LONGER_THAT:
                raise Replaced
            if response.status < _SERVER_ERROR and response.status not in _TRY_LATER:
                self._are_allowed = False  # The store wants more than a signature.
            return b""

    async def _signed_request(self) -> _Request | None:
        now = time.monotonic()
        if not self._request or now > self._signed_at + _SIGN_AGAIN_SECONDS:
            try:
                self._request = await _sign(self._stored, self._status)
            except Exception:  # Of whatever kind each store's credentials raise.
                self._request = None
            self._signed_at = now
            self._are_allowed = self._request is not None
        return self._request

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # How many reads are under way is for who asks for them to say.
                connector=aiohttp.TCPConnector(limit=0),
                auto_decompress=False,
                read_bufsize=_BUFFER_BYTES,
            )
            weakref.finalize(self, _close, self._stored.client.loop, self._session)
        return self._session


async def _sign(stored: StoredObject, status: ObjectStatus) -> _Request | None:
    """Returns a request that reads the object as it was; None if clients alone can."""
    client: Any = stored.client
    if stored.scheme == "s3" and not (client.req_kw or client.s3_additional_kwargs):
        url = await client._url(stored.key, expires=_SIGNED_FOR_SECONDS)
        headers = {"If-Match": status.tag} if status.tag else {}
        return _Request(url, headers, _proxy_of(url))
    if stored.scheme == "gs" and not client.requester_pays:
        url = client.url(stored.key, generation=status.generation)
        headers = {}
        client.credentials.apply(headers)
        return _Request(url, headers, _proxy_of(url))
    return None


def _proxy_of(url: str) -> str | None:
    """Returns the proxy that the environment has for a URL.

    aiohttp would look for it at each request, and for passwords in a file besides. That
    takes longer than the request.
    """
    parts = urllib.parse.urlsplit(url)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def _close(loop: asyncio.AbstractEventLoop, session: aiohttp.ClientSession) -> None:
    if loop.is_running():
        closed = asyncio.run_coroutine_threadsafe(session.close(), loop)
        with contextlib.suppress(Exception):
            closed.result(timeout=1)
