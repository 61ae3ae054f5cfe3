"""Commands that cost every worker its lease: set apart, so that they do not meet them all."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from orchestrator.core import events as ev
from orchestrator.core.codec import Json, read
from orchestrator.core.commands import (
    CancelRun,
    Dispose,
    RollBack,
    RunEffect,
    RunShadow,
    TellParent,
    Validate,
)
from orchestrator.engine import asking, validate
from orchestrator.engine.advance import Step, advance
from orchestrator.engine.opening import open_item
from orchestrator.engine.unsettled import not_undone, without_receipt
from orchestrator.models import AuditEntry, Command, Effect, ReviewItem, Run

# Rung for so long ago that the sweeper rings at once.
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def set_apart() -> int:
    """Put before a person what crashed too often. Nothing else of its run is held up."""
    found = list(_stuck().order_by("pk")[: settings.SWEEP_BATCH])
    return sum(_set_apart(command) for command in found)


def _set_apart(command: Command) -> int:
    """One whose run is busy just now has its turn at the next sweep."""
    with transaction.atomic():
        runs = Run.objects.select_for_update(of=("self",), skip_locked=True)
        if not runs.filter(pk=command.run_id):
            return 0
        if command.kind == Validate.kind:
            _fail_validation(command)
        elif command.kind == RunShadow.kind:
            _drop(command)
        elif _stuck().filter(pk=command.pk).update(status=Command.Status.QUARANTINED):
            _ask(command)
    return 1


def _fail_validation(command: Command) -> None:
    """Nobody has to be asked about the command: the proposal itself goes before a person."""
    reason = f"workers stopped {command.crashes} times while asking it"
    error: dict[str, Json] = {"code": "workers-stopped", "reason": reason, "retryable": False}
    failed = _stuck().filter(pk=command.pk)
    if not failed.update(status=Command.Status.FAILED, error=error, finished_at=Now()):
        return
    payload: Any = read(command.payload)
    event = validate.given_up(payload, error)
    advance(each=[Step(command.run_id, event, key=f"cmd:{command.pk}")])


def _drop(command: Command) -> None:
    """Nobody waits for what a shadow says."""
    reason = f"workers stopped {command.crashes} times while asking it"
    error: dict[str, Json] = {"code": "workers-stopped", "reason": reason, "retryable": False}
    _stuck().filter(pk=command.pk).update(
        status=Command.Status.FAILED, error=error, finished_at=Now()
    )


def _stuck() -> QuerySet[Command]:
    return Command.objects.filter(
        status=Command.Status.PENDING, crashes__gte=settings.COMMAND_CRASHES_MAX
    )


def _ask(command: Command) -> None:
    reason = (
        f"workers stopped {command.crashes} times while running it, or it takes longer than its "
        "lease; it is not tried again until somebody says so"
    )
    open_item(
        command.run,
        ReviewItem.Kind.STUCK_COMMAND,
        command=command,
        because=[reason],
        due_at=timezone.now() + timedelta(hours=settings.REVIEW_DUE_HOURS),
    )
    AuditEntry.objects.create(
        verb="command.quarantined", object_id=command.run_id, detail={"command": command.pk}
    )


def release(command: Command, *, again: bool, by: str, note: str) -> None:
    """A person has decided: once more, or not at all. The caller holds the run."""
    command = Command.objects.select_for_update(of=("self",)).get(pk=command.pk)
    if command.status != Command.Status.QUARANTINED:
        return
    if again:
        Command.objects.filter(pk=command.pk).update(
            status=Command.Status.PENDING, crashes=0, not_before=Now(), rung_at=LONG_AGO
        )
        return
    error: dict[str, Json] = {
        "code": "given-up",
        "who": by,
        "reason": f"{by} gave it up: {note}",
        "retryable": False,
    }
    Command.objects.filter(pk=command.pk).update(
        status=Command.Status.FAILED, error=error, finished_at=Now()
    )
    if command.kind == CancelRun.kind:
        # That one runs on to its own end, and nobody waits for it.
        return
    found = read(command.payload)
    payload = found if isinstance(found, dict) else {}
    # A run that waits for this one hears that it will never be told.
    hears = str(payload["parent"]) if command.kind == TellParent.kind else command.run_id
    step = Step(hears, _given_up(command, payload, error), key=f"cmd:{command.pk}")
    advance(each=[step])


def _given_up(command: Command, payload: dict[str, Json], error: dict[str, Json]) -> ev.Event:
    """If a target was being called, nobody knows what happened there."""
    if command.kind == TellParent.kind:
        work = str(payload["work"])
        return ev.ChildEnded(work=work, run=command.run_id, status="failed", error=error)
    if command.kind == RunEffect.kind:
        effect = Effect.objects.get(pk=payload["effect"])
        lost = effect.may_have_happened or effect.status == Effect.Status.CALLING
        return without_receipt(effect, error, lost=lost)
    if command.kind == RollBack.kind:
        effect = Effect.objects.get(pk=payload["effect"])
        return not_undone(effect, error)
    if command.kind == Dispose.kind:
        return ev.ProposalWithdrawn(
            proposal=str(payload["proposal"]), reason=str(error.get("reason", ""))
        )
    if payload.get("ask"):
        return asking.refused(payload, error)
    return ev.WorkFailed(
        work=str(payload["work"]),
        attempt=int(str(payload.get("attempt", 1))),
        index=int(str(payload.get("index", 0))),
        visit=int(str(payload.get("visit", 0))),
        turn=int(str(payload.get("turn", 1))),
        error=error,
    )
