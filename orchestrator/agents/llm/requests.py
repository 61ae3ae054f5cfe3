"""One request to a model and its answer, within a deadline that is ours.

Threads wait here; what they wait for runs on one event loop of the process, where the connections are.
"""

import asyncio
import os
import threading
import time
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from pydantic_ai import direct
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    ModelResponsePart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings

from orchestrator.core.hidden import without, without_in

# An event loop that is held up says so late; the thread gives up on it after this.
GRACE_S = 2.0
_starting = threading.Lock()


def ask(
    model: Model[Any],
    messages: Sequence[ModelMessage],
    wishes: ModelSettings,
    parameters: ModelRequestParameters,
    *,
    deadline: float,
    is_streamed: bool,
) -> ModelResponse:
    """Raises TimeoutError, or whatever pydantic-ai and its clients raise: see failures.py."""
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    wishes = {**wishes, "timeout": left_s}
    send = _stream if is_streamed else _request
    return _wait(_within(left_s, send(model, messages, wishes, parameters)), left_s + GRACE_S)


def without_secret(response: ModelResponse, secret: str) -> ModelResponse:
    if not secret:
        return response
    return replace(response, parts=[_part_without(part, [secret]) for part in response.parts])


def _part_without(part: ModelResponsePart, secrets: list[str]) -> ModelResponsePart:
    if isinstance(part, ToolCallPart):
        hidden: Any = without_in(secrets, {"tool_name": part.tool_name, "args": part.args})  # type: ignore[dict-item]
        return replace(part, **hidden)
    if isinstance(part, TextPart | ThinkingPart):
        return replace(part, content=without(secrets, part.content))
    return part


async def _within(seconds: float, work: Coroutine[Any, Any, ModelResponse]) -> ModelResponse:
    """As a whole: each word may be in time, and all of them too late."""
    async with asyncio.timeout(seconds):
        return await work


async def _request(
    model: Model[Any],
    messages: Sequence[ModelMessage],
    wishes: ModelSettings,
    parameters: ModelRequestParameters,
) -> ModelResponse:
    return await direct.model_request(
        model,
        messages,
        model_settings=wishes,
        model_request_parameters=parameters,
        instrument=False,
    )


async def _stream(
    model: Model[Any],
    messages: Sequence[ModelMessage],
    wishes: ModelSettings,
    parameters: ModelRequestParameters,
) -> ModelResponse:
    async with direct.model_request_stream(
        model,
        messages,
        model_settings=wishes,
        model_request_parameters=parameters,
        instrument=False,
    ) as stream:
        async for _ in stream:
            pass
        return stream.get()


def _wait(work: Coroutine[Any, Any, ModelResponse], seconds: float) -> ModelResponse:
    future = asyncio.run_coroutine_threadsafe(work, _loop())
    try:
        return future.result(seconds)
    finally:
        future.cancel()


def _loop() -> asyncio.AbstractEventLoop:
    with _starting:
        return _loop_of(os.getpid())


@cache
def _loop_of(process: int) -> asyncio.AbstractEventLoop:
    """Of this process: a child that was forked has no thread that would run its parent's."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="models", daemon=True).start()
    return loop
