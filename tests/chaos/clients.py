"""Those who ask: clients that never give up on an answer, and never ask for a thing twice.

Each request carries an Idempotency-Key. Where an answer is lost, late or an error of the server's,
the same request is sent again with the same key until somebody says that it was taken in.
"""

import http.client
import itertools
import json
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from tests.chaos import events
from tests.chaos.deliveries import Deliveries, Heard, heard
from tests.chaos.workload import Request

BATCH = "application/cloudevents-batch+json"
PATIENCE_S = 15
PAUSE_S = 0.2
# Refused for now: somebody else is being answered for this key, or the queue is full.
LATER = frozenset({HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS})
TAKEN = frozenset({HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED})


@dataclass(frozen=True, slots=True)
class Accepted:
    request: Request
    id: str
    at: float


@dataclass
class Told:
    """What the product promised, and what it took to hear it."""

    accepted: list[Accepted] = field(default_factory=list)
    events: list[Heard] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    refusals: list[str] = field(default_factory=list)


@dataclass
class Client:
    """A connection for each request; after a failure the next one goes to the other server."""

    ports: tuple[int, ...]
    token: str
    told: Told

    def __post_init__(self) -> None:
        self._turns = itertools.cycle(self.ports)

    def post(self, path: str, body: Any, key: str) -> dict[str, Any] | None:
        """The body of the answer, whatever it takes; None when it is a refusal."""
        while True:
            status, answer = self._try(path, body, key)
            self.told.answers[str(status or "no answer")] += 1
            if status in TAKEN:
                return answer
            if status in LATER and "illegal-transition" in str(answer.get("type")):
                return None
            if status and status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in LATER:
                self.told.refusals.append(f"{path} {key}: {status} {answer.get('title')}")
                return None
            time.sleep(PAUSE_S)

    def _try(self, path: str, body: Any, key: str) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", next(self._turns), timeout=PATIENCE_S)
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": BATCH if isinstance(body, list) else "application/json",
            "Idempotency-Key": key,
        }
        try:
            connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else {}
        except (OSError, http.client.HTTPException, ValueError):
            return 0, {}
        finally:
            connection.close()


class Load:
    """Clients at work, and one who sends the signals that runs wait for."""

    def __init__(
        self, requests: Iterator[Request], client: Client, has_room: Callable[[], bool], count: int
    ) -> None:
        self.told = client.told
        self._client = client
        self._requests = requests
        self._has_room = has_room
        self._lock = threading.Lock()
        self._stop = threading.Event()
        # With the number of the signal that is next.
        self._signals: queue.Queue[tuple[Accepted, int]] = queue.Queue()
        self._deliveries = Deliveries(client.post, self.told.events.append, lambda: self._is_asked)
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(count)]
        self._signallers = [threading.Thread(target=self._signal, daemon=True) for _ in range(3)]

    def start(self) -> None:
        for thread in (*self._threads, *self._signallers):
            thread.start()
        self._deliveries.start()

    def stop(self) -> None:
        """No new requests; those under way are still asked until they are answered."""
        self._stop.set()

    @property
    def is_over(self) -> bool:
        return self._is_asked and self._deliveries.is_done

    @property
    def _is_asked(self) -> bool:
        return self._stop.is_set() and not any(thread.is_alive() for thread in self._threads)

    def _ask(self) -> None:
        while not self._stop.is_set():
            if not self._has_room():
                time.sleep(PAUSE_S / 4)
                continue
            with self._lock:
                request = next(self._requests)
            self._deliveries.send_again(request)
            answer = self._client.post(request.path, request.body, request.reference)
            if answer is not None:
                self._note(request, answer)

    def _note(self, request: Request, answer: dict[str, Any]) -> None:
        """Of an event the run counts that it was routed to; a dead letter has none."""
        key = answer["id"]
        if request.path == events.PATH:
            self.told.events.append(heard(request, answer))
            key = answer["run"]
        if key is not None:
            self._note_accepted(Accepted(request, key, time.time()))

    def _note_accepted(self, accepted: Accepted) -> None:
        self.told.accepted.append(accepted)
        if accepted.request.signals:
            self._signals.put((accepted, 0))

    def _signal(self) -> None:
        """One signal after the other; a run that does not wait for it yet is asked again later."""
        while True:
            accepted, number = self._signals.get()
            path = f"/api/v1/runs/{accepted.id}/signals"
            key = f"{accepted.request.reference}/{number}"
            signals = accepted.request.signals
            if self._client.post(path, signals[number], key) is None:
                time.sleep(PAUSE_S)
            else:
                number += 1
            if number < len(signals):
                self._signals.put((accepted, number))
