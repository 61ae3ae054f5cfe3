"""Workloads A, B and C: a pipeline of five steps, a pause for a person, a fan-out of twenty and its join.

Each is measured through worker processes of their own, interleaved with the bare limit, so that a
machine that slows down slows both.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import psutil
from django.conf import settings
from django.db import connection, transaction

from orchestrator.actions import runs, users, workflows
from orchestrator.actions.actor import Actor
from orchestrator.core import events as ev
from orchestrator.core.codec import Json
from orchestrator.engine.advance import Step, advance
from orchestrator.models import Event, ReviewItem, Run, WorkflowVersion
from orchestrator.models.ids import new_id
from tests import deciding
from tests.bench.limit import ServerCpu, cpu_of, measure
from tests.work import output_of

ROUNDS = 3
LIMIT_S = 1.0
PIPELINES = 1_500
PAUSES = 1_500
FANOUTS = 150
LONE_RUNS = 60
DECISIONS = 60
FAN = 20
PROCESSES, THREADS = 2, 64
PATIENCE_S = 120
SYSTEM = Actor(None)

SAYS_OK = {"kind": "scripted", "name": "bench", "says": {"ok": True}}
TELLS_TIME = {"kind": "function", "name": "tell_time", "isolated": False}
WORKFLOWS: dict[str, dict[str, Any]] = {
    "bench-pipeline": {"stages": [{"name": f"step-{n}", "agent": SAYS_OK} for n in range(1, 6)]},
    "bench-pause": {
        "stages": [
            {"name": "before", "agent": SAYS_OK},
            {"name": "pause", "signal": {"name": "go-on"}},
            {"name": "after", "agent": SAYS_OK},
        ]
    },
    "bench-approval": {
        "stages": [
            {"name": "before", "agent": SAYS_OK},
            {"name": "ask", "approval": {"question": "Go on?"}},
            {"name": "after", "agent": TELLS_TIME},
        ]
    },
    "bench-fanout": {
        "stages": [
            {"name": "each", "agent": SAYS_OK, "for_each": "/items", "at_most": FAN},
            {"name": "join", "agent": SAYS_OK},
        ]
    },
}


@dataclass
class Work:
    """What one round took, from the commit that asked for it to the commit that ended it."""

    done: int
    wall_s: float
    cpu_s: float
    transactions: int

    @property
    def per_s(self) -> float:
        return self.done / self.wall_s


def pipeline() -> dict[str, float]:
    version = _save("bench-pipeline")
    with _workers() as pids:
        found = _interleaved(lambda: _steps_of_pipelines(version, pids))
        lone = [_lone_run() for _ in range(LONE_RUNS)]
    steps = [step for times in lone for step in times]
    return {
        **found.as_figures("pipeline", "steps"),
        "pipeline.p50_ms": statistics.median(steps),
        "pipeline.p99_ms": statistics.quantiles(steps, n=100)[98],
    }


def pause() -> dict[str, float]:
    version = _save("bench-pause")
    _save("bench-approval")
    person = Actor(users.create(SYSTEM, username="bench-person", password="x", role="reviewer"))
    with _workers() as pids:
        found = _interleaved(lambda: _resumes(version, pids))
        waits = [_time_from_decision(person) for _ in range(DECISIONS)]
    return {
        **found.as_figures("pause", "resumes"),
        "pause.p50_ms": statistics.median(waits),
        "pause.p99_ms": statistics.quantiles(waits, n=100)[98],
    }


def fanout() -> dict[str, float]:
    version = _save("bench-fanout")
    with _workers() as pids:
        found = _interleaved(lambda: _fan_outs(version, pids))
        alone = [_one_fan_out() for _ in range(20)]
    return {
        **found.as_figures("fanout", "fanouts", steps_each=FAN + 1),
        "fanout.p50_ms": statistics.median(alone),
        "fanout.p99_ms": max(alone),
    }


@dataclass
class Figures:
    works: Sequence[Work]
    one: Sequence[float]
    eight: Sequence[float]
    limit_cpu_ms: Sequence[float]

    def as_figures(self, name: str, unit: str, steps_each: int = 1) -> dict[str, float]:
        """Per unit, and the ratios per step: each step is a thing that has to be durable."""
        per_s = statistics.median(work.per_s for work in self.works)
        one, eight = statistics.median(self.one), statistics.median(self.eight)
        steps = sum(work.done for work in self.works) * steps_each
        cpu_ms = sum(work.cpu_s for work in self.works) / steps * 1_000
        return {
            f"{name}.{unit}_per_s": per_s,
            f"{name}.ratio_one": per_s * steps_each / one,
            f"{name}.ratio_eight": per_s * steps_each / eight,
            f"{name}.cpu_ms_per_step": cpu_ms,
            f"{name}.cpu_ratio": cpu_ms / statistics.median(self.limit_cpu_ms),
            f"{name}.transactions_per_step": sum(work.transactions for work in self.works) / steps,
            f"{name}.limit_one_per_s": one,
            f"{name}.limit_eight_per_s": eight,
        }


def _interleaved(work: Callable[[], Work]) -> Figures:
    """Limit, work, limit, work: so that both see the same machine. The first round warms up."""
    work()
    works, one, eight, cpu = [], [], [], []
    for _ in range(ROUNDS):
        single = measure(1, LIMIT_S)
        one.append(single.per_s)
        cpu.append(single.cpu_ms)
        eight.append(measure(8, LIMIT_S).per_s)
        works.append(work())
    return Figures(works, one, eight, cpu)


def _steps_of_pipelines(version: WorkflowVersion, pids: list[int]) -> Work:
    with _metered(pids, PIPELINES * 5) as found:
        _start_many(version, PIPELINES, {"n": 1})
        _until_done(version)
    return found


def _resumes(version: WorkflowVersion, pids: list[int]) -> Work:
    """Everybody waits; then the answers arrive, in batches as a webhook or a stream brings them."""
    waiting = _start_many(version, PAUSES, None)
    _until(lambda: not _of(version).filter(status="running").exists())
    with _metered(pids, PAUSES) as found:
        for at in range(0, PAUSES, 50):
            signals = [runs.Signal(run, "go-on", None) for run in waiting[at : at + 50]]
            runs.signal_many(SYSTEM, signals)
        _until_done(version)
    return found


def _fan_outs(version: WorkflowVersion, pids: list[int]) -> Work:
    with _metered(pids, FANOUTS) as found:
        _start_many(version, FANOUTS, {"items": list(range(FAN))})
        _until_done(version)
    return found


def _lone_run() -> list[float]:
    """Milliseconds from each step to the next, by the times in the log."""
    run = runs.start(SYSTEM, workflow="bench-pipeline", intent={"n": 1})
    _until(lambda: Run.objects.filter(pk=run.pk, status="completed").exists(), every_s=0.005)
    times = list(
        Event.objects.filter(run=run, seq__gt=1).order_by("seq").values_list("at", flat=True)
    )
    return [(after - before).total_seconds() * 1_000 for before, after in pairwise(times)]


def _time_from_decision(person: Actor) -> float:
    """Milliseconds from the decision's commit to the next agent's first line."""
    run = runs.start(SYSTEM, workflow="bench-approval", intent=None)
    _until(lambda: ReviewItem.objects.filter(run=run).exists(), every_s=0.002)
    item = ReviewItem.objects.get(run=run)
    committed: list[float] = []
    with transaction.atomic():
        transaction.on_commit(lambda: committed.append(time.time()))
        deciding.decide(person, item.pk, verdict="approve", idempotency_key=item.pk)
    _until(lambda: Run.objects.filter(pk=run.pk, status="completed").exists(), every_s=0.002)
    said: Any = output_of(Run.objects.get(pk=run.pk))
    return (float(said) - committed[0]) * 1_000


def _one_fan_out() -> float:
    began = time.perf_counter()
    run = runs.start(SYSTEM, workflow="bench-fanout", intent={"items": list(range(FAN))})
    _until(lambda: Run.objects.filter(pk=run.pk, status="completed").exists(), every_s=0.001)
    return (time.perf_counter() - began) * 1_000


def _save(slug: str) -> WorkflowVersion:
    return workflows.save(SYSTEM, slug, {"pattern": "pipeline", **WORKFLOWS[slug]}).version


def _start_many(version: WorkflowVersion, count: int, intent: Json) -> list[str]:
    """In one transaction: the clock starts when all are there."""
    started = ev.RunStarted(
        workflow=version.workflow.slug,
        version=version.number,
        pattern="pipeline",
        definition=version.content_hash,
        intent=intent,
    )
    with transaction.atomic():
        made = [Run(pk=new_id("run"), workflow_version=version) for _ in range(count)]
        Run.objects.bulk_create(made)
        advance([Step(run.pk, started) for run in made])
    return [run.pk for run in made]


def _of(version: WorkflowVersion) -> Any:
    return Run.objects.filter(workflow_version=version, status__in=("new", "running", "waiting"))


def _until_done(version: WorkflowVersion) -> None:
    _until(lambda: not _of(version).exists())


def _until(is_so: Callable[[], bool], every_s: float = 0.02) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the workers did not finish within {PATIENCE_S} s")
        time.sleep(every_s)


@contextmanager
def _metered(pids: list[int], done: int) -> Iterator[Work]:
    found = Work(done, 0.0, 0.0, 0)
    server, before = ServerCpu(), {pid: cpu_of(pid) for pid in pids}
    written, began = _transactions(), time.perf_counter()
    yield found
    found.wall_s = time.perf_counter() - began
    found.transactions = _transactions() - written
    found.cpu_s = server.spent_s() + sum(cpu_of(pid) - before[pid] for pid in pids)


def _transactions() -> int:
    """Write transactions of the whole server so far."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        (count,) = cursor.fetchone()
    return int(count)


@contextmanager
def _workers(processes: int = PROCESSES, threads: int = THREADS) -> Iterator[list[int]]:
    """The parent of them, and each of them."""
    words = ["--queue", "agents", "--processes", str(processes), "--threads", str(threads)]
    process = subprocess.Popen(
        [sys.executable, "manage.py", "worker", *words],
        cwd=settings.BASE_DIR,
        env={
            "PATH": "/usr/bin:/bin",
            "VAR_DIR": str(settings.VAR_DIR),
            "DATABASE_URL": settings.DATABASE_URL,
            "REDIS_URL": settings.REDIS_URL,
            "AGENT_MODULES": "tests.bench.agents",
        },
    )
    try:
        me = psutil.Process(process.pid)
        _until(lambda: len(me.children()) == processes)
        yield [process.pid, *(child.pid for child in me.children())]
    finally:
        process.terminate()
        process.wait(30)
