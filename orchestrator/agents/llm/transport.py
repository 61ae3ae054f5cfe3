"""The way to a model: to the one host of its endpoint, at an address that was checked, and no further.

Redirects are not followed and proxies of the environment are not used. An answer is cut off where it
gets too large, and is not unpacked: a packed one may be far larger than it looks.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from functools import cache
from typing import cast

import httpx2
from django.conf import settings

from orchestrator.outside import Place, Refused, address_of

ADDRESS_KEPT_S = 10.0
CONNECT_S = 10.0


class AnswerTooLarge(Exception):
    """Raised while it is read; nothing of it is used."""


class OneHost(httpx2.AsyncBaseTransport):
    """Sends what is meant for its place to an address that this place has just now."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._address, self._known_until = "", 0.0
        # As many connections as there are threads that ask; a pool that is too small is a queue unseen.
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100)
        self._inner = httpx2.AsyncHTTPTransport(verify=_tls(), trust_env=False, limits=limits)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self._check(request.url)
        address = await self._find_address()
        sent = httpx2.Request(
            request.method,
            request.url.copy_with(host=address),
            headers=request.headers,
            stream=request.stream,
            # The certificate has to be that of the name which was asked for.
            extensions={**request.extensions, "sni_hostname": self._place.host},
        )
        response = await self._inner.handle_async_request(sent)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            await response.aclose()
            raise Refused("it packed its answer, which nobody asked it to.")
        inner = cast(httpx2.AsyncByteStream, response.stream)
        response.stream = Capped(inner, settings.MODEL_ANSWER_BYTES_MAX)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _check(self, url: httpx2.URL) -> None:
        port = url.port or (443 if url.scheme == "https" else 80)
        meant = (self._place.is_tls, self._place.host, self._place.port)
        if (url.scheme == "https", url.host, port) != meant:
            raise Refused(f"it would have gone to {url.host}, which is not its endpoint.")

    async def _find_address(self) -> str:
        if time.monotonic() > self._known_until:
            self._address = await asyncio.to_thread(
                address_of, self._place, listed_in="ENDPOINT_HOSTS_TRUSTED"
            )
            self._known_until = time.monotonic() + ADDRESS_KEPT_S
        return self._address


class Capped(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, bytes_max: int) -> None:
        self._inner, self._left, self._most = inner, bytes_max, bytes_max

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._inner:
            self._left -= len(piece)
            if self._left < 0:
                raise AnswerTooLarge(f"its answer has more than {self._most:,} bytes.")
            yield piece

    async def aclose(self) -> None:
        await self._inner.aclose()


def client_for(place: Place) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=OneHost(place),
        headers={"Accept-Encoding": "identity"},
        timeout=httpx2.Timeout(CONNECT_S),
        follow_redirects=False,
        trust_env=False,
    )


@cache
def _tls() -> ssl.SSLContext:
    """One for all: reading the certificates of the system takes longer than a call."""
    return ssl.create_default_context()
