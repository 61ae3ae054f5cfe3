"""The reports over a million proposals: counting them, and every page with all that it can be narrowed by."""

import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle, islice
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.urls import Resolver404, resolve

from orchestrator.actions.demo_scale_cast import ACTS, AGENTS, GUARDS
from orchestrator.engine import rollups
from orchestrator.report_queries.acceptance import acceptance
from orchestrator.report_queries.agents import agents, calibration
from orchestrator.report_queries.audits import audits
from orchestrator.report_queries.economics import economics
from orchestrator.report_queries.overview import overview
from orchestrator.report_queries.reviewers import reviewers
from orchestrator.report_queries.rules import rules
from orchestrator.report_queries.scope import Scope
from tests.bench.timed import ROUNDS, Timed, ask_each

type Read = Callable[[Scope], object]

READS: dict[str, tuple[Read, ...]] = {
    "overview": (overview,),
    "acceptance": (acceptance,),
    "agents": (agents, calibration),
    "audits": (audits,),
    "rules": (rules,),
    "reviewers": (reviewers,),
    "economics": (economics,),
}
DAYS = (30, 90, 180)
# One after the other, so that nothing is asked for twice in a row.
NARROWED: tuple[dict[str, str], ...] = (
    {},
    {"agent": AGENTS[0]},
    {"action": ACTS[0].name},
    {"agent": AGENTS[1], "version": "2"},
    {"rule": GUARDS[0].slug},
    {"tier": "high"},
)


def measure_counting() -> dict[str, float]:
    """Everything once, as after a first start; then single days of which nothing has changed since."""
    began = time.perf_counter()
    rollups.refresh()
    recount_s = time.perf_counter() - began
    days = []
    for day in rollups.all_days()[-40:-1:4]:
        began = time.perf_counter()
        rollups.count_day(day)
        days.append((time.perf_counter() - began) * 1_000)
    return {"reports.recount_s": recount_s, "reports.refresh_day_ms": statistics.median(days)}


def measure_reports() -> dict[str, Timed]:
    """By their pages. Where none answers yet, what it would read is measured, and said to be only that."""
    return {name: _measure(name) for name in READS}


def _measure(name: str) -> Timed:
    path = f"/reports/{name}/"
    try:
        resolve(path)
    except Resolver404:
        sys.stdout.write(f"\nno page answers {path}: reports.{name} is what it reads alone\n")
        return _read(READS[name])
    return ask_each([_manager()], [f"{path}?{query}" for query in _queries()])


def _queries() -> list[str]:
    """Each number of days with each narrowing, alone and beside the time before."""
    return [
        "&".join(
            [f"period={days}", *(f"{name}={value}" for name, value in more.items()), *compared]
        )
        for more in NARROWED
        for days in DAYS
        for compared in ((), ("compare=on",))
    ]


def _read(reads: tuple[Read, ...]) -> Timed:
    until = datetime.now(UTC).date() + timedelta(days=1)
    scopes = [
        Scope(since=until - timedelta(days=days), until=until, **_in_scope(more))
        for more in NARROWED
        for days in DAYS
    ]
    timed = Timed()
    for scope in islice(cycle(scopes), ROUNDS):
        timed.ask(str(scope), partial(_answer, reads, scope))
    return timed


def _in_scope(more: dict[str, str]) -> dict[str, Any]:
    return {"agent_version" if name == "version" else name: value for name, value in more.items()}


def _answer(reads: tuple[Read, ...], scope: Scope) -> HttpResponse:
    for read in reads:
        read(scope)
    return HttpResponse()


def _manager() -> Client:
    client = Client(headers={"host": "127.0.0.1"})
    client.force_login(User.objects.filter(groups__name="manager").order_by("pk")[0])
    return client
