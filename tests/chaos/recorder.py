"""The world outside: the target of every effect, in a process that no fault ever touches.

It counts what really happened for each key. One side of it knows keys and acts once for each, and can
undo what it did; the other is forgetful and acts on every call. Both answer late, hang up after they
acted, or say that they are busy, as targets do; some undoing is refused at first. It also hears what
webhooks say. What the product believes is compared with this at the end.
"""

import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

# What may become of a call, and how often.
BUSY, HANG_UP, SLOW, TOO_SLOW = 0.05, 0.07, 0.10, 0.015
SLOW_S = (0.2, 1.2)
# Of what is to be undone, the first time it is asked.
REFUSED = 0.15
UNDO, HOOK = "/undo", "/hook"
MINDFUL = frozenset({"/mindful", UNDO})


@dataclass
class Happened:
    """What was done for one key."""

    key: str
    payload: str
    undoes: bool = False
    calls: int = 0
    executions: int = 0
    first_at: float = 0.0


class Recorder:
    def __init__(self, seed: int, lease_s: float) -> None:
        self.seed = seed
        self.too_slow_s = lease_s + 1.5
        self.happened: dict[str, Happened] = {}
        # The same key with other bytes: somebody would have been paid the wrong amount.
        self.contradictions: list[str] = []
        # Of each message of a webhook, how often it arrived.
        self.heard: Counter[str] = Counter()
        # Set when the faults are over: from then on it only answers.
        self.is_calm = False
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def execute(self, key: str, payload: str, path: str) -> tuple[Happened, float]:
        """Do it, once for each key or every time, and draw what the caller will hear of it."""
        with self._lock:
            known = self.happened.setdefault(key, Happened(key, payload, path == UNDO))
            known.calls += 1
            if known.payload != payload:
                self.contradictions.append(f"{key}: {known.payload} and {payload}")
            fate = self._draw(known)
            if fate >= BUSY and not self._refuses(known):
                known.first_at = known.first_at or time.time()
                known.executions = 1 if path in MINDFUL else known.executions + 1
            return known, fate

    def hear(self, message: str) -> None:
        with self._lock:
            self.heard[message] += 1

    def executions(self, key: str) -> int:
        with self._lock:
            return self.happened[key].executions if key in self.happened else 0

    def _refuses(self, known: Happened) -> bool:
        drawn = random.Random(f"{self.seed}/{known.key}/refused").random()
        return known.undoes and known.calls == 1 and drawn < REFUSED

    def _draw(self, known: Happened) -> float:
        if self.is_calm:
            return 1.0
        return random.Random(f"{self.seed}/{known.key}/{known.calls}").random()


def _handler(recorder: Recorder) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            payload = self.rfile.read(length)
            if len(payload) < length:
                # The caller was killed while it spoke: nobody acts on half a sentence.
                self.close_connection = True
                return
            if self.path == HOOK:
                recorder.hear(self.headers["Webhook-Id"])
                self._answer(200, {})
                return
            known, fate = recorder.execute(
                self.headers["Idempotency-Key"], payload.decode(), self.path
            )
            if fate < BUSY:
                self._answer(503, {"reason": "busy"})
            elif not known.executions:
                self._answer(409, {"reason": "not today"})
            elif fate < BUSY + HANG_UP:
                self.close_connection = True
            else:
                self._be_slow(fate - BUSY - HANG_UP)
                self._answer(200, {"target": "recorder", "key": known.key})

        def do_GET(self) -> None:
            (key,) = parse_qs(urlsplit(self.path).query)["key"]
            self._answer(200, {"executions": recorder.executions(key)})

        def log_message(self, format: str, *arguments: Any) -> None:
            """Thousands of lines that nobody would read."""

        def _be_slow(self, fate: float) -> None:
            if fate < TOO_SLOW:
                time.sleep(recorder.too_slow_s)
            elif fate < TOO_SLOW + SLOW:
                time.sleep(random.uniform(*SLOW_S))

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            # A caller that was killed does not listen any more.
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                self.close_connection = True

    return Handler
