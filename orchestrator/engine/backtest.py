"""Backtests: versions of rules and of policies, asked about recorded proposals, one batch after the other.

A worker holds a backtest by a lease and a fence, as commands are held. Each batch is read and evaluated
outside any transaction; then one short transaction stores what it added up, where it got to and its
flips, renews the lease and hears whether somebody cancelled. So a worker that is killed loses one batch,
and nothing is counted twice. Backtests that look at the same proposals go together and read them once.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import DatabaseError, transaction

from orchestrator.core.codec import canonical
from orchestrator.core.typeid import least_at
from orchestrator.engine import hear, recorded, sql
from orchestrator.engine.backtest_claims import claim, fail
from orchestrator.engine.policy_trials import PolicyBench
from orchestrator.engine.recorded import Line
from orchestrator.engine.rule_trials import RuleBench
from orchestrator.engine.trials import REASON_LENGTH_MAX, Bench, Trial
from orchestrator.failpoints import failpoint
from orchestrator.models import Backtest, BacktestFlip

logger = logging.getLogger(__name__)

QUEUE = "background"
# Whatever takes too long gets smaller batches.
BATCH_MIN = 5
# A batch is to be stored well before the lease ends.
LEASE_SHARES = 3

type IsStopping = Callable[[], bool]


def work_one(is_stopping: IsStopping) -> bool:
    """What has waited longest, to its end or until told to stop. False when nothing waits."""
    taken = claim()
    if not taken:
        return False
    job = Job(taken)
    try:
        job.run(is_stopping)
    except DatabaseError:
        # Nothing of the batch was stored. The lease ends, and whoever takes over goes on from there.
        raise
    except Exception as error:
        logger.exception("a backtest stopped")
        job.fail(f"It stopped after {job.done:,} proposals ({_legible(error)}).")
    return True


@dataclass(frozen=True, slots=True)
class Looked:
    """How far a batch got."""

    lines: Sequence[Line]
    is_last: bool


class Job:
    """Backtests of one window and one kind, from one place in it."""

    def __init__(self, taken: Sequence[Backtest]) -> None:
        first = taken[0]
        self._bench: Bench[Any] = PolicyBench(taken) if first.policy_id else RuleBench(taken)
        self.done = first.done
        self._most = first.proposals_max
        self._cursor = first.cursor or least_at("prp", first.until)
        self._since = least_at("prp", first.since)
        self._total = first.total
        self._oldest: str = first.counts.get("oldest", "")
        self._size = self._bench.batch

    @property
    def trials(self) -> list[Trial]:
        return self._bench.trials

    def run(self, is_stopping: IsStopping) -> None:
        if self._total is None:
            self._total = recorded.count(self._cursor, self._since, at_most=self._most)
        while self.trials:
            if is_stopping():
                self._put_back()
                return
            began = time.monotonic()
            looked = self._look(began + settings.COMMAND_LEASE_S / LEASE_SHARES)
            failpoint("batch-counted-not-stored")
            self._store(looked)
            self._adapt(time.monotonic() - began)

    def fail(self, reason: str) -> None:
        # In one transaction, so that nobody takes them over in between.
        with transaction.atomic():
            fail([trial.id for trial in self._held()], reason)

    def _adapt(self, took_s: float) -> None:
        if took_s > settings.COMMAND_LEASE_S / LEASE_SHARES:
            self._size = max(BATCH_MIN, self._size // 2)

    # Looking

    def _look(self, deadline: float) -> Looked:
        """One batch, or as much of it as there is time for; always at least one proposal."""
        wanted = min(self._size, self._most - self.done)
        page = recorded.lines(self._cursor, self._since, at_most=wanted)
        lines = page[: self._bench.weigh(page, deadline)] if page else page
        is_end = len(page) < wanted or self.done + len(page) >= self._most
        return Looked(lines, is_last=is_end and len(lines) == len(page))

    # Storing

    def _store(self, looked: Looked) -> None:
        """Everything of the batch, or nothing of it. A backtest that is somebody else's by now is let go."""
        if looked.lines:
            self.done += len(looked.lines)
            self._cursor = looked.lines[-1].id
            self._oldest = looked.lines[-1].at.isoformat()
        with transaction.atomic():
            statuses = self._write(looked.is_last)
            held = [trial for trial in self.trials if trial.id in statuses]
            BacktestFlip.objects.bulk_create(flip for trial in held for flip in trial.found)
            for trial in held:
                if statuses[trial.id] == Backtest.Status.DONE:
                    trial.mark_tested()
            failpoint("batch-stored-in-transaction")
        self._bench.trials = [t for t in held if statuses[t.id] == Backtest.Status.RUNNING]
        for trial in self.trials:
            trial.found.clear()

    def _write(self, is_last: bool) -> dict[str, str]:
        values: dict[str, Any] = {
            "ids": [trial.id for trial in self.trials],
            "fences": [trial.fence for trial in self.trials],
            "counts": [canonical(trial.counts(self._oldest)) for trial in self.trials],
            "done": self.done,
            "total": self.done if is_last else max(self.done, self._total or 0),
            "cursor": self._cursor,
            "is_last": is_last,
            "lease_s": settings.COMMAND_LEASE_S,
        }
        return dict(sql.execute(_STORE, values).fetchall())

    def _put_back(self) -> None:
        """At once, and not only when the lease has ended."""
        with transaction.atomic():
            for trial in self._held():
                Backtest.objects.filter(pk=trial.id).update(
                    status=Backtest.Status.WAITING, lease_until=None
                )
            hear.tell([QUEUE])

    def _held(self) -> list[Trial]:
        ours = Backtest.objects.filter(
            pk__in=[trial.id for trial in self.trials], status=Backtest.Status.RUNNING
        )
        with transaction.atomic():
            fences = dict(ours.select_for_update().values_list("pk", "fence"))
        return [trial for trial in self.trials if fences.get(trial.id) == trial.fence]


# The fence: whoever was taken over from stores nothing. To have been cancelled wins over being done.
_STORE = """
    UPDATE orchestrator_backtest AS b
       SET counts = t.counts::jsonb, done = %(done)s::integer, total = %(total)s::integer,
           cursor = %(cursor)s::text,
           status = CASE WHEN b.cancel_asked THEN 'cancelled'
                         WHEN %(is_last)s::boolean THEN 'done' ELSE 'running' END,
           ended_at = CASE WHEN b.cancel_asked OR %(is_last)s::boolean THEN statement_timestamp() END,
           lease_until = CASE WHEN NOT b.cancel_asked AND NOT %(is_last)s::boolean
                              THEN statement_timestamp() + make_interval(secs => %(lease_s)s::integer) END
      FROM unnest(%(ids)s::text[], %(fences)s::integer[], %(counts)s::text[]) AS t(id, fence, counts)
     WHERE b.id = t.id AND b.fence = t.fence AND b.status = 'running'
    RETURNING b.id, b.status
"""


def _legible(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".replace("\x00", "")[:REASON_LENGTH_MAX]
