"""Refuses large bodies while they arrive. Django would first write all of one to disk, however large."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings

from orchestrator.api import problems

type Message = dict[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type Application = Callable[[Any, Any, Any], Awaitable[None]]

# Many clients read no answer before they have sent everything, so this much is thrown away first.
DRAINED_TIMES = 32


class _TooLarge(Exception):
    """More than the limit has arrived."""


class BodyLimit:
    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        limit = settings.JSON_BYTES_MAX
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                await _drain(message, receive, limit * DRAINED_TIMES)
                raise _TooLarge
            return message

        try:
            await self.application(scope, limited, send)
        except _TooLarge:
            await _refuse(send)


async def _drain(message: Message, receive: Receive, at_most: int) -> None:
    dropped = 0
    while message.get("more_body") and dropped < at_most:
        message = await receive()
        dropped += len(message.get("body", b""))


async def _refuse(send: Send) -> None:
    body = json.dumps(problems.body("too-large", 413, problems.too_large())).encode()
    headers = [
        (b"content-type", problems.CONTENT_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
