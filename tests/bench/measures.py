"""What is measured. Each function returns its figures under the names they keep for ever."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from orchestrator.actions import proposals, rules, tokens, users
from orchestrator.actions.actor import Actor
from orchestrator.core.policy.guardrails import Rule, check_all
from orchestrator.grants import owner_alias
from orchestrator.models import Command, Proposal
from tests import deciding
from tests.bench import backtest, engine, keypress, models, supervisor
from tests.own_database import own_database
from tests.work import work_shift

ROUNDS = 300
LATENCIES = 60
SYSTEM = Actor(None)


@contextmanager
def fresh_database() -> Iterator[None]:
    """Everything is measured in a database of our own, which the settings then name."""
    with own_database(settings.DATABASE_URL, settings.DATABASE_OWNER_URL, "bench") as urls:
        connections.close_all()
        settings.DATABASE_URL = urls["DATABASE_URL"]
        for alias in connections:
            connections[alias].settings_dict["NAME"] = urlsplit(settings.DATABASE_URL).path[1:]
        try:
            call_command("migrate", verbosity=0, interactive=False)
            yield
        finally:
            connections.close_all()


@dataclass
class Meter:
    """Wall and CPU time of each round, and the transactions PostgreSQL counted for them."""

    walls: list[float]
    cpu_s: float
    transactions: int

    @property
    def per_s(self) -> float:
        return len(self.walls) / sum(self.walls)

    @property
    def p50_ms(self) -> float:
        return statistics.median(self.walls) * 1_000

    @property
    def p99_ms(self) -> float:
        return statistics.quantiles(self.walls, n=100)[98] * 1_000


def metered(step: Callable[[], object], rounds: int) -> Meter:
    step()
    before, cpu = _transactions(), time.process_time()
    walls = []
    for _ in range(rounds):
        began = time.perf_counter()
        step()
        walls.append(time.perf_counter() - began)
    return Meter(walls, time.process_time() - cpu, _transactions() - before)


def _transactions() -> int:
    """Write transactions of the whole server so far."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        (count,) = cursor.fetchone()
    return int(count)


def reference() -> dict[str, float]:
    """The bare limit: one INSERT and COMMIT after another on one connection."""
    meter = metered(_bare_commit(), ROUNDS * 5)
    return {
        "reference.commits_per_s": meter.per_s,
        "reference.p50_ms": meter.p50_ms,
        "reference.cpu_ms": meter.cpu_s / len(meter.walls) * 1_000,
    }


def _bare_commit() -> Callable[[], object]:
    params = connections[owner_alias()].get_connection_params()
    own = psycopg.connect(
        host=params.get("host"),
        port=params.get("port"),
        user=params.get("user"),
        password=params.get("password"),
        dbname=params["dbname"],
        autocommit=True,
    )
    own.execute("CREATE TABLE IF NOT EXISTS bare (id bigserial PRIMARY KEY, body text)")
    return lambda: own.execute("INSERT INTO bare (body) VALUES ('x')")


def proposal() -> dict[str, float]:
    """Submit, decide, run: each alone, with five active rules, against the limit measured beside it."""
    reviewer, agent = _people()
    limit = metered(_bare_commit(), ROUNDS).per_s
    submit = metered(lambda: _submit(agent, 0.95), ROUNDS)
    with CaptureQueriesContext(connection) as queries:
        _submit(agent, 0.95)
    run = _run_all()
    held = iter([_submit(agent, 0.5).review_items.get() for _ in range(ROUNDS + 1)])
    decide = metered(lambda: _approve(reviewer, next(held).pk), ROUNDS)
    return {
        "submit.per_s": submit.per_s,
        "submit.p50_ms": submit.p50_ms,
        "submit.p99_ms": submit.p99_ms,
        "submit.cpu_ms": submit.cpu_s / ROUNDS * 1_000,
        "submit.queries": len(queries),
        "submit.transactions": submit.transactions / ROUNDS,
        "submit.ratio_one": submit.per_s / limit,
        "decide.p50_ms": decide.p50_ms,
        "decide.p99_ms": decide.p99_ms,
        "decide.transactions": decide.transactions / ROUNDS,
        "effects.per_s": run.per_s,
        "effects.p50_ms": run.p50_ms,
        "effects.transactions": run.transactions / len(run.walls),
        "effects.ratio_one": run.per_s / limit,
    }


