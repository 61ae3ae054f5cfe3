"""Runs: started, told something, cancelled; and runs that start runs."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from orchestrator.actions import workflows
from orchestrator.actions.actor import Actor, audit, audit_many
from orchestrator.core import budgets, definitions, schemas
from orchestrator.core import events as ev
from orchestrator.core.codec import Json, canonical, read
from orchestrator.core.errors import BadInput, IllegalTransition, QueueFull
from orchestrator.core.handing import fill_in, places
from orchestrator.core.plan import Plan
from orchestrator.core.state import RunState
from orchestrator.engine import tainting
from orchestrator.engine.advance import Step, advance, complete
from orchestrator.engine.claim import Claimed
from orchestrator.engine.plans import definition_of, plan_of
from orchestrator.engine.tainting import NOTHING, Heard
from orchestrator.failpoints import failpoint
from orchestrator.models import Command, Event, Run, WorkflowVersion
from orchestrator.models.ids import new_id
from orchestrator.queries import output_of_run, said

# The number of the event that says what a run is for.
INTENT = 1
OPEN = (Run.Status.NEW, Run.Status.RUNNING, Run.Status.WAITING)
REASON_LENGTH_MAX = 1_000
NAME_LENGTH_MAX = 100
NOT_WAITED_FOR = "the run that started it waits for it no longer"
NOBODY = Actor(None)


@transaction.atomic
def start(
    actor: Actor, *, workflow: str, intent: Json, external_id: str = "", traceparent: str = ""
) -> Run:
    """A run of the newest version. When this returns, its first commands are stored."""
    version = workflows.newest_plan(workflow)
    _check_intent(version, intent)
    for queue in sorted(_queues(plan_of(version.pk))):
        check_room(queue)
    _check_open(actor, version)
    run = _begin(actor, version, intent, external_id=external_id, traceparent=traceparent)
    audit(actor, "run.started", run.pk, workflow=workflow, version=version.number)
    transaction.on_commit(lambda: failpoint("started-not-rung"))
    return run


def _queues(plan: Plan) -> set[str]:
    works = plan.works.values()
    members = {member.queue for work in works for member in work.members.values()}
    return {work.queue for work in works} | members | {"agents"}


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that happened outside, for a run that may be waiting for it."""

    run: str
    name: str
    data: Json = None
    # The words of somebody outside: followed into whatever the run proposes.
    is_untrusted: bool = False

    def event(self, by: str) -> ev.SignalReceived:
        said = tainting.of_signal(self.name, self.data) if self.is_untrusted else tainting.NOTHING
        return ev.SignalReceived(name=self.name, data=self.data, by=by, **said.to_json())


def signal(actor: Actor, run_id: str, *, name: str, data: Json, is_untrusted: bool = False) -> None:
    """Tell a run what it waits for. Raises IllegalTransition when it waits for something else."""
    refused = signal_many(actor, [Signal(run_id, name, data, is_untrusted)])
    if refused:
        raise refused[run_id]


def signal_many(actor: Actor, signals: Sequence[Signal]) -> dict[str, IllegalTransition]:
    """As they come from a stream or a webhook: one transaction, and one refusal holds up no other."""
    for one in signals:
        if not 0 < len(one.name) <= NAME_LENGTH_MAX:
            raise BadInput("name", f"give one of 1 to {NAME_LENGTH_MAX} characters.")
        if len(canonical(one.data).encode()) > settings.SHORT_OUTPUT_BYTES_MAX:
            most = f"{settings.SHORT_OUTPUT_BYTES_MAX:,}"
            raise BadInput("data", f"a signal may bring at most {most} bytes.")
    with transaction.atomic():
        steps = [Step(one.run, one.event(actor.name)) for one in signals]
        refused = advance(each=steps).refused_steps
        told = [one for one in signals if one.run not in refused]
        audit_many(actor, "run.signalled", {one.run: {"name": one.name} for one in told})
    return refused


def cancel(actor: Actor, run_id: str, *, reason: str) -> None:
    """Nothing new is begun; what agents are at work on is thrown away. What was accepted still runs."""
    if not 0 < len(reason.strip()) <= REASON_LENGTH_MAX:
        raise BadInput("reason", f"say why, in 1 to {REASON_LENGTH_MAX:,} characters.")
    event = ev.RunCancelled(by=actor.name, reason=reason.strip(), withdraws=True)
    with transaction.atomic():
        advance([Step(run_id, event)])
        audit(actor, "run.cancelled", run_id, reason=event.reason)
        _cancel_children(actor, run_id, event)


