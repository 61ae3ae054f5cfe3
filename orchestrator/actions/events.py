"""Events from outside: taken in once, and from there to a run, or to the dead letters with the reason."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from orchestrator.actions import contracts, routing, runs
from orchestrator.actions.actor import Actor
from orchestrator.core.cloud_events import Envelope
from orchestrator.core.errors import CountersignError, NotFound, QueueFull
from orchestrator.core.policy import routing as router
from orchestrator.core.policy.contracts import misfits
from orchestrator.core.policy.masking import mask_text, secrets_of
from orchestrator.failpoints import failpoint
from orchestrator.models import Contract, ContractVersion, InboundEvent, RouteTable, Run

Reason = InboundEvent.Reason
DETAIL_LENGTH_MAX = 2_000
# Clocks differ. An event from further ahead would never be late.
AHEAD_S_MAX = 300
NUMBER_DIGITS_MAX = 9
_UNITS = (("days", 86_400), ("hours", 3_600), ("minutes", 60))


class Received(NamedTuple):
    """`differs`: it came before, and said something else then."""

    event: InboundEvent
    is_new: bool
    differs: bool = False


@dataclass(frozen=True, slots=True)
class _Fate:
    """What becomes of an event, and how far it came. Without a reason it has a run."""

    reason: str = ""
    detail: str = ""
    contract: ContractVersion | None = None
    table: RouteTable | None = None
    route: str = ""
    run: Run | None = None


def receive(actor: Actor, envelope: Envelope) -> Received:
    """Stored and handed on in one transaction. What was delivered before has no effect."""
    with transaction.atomic():
        _lock(envelope)
        known = _known(envelope)
        if known is not None:
            return Received(known, is_new=False, differs=known.digest != envelope.digest)
        event = take_in(actor, envelope)
        failpoint("event-taken-in-transaction")
        return Received(event, is_new=True)


def take_in(
    actor: Actor, envelope: Envelope, *, replaces: InboundEvent | None = None
) -> InboundEvent:
    """In the caller's transaction. An event that somebody sends again is never too late."""
    if replaces is not None:
        # Whoever sent it stays a party to what follows: they cannot approve what comes of it.
        actor = Actor(actor.user, replaces.token)
    fate = _decide(actor, envelope, may_be_late=replaces is not None)
    if fate.reason and replaces is None:
        _check_room(actor)
    return InboundEvent.objects.create(
        source=envelope.source,
        source_id=envelope.id,
        type=envelope.type,
        contract_version=fate.contract,
        envelope=envelope.text,
        digest=envelope.digest,
        status=InboundEvent.Status.DEAD if fate.reason else InboundEvent.Status.ROUTED,
        reason=fate.reason,
        detail=fate.detail[:DETAIL_LENGTH_MAX],
        routes=fate.table,
        route=fate.route,
        run=fate.run,
        token=actor.token,
        replaces=replaces,
        occurred_at=envelope.occurred_at,
    )


def _check_room(actor: Actor) -> None:
    """Whoever sends nonsense is told so and heard no more, before it fills the database. Others are."""
    dead = InboundEvent.objects.filter(status=InboundEvent.Status.DEAD, token=actor.token)
    waiting = dead[: settings.DEAD_LETTERS_MAX].count()
    if waiting >= settings.DEAD_LETTERS_MAX:
        raise QueueFull("dead letters", waiting, retry_after_s=60)


def _known(envelope: Envelope) -> InboundEvent | None:
    """The first delivery, with what its answer says."""
    related = ("contract_version", "routes", "run__workflow_version__workflow")
    deliveries = InboundEvent.objects.filter(
        source=envelope.source, source_id=envelope.id, replaces=None
    )
    return deliveries.select_related(*related).first()


def _decide(actor: Actor, envelope: Envelope, *, may_be_late: bool) -> _Fate:
    fate = _find_contract(envelope)
    if fate.contract is None:
        return fate
    problem = _problem_of(envelope, fate.contract, timezone.now(), may_be_late=may_be_late)
    if problem is not None:
        return replace(fate, reason=problem[0], detail=problem[1])
    table = routing.newest_table()
    fate = replace(fate, table=table)
    found = router.route(routing.routes_of(table), envelope.attributes, envelope.data)
    if isinstance(found, router.Dead):
        return replace(fate, reason=found.reason, detail=_masked(envelope, fate, found.detail))
    return _start(actor, envelope, replace(fate, route=found.route), found.workflow)


def _find_contract(envelope: Envelope) -> _Fate:
    newest = contracts.newest(Contract.Kind.EVENT, envelope.type)
    if newest is None:
        return _Fate(Reason.UNKNOWN_TYPE, f"no contract describes events of type {envelope.type}")
    number = _number(envelope.version) if envelope.version else newest.number
    if number == newest.number:
        return _Fate(contract=newest)
    try:
        return _Fate(contract=contracts.version(Contract.Kind.EVENT, envelope.type, number))
    except NotFound:
        detail = f"version {envelope.version} is not known; the newest is {newest.number}"
        return _Fate(Reason.UNKNOWN_VERSION, detail)


def _number(version: str) -> int:
    """0 for what is no number; versions are counted from 1."""
    is_number = version.isascii() and version.isdecimal() and len(version) <= NUMBER_DIGITS_MAX
    return int(version) if is_number else 0


def _problem_of(
    envelope: Envelope, contract: ContractVersion, now: datetime, *, may_be_late: bool
) -> tuple[str, str] | None:
    problems = misfits(contract.schema, envelope.data, contract.masked)
    if problems:
        more = f" (and {len(problems) - 1} more)" if problems[1:] else ""
        return Reason.INVALID, f"data{problems[0].pointer}: {problems[0].reason}{more}"
    if envelope.occurred_at is None:
        return None
    age = (now - envelope.occurred_at).total_seconds()
    if age < -AHEAD_S_MAX:
        return Reason.INVALID, f"time: it is {_lasting(-age)} ahead of the clock here"
    if age > contract.timeout_s and not may_be_late:
        allowed = _lasting(contract.timeout_s)
        return Reason.LATE, f"it came {_lasting(age)} after its time; its contract allows {allowed}"
    return None


def _masked(envelope: Envelope, fate: _Fate, detail: str) -> str:
    """Without the values that the contract of the event hides."""
    pointers = fate.contract.masked if fate.contract else ()
    return mask_text(detail, secrets_of(envelope.data, pointers))


def _lasting(seconds: float) -> str:
    for name, size in _UNITS:
        if seconds > size:
            return f"{seconds / size:,.1f}".removesuffix(".0") + f" {name}"
    return f"{seconds:.0f} s"


def _start(actor: Actor, envelope: Envelope, fate: _Fate, workflow: str) -> _Fate:
    """A run that is refused leaves nothing behind but the dead letter."""
    try:
        with transaction.atomic():
            run = runs.start(
                actor, workflow=workflow, intent=envelope.data, external_id=envelope.id
            )
    except QueueFull as error:
        detail = f"{error.queue}: {error.pending:,} are waiting, as many as may"
        return replace(fate, reason=Reason.OVER_CAP, detail=detail)
    except CountersignError as error:
        detail = _masked(envelope, fate, str(error))
        return replace(fate, reason=Reason.HANDLER, detail=f"{workflow}: {detail}")
    return replace(fate, run=run)


def _lock(envelope: Envelope) -> None:
    """Of two deliveries at once the second waits for the first, and then is a duplicate."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            [f"{envelope.source}\n{envelope.id}"],
        )
