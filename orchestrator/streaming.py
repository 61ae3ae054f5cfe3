"""Long answers, sent as they are made: however long they are, a few lines of them are in memory."""

from collections.abc import AsyncIterator, Iterator
from itertools import batched

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

LINES_AT_ONCE = 50


def streamed(
    request: HttpRequest, lines: Iterator[str], *, content_type: str, name: str
) -> StreamingHttpResponse:
    """As a file to be saved under this name. What fails on the way cuts the file short."""
    chunks = ("".join(some).encode() for some in batched(lines, LINES_AT_ONCE))
    is_asynchronous = isinstance(request, ASGIRequest)
    return StreamingHttpResponse(
        _in_threads(chunks) if is_asynchronous else chunks,
        content_type=content_type,
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            # Nothing of it is kept on the way, neither by caches nor by a proxy that waits for the end.
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
        },
    )


async def _in_threads(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Each chunk on the thread of its request, where the connection to the database is."""
    while chunk := await sync_to_async(_next)(chunks):
        yield chunk


def _next(chunks: Iterator[bytes]) -> bytes:
    return next(chunks, b"")
