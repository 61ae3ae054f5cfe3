"""People say where a request should have gone. It changes nothing of the run; it is how routers are judged."""

from typing import cast

from django.contrib.auth.models import User
from django.db import transaction

from orchestrator.actions.actor import Actor, audit, require
from orchestrator.core.errors import BadInput, NotFound
from orchestrator.engine.plans import plan_of
from orchestrator.models import RouteCorrection, RouteDecision

NOTE_LENGTH_MAX = 1_000


@transaction.atomic
def correct(actor: Actor, run_id: str, *, worker: str, note: str) -> RouteCorrection:
    """The worker that was chosen may be named as well: then somebody looked, and it was right."""
    require(actor, "routes.correct", "say where a request should have gone")
    decision = _lock(run_id)
    _check(decision, worker, note.strip())
    said = RouteCorrection.objects.create(
        decision=decision, worker=worker, note=note.strip(), by=cast(User, actor.user)
    )
    RouteDecision.objects.filter(pk=decision.pk).update(should_be=worker)
    audit(
        actor,
        "route.corrected",
        decision.pk,
        chosen=decision.worker,
        should_be=worker,
        note=note.strip(),
    )
    return said


def _lock(run_id: str) -> RouteDecision:
    found = RouteDecision.objects.select_for_update().filter(pk=run_id).first()
    if found is None:
        raise NotFound("routing decision", run_id[:100])
    return found


def _check(decision: RouteDecision, worker: str, note: str) -> None:
    router = plan_of(decision.version_id).router
    if router is None or worker not in router.workers:
        raise BadInput("worker", "choose one of the workers of this version.")
    if len(note) > NOTE_LENGTH_MAX:
        raise BadInput("note", f"say it in at most {NOTE_LENGTH_MAX:,} characters.")
    if worker != decision.worker and not note:
        raise BadInput("note", "say why it should have gone there.")
