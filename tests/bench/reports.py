"""The reports over a million proposals: counting them, and every page with all that it can be narrowed by."""

import statistics
import time

from django.contrib.auth.models import User
from django.test import Client

from orchestrator.actions.demo_scale_cast import ACTS, AGENTS, GUARDS
from orchestrator.engine import rollups
from tests.bench.timed import Timed, ask_each

PAGES = ("overview", "acceptance", "agents", "audits", "rules", "reviewers", "economics")
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
    manager = _manager()
    return {
        name: ask_each([manager], [f"/reports/{name}/?{query}" for query in _queries()])
        for name in PAGES
    }


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


def _manager() -> Client:
    client = Client(headers={"host": "127.0.0.1"})
    client.force_login(User.objects.filter(groups__name="manager").order_by("pk")[0])
    return client
