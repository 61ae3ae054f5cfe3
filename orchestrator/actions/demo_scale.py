"""A large demo: proposals over 180 days, in numbers that no agent could submit in an hour.

Past events cannot be appended through `journal_append`, which takes the present time alone. So this
is done like a migration, by the owner of the tables: set-based SQL that stores what the product
would have stored, with the same chains of hashes. No trigger, index or constraint is switched off.

It goes through the 180 days in stretches. A stretch is one transaction: it takes in the proposals
that came in it, and ends what people or the clock ended in it. So an interrupted load leaves an
instance that is whole, and is taken up where it stopped.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

from django.conf import settings
from django.db import connections, transaction
from django.db.backends.utils import CursorWrapper

from orchestrator.actions import thresholds
from orchestrator.actions.demo_scale_cast import WORKFLOW, Cast, gather
from orchestrator.actions.demo_scale_facts import DUE_MS, SPAN, Story, draw, prepare
from orchestrator.actions.demo_scale_rows import CLEAN, STATEMENTS
from orchestrator.core import events as ev
from orchestrator.core.codec import canonical
from orchestrator.core.errors import BadInput
from orchestrator.core.policy import auditing
from orchestrator.core.policy.terms import Scope
from orchestrator.grants import owner_alias
from orchestrator.models import AuditEntry, Event, WorkflowVersion

STRETCH = 20_000
DAYS = SPAN.days
COUNT_MAX = 10_000_000
SEED_MAX = 1_000_000
PLACE = "demo/scale"
# For the transaction alone. Statements that are run once are not worth compiling.
TUNED = "SET LOCAL work_mem = '256MB'; SET LOCAL jit = off; SET LOCAL synchronous_commit = off"
# What the planner has to know anew before the next statement, after which stage.
COUNTED: dict[str, LiteralString] = {
    "facts": "scale_fact",
    "runs": "orchestrator_run",
    "what happened": "scale_event",
    "chains": "scale_link",
}


@dataclass(frozen=True, slots=True)
class Progress:
    done: int
    count: int
    # Seconds of this call, and what it was just busy with.
    spent_s: float
    stage: str


type Say = Callable[[Progress], None]


def load(count: int, *, seed: int = 1, add: bool = False, say: Say = lambda progress: None) -> int:
    """Load so many proposals, or the rest of them; says how many that were."""
    _check(count, seed)
    story, done = _begin(count, seed, add)
    cast, began = gather(), time.monotonic()
    alias = owner_alias()
    with connections[alias].cursor() as cursor:
        prepare(cursor, cast, story)
        _take_up(cursor, story, done)
        for numbers in _stretches(done, count):
            with transaction.atomic(using=alias):
                for stage in _write(cursor, cast, story, numbers):
                    spent_s = time.monotonic() - began
                    say(Progress(numbers.start, count, spent_s, stage))
                _remember(alias, story, numbers.stop)
            say(Progress(numbers.stop, count, time.monotonic() - began, "stored"))
        say(Progress(count, count, time.monotonic() - began, "statistics"))
        cursor.execute("DISCARD TEMP")
        cursor.execute("ANALYZE")
    return count - done


def _check(count: int, seed: int) -> None:
    if not 1 <= count <= COUNT_MAX:
        raise BadInput("scale", f"use a whole number from 1 to {COUNT_MAX:,}.")
    if not 1 <= seed <= SEED_MAX:
        raise BadInput("seed", f"use a whole number from 1 to {SEED_MAX:,}.")


def _begin(count: int, seed: int, add: bool) -> tuple[Story, int]:
    """Where an interrupted load of the same goes on, or the beginning of a new one."""
    last = AuditEntry.objects.filter(object_id=PLACE).order_by("-pk").first()
    if last is not None and last.detail["done"] < last.detail["count"]:
        if (last.detail["count"], last.detail["seed"]) != (count, seed):
            raise BadInput(
                "scale",
                f"a load of {last.detail['count']:,} with seed {last.detail['seed']} was interrupted "
                f"after {last.detail['done']:,}. Nothing was changed. Give the same again to finish it.",
            )
        until = datetime.fromisoformat(last.detail["until"])
        return Story(count, seed, until), last.detail["done"]
    if last is not None and last.detail["seed"] == seed:
        raise BadInput("seed", f"the demo of seed {seed} is loaded already. Nothing was changed.")
    if not add and Event.objects.exists():
        raise BadInput(
            "scale",
            "this instance has a log already, and what is added would be dated before it: "
            "`manage.py verify` would name it as moved in time. Nothing was changed. Use an empty "
            "instance, or --yes-add if that does not matter here.",
        )
    return Story(count, seed, datetime.now(UTC).replace(microsecond=0)), 0


def _stretches(done: int, count: int) -> Iterator[range]:
    for first in range(done, count, STRETCH):
        yield range(first, min(first + STRETCH, count))


def _take_up(cursor: CursorWrapper, story: Story, done: int) -> None:
    """What came before and has not ended yet."""
    if done:
        window = story.moment_of(done)
        draw(cursor, story, range(story.first_at(window - DUE_MS), done))
        cursor.execute(CLEAN, {"window": window})


def _write(cursor: CursorWrapper, cast: Cast, story: Story, numbers: range) -> Iterator[str]:
    values = _values(cast, story, numbers)
    cursor.execute(TUNED)
    yield "facts"
    draw(cursor, story, numbers)
    cursor.execute("ANALYZE scale_fact")
    for stage, statement in STATEMENTS.items():
        yield stage
        cursor.execute(statement, values)
        if stage in COUNTED:
            cursor.execute(f"ANALYZE {COUNTED[stage]}")
    cursor.execute(CLEAN, values)


def _values(cast: Cast, story: Story, numbers: range) -> dict[str, Any]:
    policy = thresholds.policy_for(Scope())
    workflow = WorkflowVersion.objects.get(pk=cast.workflow_version)
    started = ev.RunStarted(
        workflow=WORKFLOW, version=workflow.number, pattern="direct", definition=cast.definition
    )
    return {
        "first": numbers.start,
        "window": story.moment_of(numbers.stop),
        "until_ms": story.moment_of(story.count),
        "hold": story.until + timedelta(minutes=settings.CLAIM_MINUTES),
        "version": workflow.pk,
        "workflow": WORKFLOW,
        "workflow_number": workflow.number,
        "started": canonical(ev.to_json(started)),
        "policy": policy.pk,
        "policy_number": policy.number,
        "token": cast.token.pk,
        "owner": cast.token.owner_id,
        "undo_s": settings.UNDO_S,
        "drawn": canonical([auditing.DRAWN]),
    }


def _remember(alias: str, story: Story, done: int) -> None:
    """In the transaction that stored it, so that a load that is taken up neither misses nor repeats."""
    AuditEntry.objects.using(alias).create(
        verb="demo.scaled",
        object_id=PLACE,
        detail={
            "count": story.count,
            "seed": story.seed,
            "until": story.until.isoformat(),
            "done": done,
        },
    )
