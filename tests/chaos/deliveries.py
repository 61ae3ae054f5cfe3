"""Deliveries of events again: their sender cannot know what arrived, and sends several at once.

What is sent again overtakes the first time as often as not, goes alone or in a batch with others, and
has another key each time. Only source and id say that it is the same event.
"""

import itertools
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.chaos import events
from tests.chaos.workload import Request

type Post = Callable[[str, Any, str], dict[str, Any] | None]

BATCH_MAX = 5
PAUSE_S = 0.1
CARRIERS = 2


@dataclass(frozen=True, slots=True)
class Heard:
    """What one delivery of an event was answered."""

    request: Request
    event: str
    status: str
    run: str | None
    is_duplicate: bool
    differs: bool


def heard(request: Request, answer: dict[str, Any]) -> Heard:
    names = ("id", "status", "run", "duplicate", "differs")
    return Heard(request, *(answer[name] for name in names))


class Deliveries:
    def __init__(
        self, post: Post, note: Callable[[Heard], None], is_over: Callable[[], bool]
    ) -> None:
        self._post = post
        self._note = note
        self._is_over = is_over
        self._waiting: queue.Queue[Request] = queue.Queue()
        self._numbers = itertools.count()
        self._threads = [threading.Thread(target=self._carry, daemon=True) for _ in range(CARRIERS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    @property
    def is_done(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def send_again(self, request: Request) -> None:
        for _ in range(request.deliveries - 1):
            self._waiting.put(request)

    def _carry(self) -> None:
        while not self._is_over() or not self._waiting.empty():
            batch = self._take()
            if batch:
                self._deliver(batch)

    def _take(self) -> list[Request]:
        """Whatever waits by now. The same event may be in a batch twice."""
        found: list[Request] = []
        try:
            found.append(self._waiting.get(timeout=PAUSE_S))
            while len(found) < BATCH_MAX:
                found.append(self._waiting.get_nowait())
        except queue.Empty:
            pass
        return found

    def _deliver(self, batch: list[Request]) -> None:
        bodies = [request.body for request in batch]
        body: Any = bodies if len(batch) > 1 else bodies[0]
        answer = self._post(events.PATH, body, f"again-{next(self._numbers)}")
        if answer is None:
            return
        answers = answer["events"] if len(batch) > 1 else [answer]
        for request, one in zip(batch, answers, strict=True):
            self._note(heard(request, one))
