"""Agents that wait for models: what a call costs in CPU, and how many of them one process holds.

The model is a server of its own on this machine, which answers everybody after a given time.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.test import override_settings

from orchestrator.actions import endpoints, runs, users, workflows
from orchestrator.actions.agents import Wish
from orchestrator.actions.endpoints import Terms, Whereabouts
from orchestrator.agents.base import AgentCall
from orchestrator.agents.registry import find
from orchestrator.models import Command, Run
from tests import versions
from tests.bench.engine import SYSTEM
from tests.bench.engine import _until as until
from tests.bench.engine import _workers as workers

CALLS = 200
WAITING = 200
WAIT_S = 10.0
OUTPUT = {
    "type": "object",
    "properties": {"total": {"type": "integer"}},
    "required": ["total"],
    "additionalProperties": False,
}


def models() -> dict[str, float]:
    with _server(0.0) as port:
        figures = _cost_of_calls(port)
    with _server(WAIT_S) as port:
        return figures | _hold(port)


@contextmanager
def _server(wait_s: float) -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.agents.chat_server", str(wait_s)],
        cwd=settings.BASE_DIR,
        env={**os.environ},
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def _call(port: int, number: int) -> AgentCall:
    config: dict[str, Any] = {
        "kind": "llm",
        "name": "bench",
        "version": 1,
        "model": "small-1",
        "prompt": "You add up invoices, and say what they come to.",
        "endpoint": {
            "slug": "bench",
            "provider": "openai_compatible",
            "base_url": f"http://127.0.0.1:{port}/v1",
            "price": {"input_micros_per_mtok": 100, "output_micros_per_mtok": 100},
        },
    }
    return AgentCall(
        key=f"bench/{number}",
        run="bench",
        work="add",
        index=number,
        attempt=1,
        intent={"invoice": f"A-{number}"},
        inputs={"read": {"lines": ["one line of an invoice"] * 50}},
        item=None,
        seed=number,
        timeout_s=60.0,
        config=config,
        output=OUTPUT,
    )


def _cost_of_calls(port: int) -> dict[str, float]:
    """One request each, with an output by schema, as a worker makes them; the import is told apart."""
    began = time.process_time()
    agent = find({"kind": "llm"})
    imported_s = time.process_time() - began
    for number in range(20):
        agent.call(_call(port, number))
    began = time.process_time()
    for number in range(CALLS):
        agent.call(_call(port, number))
    used_s = time.process_time() - began
    return {
        "agents.cpu_ms_per_call": used_s / CALLS * 1_000,
        "agents.import_cpu_s": imported_s,
    }


def _hold(port: int) -> dict[str, float]:
    """So many runs of an agent that is kept, in one worker process, which holds a lease on each call."""
    _keep_agent(port)
    with workers(processes=1, threads=WAITING) as (_, pid):
        # A worker that has asked a model before has imported all it needs.
        _until_ended(_start(1))
        asked = _start(WAITING)
        found = _watch(psutil.Process(pid), asked)
        _until_ended(asked)
    failed = Run.objects.filter(pk__in=asked).exclude(status="completed").count()
    if failed:
        raise RuntimeError(f"{failed} runs did not wait: they failed")
    return found


@transaction.atomic
def _start(count: int) -> list[str]:
    """All at once: workers see none of them before the last is there."""
    intent = {"invoice": "A-1", "lines": ["one line of an invoice"] * 50}
    return [runs.start(SYSTEM, workflow="bench-models", intent=intent).pk for _ in range(count)]


def _until_ended(asked: list[str]) -> None:
    until(lambda: not Run.objects.filter(pk__in=asked, ended_at=None).exists())


def _keep_agent(port: int) -> None:
    ada = versions.keep(users.create(SYSTEM, username="bench-admin", password=None, role="admin"))
    where = Whereabouts(
        provider="openai_compatible",
        base_url=f"http://127.0.0.1:{port}/v1",
        is_local=True,
        data_classes=versions.CLASSES,
    )
    endpoints.make(ada, "bench", where, Terms(auth="none"))
    wish = Wish(
        adapter="llm",
        model="small-1",
        prompt="You add up invoices, and say what they come to.",
        endpoints=["bench"],
        data_classes=versions.CLASSES,
    )
    versions.write(ada, "clerk", wish)
    with override_settings(UNDO_S=0):
        versions.deploy(ada, "clerk", stable=1)
    definition = versions.pipeline(versions.stage("add", output=OUTPUT))
    workflows.save(SYSTEM, "bench-models", definition)


def _watch(worker: psutil.Process, asked: list[str]) -> dict[str, float]:
    """The most it ever held, until the first of them is over."""
    held = Command.objects.filter(run__in=asked, status="running", lease_until__gt=Now())
    most, rss, below = 0, 0, 0
    while not Run.objects.filter(pk__in=asked, ended_at__isnull=False).exists():
        most = max(most, held.count())
        rss = max(rss, worker.memory_info().rss)
        below = max(below, sum(one.memory_info().rss for one in worker.children(recursive=True)))
        time.sleep(0.1)
    return {
        "agents.waiting_calls": float(most),
        "agents.rss_mb": rss / 1_048_576,
        "agents.rss_children_mb": below / 1_048_576,
    }
