import asyncio
import json
from typing import Any

from orchestrator.api.body_limit import BodyLimit


async def _reads_all(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"read"})


def _exchange(chunks: list[bytes]) -> tuple[list[dict[str, Any]], int]:
    """What was sent back, and how many chunks were never asked for."""
    waiting = [
        {"type": "http.request", "body": chunk, "more_body": number < len(chunks) - 1}
        for number, chunk in enumerate(chunks)
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(BodyLimit(_reads_all)({"type": "http"}, receive, send))
    return sent, len(waiting)


def test_what_fits_passes() -> None:
    sent, left = _exchange([b"x" * 500_000, b"x" * 500_000])
    assert (sent[0]["status"], left) == (200, 0)


def test_what_does_not_fit_is_refused_after_it_was_sent() -> None:
    sent, left = _exchange([b"x" * 600_000] * 10)
    assert (sent[0]["status"], left) == (413, 0)
    assert json.loads(sent[1]["body"])["type"] == "urn:countersign:problem:too-large"


def test_an_endless_body_is_cut_off() -> None:
    sent, left = _exchange([b"x" * 1_000_000] * 100)
    assert sent[0]["status"] == 413
    assert left > 60