def cancel_child(claimed: Claimed) -> None:
    """A run that the run above waits for no longer, and all that stand below it."""
    child = str(claimed.payload["run"])
    event = ev.RunCancelled(by=NOBODY.name, reason=NOT_WAITED_FOR, withdraws=True)
    with transaction.atomic():
        # First, since runs lock in the order of their ids, and a child is younger than its parent.
        complete(claimed)
        # One that has ended by itself may have left runs behind that are meant to run on.
        if not advance(each=[Step(child, event)]).refused_steps:
            audit(NOBODY, "run.cancelled", child, reason=event.reason)
            _cancel_children(NOBODY, child, event)


def _cancel_children(actor: Actor, run_id: str, event: ev.RunCancelled) -> None:
    """Nobody would be told what they come to. One that has just ended by itself is no obstacle."""
    children = Run.objects.filter(parent=run_id, status__in=OPEN).order_by("pk")
    for child in children.values_list("pk", flat=True):
        if not advance(each=[Step(child, event)]).refused_steps:
            audit(actor, "run.cancelled", child, reason=event.reason)
        _cancel_children(actor, child, event)


def check_room(queue: str) -> None:
    """Refuse while too much waits: what is accepted is never dropped."""
    waiting = Command.objects.filter(queue=queue, status=Command.Status.PENDING)
    pending = waiting[: settings.QUEUE_PENDING_MAX].count()
    if pending >= settings.QUEUE_PENDING_MAX:
        raise QueueFull(queue, pending)


def start_child(claimed: Claimed) -> None:
    """A run that another run waits for. Both are told of each other in one transaction."""
    parent = Run.objects.select_related("workflow_version__workflow").get(pk=claimed.run)
    version = workflows.newest_plan(claimed.payload["workflow"])
    intent = handed_on(claimed, parent)
    _check_intent(version, intent)
    state = parent.canonical_state
    heard = tainting.of_run(parent.pk, state)
    run = new_id("run")
    with transaction.atomic():
        index = claimed.payload.get("index", 0)
        event = ev.ChildStarted(
            work=claimed.payload["work"], run=run, visit=claimed.payload["visit"], index=index
        )
        complete(claimed, event)
        _begin(
            Actor(parent.started_by, parent.token),
            version,
            intent,
            pk=run,
            parent=parent,
            parent_work=claimed.payload["work"],
            parent_index=index,
            lineage=_lineage(parent),
            delegations=budgets.delegations_below(plan_of(parent.workflow_version_id), state),
            heard=heard,
            classes=classes_of(parent, state),
        )
        transaction.on_commit(lambda: failpoint("child-started-not-told"))


def tell_parent(claimed: Claimed) -> None:
    """Runs lock in the order of their ids; a parent is older than its child."""
    child = Run.objects.select_related("workflow_version").get(pk=claimed.run)
    state = child.canonical_state
    output = output_of_run(child, state) if state.status == "completed" else None
    ended = ev.ChildEnded(
        work=claimed.payload["work"],
        run=child.pk,
        status=state.status,
        output=output,
        error=dict(state.error) if state.error else None,
        index=claimed.payload.get("index", 0),
        tokens=state.spent.tokens,
        money_micros=state.spent.money_micros,
        unpriced=state.spent.unpriced,
        **tainting.of_run(child.pk, state).to_json(),
        classes=classes_of(child, state),
    )
    most = settings.SHORT_OUTPUT_BYTES_MAX
    if len(canonical(output).encode()) > most:
        error: dict[str, Json] = {
            "code": "too-large",
            "reason": f"what it said is over {most:,} bytes",
        }
        ended = replace(ended, status="failed", output=None, error=error)
    parent = claimed.payload["parent"]
    with transaction.atomic():
        if advance(each=[Step(parent, ended, key=claimed.once)]).refused_steps:
            advance([Step(parent, _spent_by(ended), key=claimed.once)])
        complete(claimed)


