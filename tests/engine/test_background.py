"""The worker of long jobs as a process: it hears, it stops in order, and it can be killed at any moment."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from orchestrator.actions import backtests, rules
from orchestrator.actions.actor import Actor
from orchestrator.backtest_queries import report_on
from orchestrator.engine import backtest as engine
from orchestrator.models import Backtest, Proposal
from tests.conftest import Cast
from tests.recorded import Told, record

pytestmark = pytest.mark.django_db(transaction=True)

WITHIN_S = 90.0
MANY = 6_000
# A worker process is Python, Django and the engine of conditions, and what one batch takes.
MEMORY_MAX = 160_000_000


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "worker.log"


@pytest.fixture
def start(log: Path) -> Iterator[Callable[[], psutil.Process]]:
    """`manage.py worker --queue background` on the database of the test."""
    started: list[subprocess.Popen[bytes]] = []

    def begin() -> psutil.Process:
        url = urlsplit(settings.DATABASE_URL)._replace(path=f"/{connection.settings_dict['NAME']}")
        environment = {
            **os.environ,
            "DATABASE_URL": url.geturl(),
            "REDIS_URL": settings.REDIS_URL,
            "COMMAND_LEASE_S": "2",
            "RING_AGAIN_AFTER_S": "1",
        }
        command = [sys.executable, "manage.py", "worker", "--queue", "background"]
        with log.open("ab") as output:
            process = subprocess.Popen(
                command, cwd=settings.BASE_DIR, env=environment, stdout=output, stderr=output
            )
        started.append(process)
        return psutil.Process(process.pid)

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.fixture
def asked(cast: Cast, propose: Callable[..., Proposal]) -> Backtest:
    """A backtest that takes a worker a second or more."""
    second = timedelta(seconds=1)
    record(
        MANY,
        lambda number: Told({"amount_minor": number, "tags": ["a"] * 12}),
        beside=propose(action="other"),
        reviewer=cast.rita,
        until=timezone.now() - second,
        every=second,
    )
    version = rules.draft(
        Actor(cast.ada),
        slug="limit",
        title="A limit",
        effect="hold",
        # Slow on purpose: there has to be time to kill its worker.
        condition="proposal.args.amount_minor < 5000 && proposal.args.tags.all(t,"
        " proposal.args.tags.all(u, t + u != 'ab'))",
        applies_to={"actions": ["refund.create"]},
    )
    return backtests.request(Actor(cast.ada), version, proposals_max=MANY)


def until(is_so: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not is_so():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.01)


def status(backtest: Backtest) -> str:
    backtest.refresh_from_db()
    return backtest.status


def got_on(backtest: Backtest) -> bool:
    """Since it was last looked at."""
    before = backtest.done
    backtest.refresh_from_db()
    return backtest.done > before


def check_result(backtest: Backtest) -> None:
    """Whoever worked on it, and however often: each proposal was counted once."""
    found = report_on(Backtest.objects.select_related("version", "against").get(pk=backtest.pk))
    assert backtest.done == MANY
    assert found.findings.after.in_scope == MANY - 1
    assert found.findings.after.hits == 1_000
    assert found.flips_listed == backtest.flips.count() == 1_000


def test_a_killed_worker_loses_a_batch_and_counts_nothing_twice(
    start: Callable[[], psutil.Process], asked: Backtest, log: Path
) -> None:
    for _ in range(2):
        worker = start()
        until(lambda: got_on(asked), log)
        for process in [*worker.children(), worker]:
            process.kill()
        worker.wait()
        assert status(asked) == "running"
    start()
    until(lambda: status(asked) == "done", log)
    assert asked.fence == 3
    check_result(asked)


def test_a_worker_that_is_to_stop_puts_its_job_back_at_once(
    start: Callable[[], psutil.Process], asked: Backtest, log: Path
) -> None:
    worker = start()
    until(lambda: got_on(asked), log)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(WITHIN_S) == 0
    asked.refresh_from_db()
    assert (asked.status, asked.lease_until) == ("waiting", None)
    assert asked.done < MANY
    while engine.work_one(lambda: False):
        pass
    asked.refresh_from_db()
    check_result(asked)


def test_a_worker_that_has_nothing_to_do_hears_of_a_job(
    start: Callable[[], psutil.Process], cast: Cast, asked: Backtest, log: Path
) -> None:
    backtests.cancel(Actor(cast.ada), asked)
    worker = start()
    # Heard of by itself, or by a bell: it must not matter how long it has been listening.
    until(lambda: len(worker.children()) == 1, log)
    time.sleep(1.0)
    again = backtests.request(Actor(cast.ada), asked.version, proposals_max=MANY)
    until(lambda: status(again) == "done", log)
    check_result(again)
    (child,) = worker.children()
    assert child.memory_info().rss < MEMORY_MAX