def _people() -> tuple[Actor, Actor]:
    reviewer = users.create(SYSTEM, username="reviewer", password="x", role="reviewer")
    agents = users.create(SYSTEM, username="agents", password=None, role=None)
    text = tokens.issue(SYSTEM, owner=agents, name="bench", scopes=["propose"])
    for number in range(5):
        version = rules.draft(
            SYSTEM,
            slug=f"limit-{number}",
            title="A limit",
            effect="hold",
            condition=f"proposal.args.amount_minor <= {50_000 + number}",
        )
        rules.activate(SYSTEM, version)
    return Actor(reviewer), Actor(agents, tokens.find(text))


def _submit(agent: Actor, confidence: float) -> Proposal:
    suggestion = proposals.Suggestion(
        agent="bench",
        action="refund.create",
        target="order/1",
        args={"amount_minor": 1_200, "currency": "EUR", "reason": "damaged_item"},
        confidence=confidence,
        context={"customer": {"age_days": 400}},
    )
    return proposals.submit(agent, suggestion)


def _approve(reviewer: Actor, item: str) -> object:
    return deciding.decide(reviewer, item, verdict="approve", idempotency_key=item)


def _run_all() -> Meter:
    commands = Command.objects.filter(status="pending")
    return metered(lambda: work_shift("effects", at_most=1), commands.count() - 1)


def doorbell() -> dict[str, float]:
    """From the commit of an accepted proposal to its receipt, through Redis and a worker of its own."""
    agents = users.create(SYSTEM, username="more-agents", password=None, role=None)
    text = tokens.issue(SYSTEM, owner=agents, name="bench", scopes=["propose"])
    agent = Actor(agents, tokens.find(text))
    work_shift("effects", at_most=10_000)
    with _worker():
        _time_to_receipt(agent)
        times = [_time_to_receipt(agent) for _ in range(LATENCIES)]
    return {
        "doorbell.receipt_p50_ms": statistics.median(times) * 1_000,
        "doorbell.receipt_p90_ms": statistics.quantiles(times, n=10)[8] * 1_000,
    }


def _time_to_receipt(agent: Actor) -> float:
    made = _submit(agent, 0.95)
    began = time.perf_counter()
    while Proposal.objects.filter(pk=made.pk).exclude(status="executed").exists():
        if time.perf_counter() - began > 30:
            raise TimeoutError("no worker answered the bell within 30 s")
        time.sleep(0.0005)
    return time.perf_counter() - began


@contextmanager
def _worker() -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "worker", "--queue", "effects"],
        cwd=settings.BASE_DIR,
        env={
            "PATH": "/usr/bin:/bin",
            "VAR_DIR": str(settings.VAR_DIR),
            "DATABASE_URL": settings.DATABASE_URL,
            "REDIS_URL": settings.REDIS_URL,
        },
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def guardrails() -> dict[str, float]:
    """CPU of thirty rules on one proposal, all passing and all failing."""
    inputs = {
        "proposal": {
            "args": {"amount_minor": 1_200, "tags": ["a", "b"]},
            "action": "refund.create",
        },
        "agent": {"name": "bench"},
        "run": {},
        "context": {"confirmed": True},
        "history": {},
        "now": datetime(2026, 1, 1, tzinfo=UTC),
    }

    def thirty(limit: int) -> list[Rule]:
        condition = (
            "context.confirmed && proposal.args.amount_minor <= {} && 'a' in proposal.args.tags"
        )
        return [
            Rule(number, f"r{number}", 1, "hold", condition.format(limit + number), "over {limit}")
            for number in range(30)
        ]

    def micros(limit: int) -> float:
        asked = thirty(limit)
        check_all(asked, inputs)
        began = time.process_time()
        for _ in range(ROUNDS):
            check_all(asked, inputs)
        return (time.process_time() - began) / ROUNDS * 1e6

    return {
        "guardrails.thirty_rules_us": micros(50_000),
        "guardrails.thirty_failures_us": micros(0),
    }


ALL: tuple[Callable[[], dict[str, float]], ...] = (
    reference,
    guardrails,
    backtest.backtest,
    engine.pipeline,
    engine.pause,
    engine.fanout,
    models.models,
    proposal,
    doorbell,
    keypress.keypress,
    supervisor.supervisor,
)