def _spent_by(ended: ev.ChildEnded) -> ev.ChildSpent:
    """All that is left to say where nobody waits for it any more."""
    said = ("work", "run", "status", "tokens", "money_micros", "unpriced")
    return ev.ChildSpent(**{name: getattr(ended, name) for name in said})


def _begin(
    actor: Actor,
    version: WorkflowVersion,
    intent: Json,
    *,
    pk: str | None = None,
    external_id: str = "",
    parent: Run | None = None,
    parent_work: str = "",
    parent_index: int = 0,
    lineage: tuple[str, ...] = (),
    traceparent: str = "",
    delegations: int = -1,
    heard: Heard = NOTHING,
    classes: tuple[str, ...] = (),
) -> Run:
    run = Run.objects.create(
        pk=pk or new_id("run"),
        workflow_version=version,
        token=actor.token,
        started_by=actor.user,
        external_id=external_id,
        parent=parent,
    )
    pattern = str(definition_of(version.pk)["pattern"])
    started = ev.RunStarted(
        workflow=version.workflow.slug,
        version=version.number,
        pattern=pattern,
        definition=version.content_hash,
        intent=intent,
        by=actor.name,
        parent=parent.pk if parent else "",
        parent_work=parent_work,
        parent_index=parent_index,
        lineage=lineage,
        traceparent=traceparent,
        delegations=delegations,
        # Only its judge needs chance, in the order in which it hears the members.
        seed=_seed(run.pk) if pattern == "consensus" else 0,
        cancels_below=_starts_others(plan_of(version.pk)),
        withdraws=True,
        **heard.to_json(),
        classes=classes,
    )
    advance([Step(run.pk, started)])
    return run


def _starts_others(plan: Plan) -> bool:
    works = plan.works.values()
    return any(work.workflow or any(m.workflow for m in work.members.values()) for work in works)


def _seed(run: str) -> int:
    return int.from_bytes(hashlib.sha256(run.encode()).digest()[:6])


def _check_intent(version: WorkflowVersion, intent: Json) -> None:
    schema = definitions.intent_schema(definition_of(version.pk))
    problems = schemas.check(schema, intent) if schema is not None else []
    if problems:
        raise BadInput(f"intent{problems[0].pointer}", problems[0].reason)
    most = settings.SHORT_OUTPUT_BYTES_MAX
    if plan_of(version.pk).pattern == "machine" and len(canonical(intent).encode()) > most:
        raise BadInput("intent", f"a machine may be asked for at most {most:,} bytes.")


def _check_open(actor: Actor, version: WorkflowVersion) -> None:
    """No workflow and no token may fill the house: others need room too."""
    runs = Run.objects.filter(status__in=OPEN)
    _check_count(
        runs.filter(workflow_version__workflow=version.workflow),
        settings.RUNS_OPEN_PER_WORKFLOW_MAX,
        f"runs of {version.workflow.slug}",
    )
    if actor.token is not None:
        of_token = runs.filter(token=actor.token)
        _check_count(of_token, settings.RUNS_OPEN_PER_TOKEN_MAX, "runs of this token")


def _check_count(runs: QuerySet[Run], limit: int, what: str) -> None:
    if runs[:limit].count() >= limit:
        raise QueueFull(what, limit)


def classes_of(run: Run, state: RunState) -> tuple[str, ...]:
    """Of the data that it may hand on: what its definition says of any of its works, and what came in.

    Where nobody said anything it hands on none, and not DATA_CLASSES_DEFAULT either.
    """
    said = definitions.data_in(definition_of(run.workflow_version_id))
    return tuple(sorted(said.union(state.classes)))


def handed_on(claimed: Claimed, parent: Run) -> Json:
    """Its task, where it does a part. Else what the stage before said, and for the first the intent."""
    item = claimed.payload.get("item")
    if item:
        at = next(places(item))
        return fill_in(item, lambda seq: said(parent, [at])[0], {})
    where = next(iter(claimed.payload.get("inputs", {}).values()), INTENT)
    return said(parent, where) if isinstance(where, list) else said(parent, [where or INTENT])[0]


def _lineage(parent: Run) -> tuple[str, ...]:
    started = Event.objects.get(run=parent, seq=1)
    data = read(started.payload)
    above = data.get("lineage", []) if isinstance(data, dict) else []
    names = above if isinstance(above, list) else []
    return (*map(str, names), parent.workflow_version.workflow.slug)
