"""Requests that are asked again and again, and how long they took."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle, islice
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

WARM_UPS, REQUESTS = 20, 200
ROUNDS = WARM_UPS + REQUESTS


@dataclass
class Timed:
    """One kind of request. The first ones warm up, and their queries are counted, which takes time."""

    walls: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    queries: int = 0
    slowest: dict[str, float] = field(default_factory=dict)
    asked: int = 0

    @property
    def cpu_ms(self) -> float:
        return self.cpu_s / len(self.walls) * 1_000

    @property
    def p95_ms(self) -> float:
        return statistics.quantiles(self.walls, n=20)[18]

    def ask(self, what: str, step: Callable[[], Any], expected: int = 200) -> Any:
        self.asked += 1
        answer = self._count(step) if self.asked <= WARM_UPS else self._time(what, step)
        assert answer.status_code == expected, f"{what} answered {answer.status_code}"
        return answer

    def _count(self, step: Callable[[], Any]) -> Any:
        with CaptureQueriesContext(connection) as queries:
            answer = step()
        self.queries = max(self.queries, len(queries))
        return answer

    def _time(self, what: str, step: Callable[[], Any]) -> Any:
        began, cpu = time.perf_counter(), time.process_time()
        answer = step()
        wall_ms = (time.perf_counter() - began) * 1_000
        self.cpu_s += time.process_time() - cpu
        self.walls.append(wall_ms)
        self.slowest[what] = max(self.slowest.get(what, 0.0), wall_ms)
        return answer


def ask_each(people: list[Client], addresses: list[str]) -> Timed:
    timed = Timed()
    for client, address in islice(zip(cycle(people), cycle(addresses), strict=False), ROUNDS):
        timed.ask(address, partial(client.get, address))
    return timed


def named(area: str, found: dict[str, Timed], suffix: str = "") -> dict[str, float]:
    figures = {}
    for name, timed in found.items():
        figures[f"{area}.{name}{suffix}_p95_ms"] = timed.p95_ms
        figures[f"{area}.{name}{suffix}_p50_ms"] = statistics.median(timed.walls)
        figures[f"{area}.{name}{suffix}_cpu_ms"] = timed.cpu_ms
        figures[f"{area}.{name}{suffix}_queries"] = timed.queries
    return figures
