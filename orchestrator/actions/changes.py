"""Changes of Countersign itself are proposals: in the same queue, with four eyes, with their evidence.

Who asks is the person; what runs once another admin has agreed is the executor below. It applies
what was countersigned to the letter, or refuses when what it is about has moved on since.
"""

from typing import Any

from django.db import transaction

from orchestrator.actions import effects, proposals
from orchestrator.actions.actor import Actor, audit, require
from orchestrator.actions.change_subjects import Subject, Version, subject_in, subject_of
from orchestrator.actions.proposals import Suggestion
from orchestrator.core.codec import Json
from orchestrator.core.errors import (
    BadInput,
    ChangeWaiting,
    CountersignError,
    EffectRefused,
    NotFound,
    StageWrong,
)
from orchestrator.core.policy import changes
from orchestrator.effects.base import EffectCall
from orchestrator.failpoints import failpoint
from orchestrator.models import AuditEntry, Effect, Proposal, ReviewItem

NOTE_LENGTH_MAX = 5_000
ACTIVE = "active"


def propose_activation(actor: Actor, version: Version, note: str) -> Proposal:
    """Ask that this version decides from now on. Its newest finished backtest goes along."""
    subject = subject_of(version)
    return _propose(actor, subject, note, subject.activation)


@transaction.atomic
def roll_back(actor: Actor, version: Version, note: str) -> Proposal:
    """Ask that a version that decided before does so again. It was tested by having been in force."""
    subject = subject_of(version)
    _require_editor(actor, subject)
    subject.hold()
    if subject.version.activated_at is None:
        raise _stage_wrong(subject, "roll back to it", "It was never active.")
    return _propose(actor, subject, note, subject.activation)


def propose_retirement(actor: Actor, version: Version, note: str) -> Proposal:
    """Ask that it decides nothing any more."""
    subject = subject_of(version)
    return _propose(actor, subject, note, subject.retirement)


def version_in(proposal: Proposal) -> Version:
    """The version that a proposed change is about."""
    return subject_in(proposal.args).version


@transaction.atomic
def _propose(actor: Actor, subject: Subject, note: str, action: str) -> Proposal:
    _require_editor(actor, subject)
    if not 0 < len(note.strip()) <= NOTE_LENGTH_MAX:
        raise BadInput("note", f"say why, in 1 to {NOTE_LENGTH_MAX:,} characters.")
    if "\x00" in note:
        raise BadInput("note", "it holds the character NUL, which cannot be stored.")
    subject.hold()
    _check_alone(subject)
    backtest = _evidence(subject, action)
    active = subject.active()
    args: dict[str, Json] = {
        **subject.names,
        "content_hash": subject.digest,
        "instead_of": active.number if active else None,
    }
    if backtest:
        args["backtest"] = backtest
    return proposals.submit_change(
        actor,
        Suggestion(
            agent=actor.name,
            action=action,
            target=subject.target,
            args=args,
            workflow=changes.WORKFLOW,
            rationale=note.strip(),
        ),
    )


def _require_editor(actor: Actor, subject: Subject) -> None:
    require(actor, subject.capability, f"ask for a change of a {subject.noun}")


def _check_alone(subject: Subject) -> None:
    waiting = ReviewItem.objects.waiting().filter(
        kind=ReviewItem.Kind.RULE_CHANGE, proposal__target=subject.target
    )
    item = waiting.first()
    if item is not None:
        raise ChangeWaiting(subject=subject.target, item=item.pk)


def _evidence(subject: Subject, action: str) -> str:
    """The backtest that goes along, once the version may become what is asked for."""
    version = subject.version
    if action in changes.RETIREMENTS:
        if version.stage != ACTIVE:
            raise _stage_wrong(subject, "retire it", "Only an active one can.")
        subject.check_retirable()
        return ""
    if version.stage == ACTIVE:
        raise _stage_wrong(subject, "activate it", "It decides already.")
    backtest = subject.newest_backtest()
    if version.activated_at is None and (backtest is None or version.stage not in subject.tried):
        raise _stage_wrong(subject, "activate it", "It needs a finished backtest first.")
    return backtest.pk if backtest else ""


def _stage_wrong(subject: Subject, wish: str, advice: str) -> StageWrong:
    return StageWrong(str(subject.version), subject.version.stage, wish, advice)


class Changes:
    """The executor. Its target is this very database, and calling it twice changes it once.

    That the version is as it was before says nothing: somebody may have gone back to it since.
    """

    def call(self, call: EffectCall) -> dict[str, Any]:
        with transaction.atomic():
            effect = Effect.objects.select_related("decision__reviewer").get(pk=call.key)
            if effect.decision is None:
                raise EffectRefused("nobody countersigned it")
            subject = _hold(call.args)
            if not _is_made(effect, subject):
                _check_unmoved(subject, call.args["instead_of"])
                self._make(Actor(effect.decision.reviewer), subject, call)
            failpoint("change-made-in-transaction")
        failpoint("change-made-not-recorded")
        return {"target": call.target, "version": subject.version.number, "change": call.action}

    def _make(self, actor: Actor, subject: Subject, call: EffectCall) -> None:
        make = {subject.activation: subject.activate, subject.retirement: subject.retire}.get(
            call.action
        )
        if make is None:
            raise EffectRefused(f"{call.action} is no change that this version knows")
        try:
            make(actor)
        except CountersignError as error:
            # A refusal, and not a call of which nobody knows whether it did something.
            raise EffectRefused(str(error)) from error
        number = subject.version.number
        audit(actor, _made(subject), subject.log_name, effect=call.key, version=number)


def _hold(args: dict[str, Any]) -> Subject:
    """The version that was countersigned, and nobody else changes what it belongs to meanwhile."""
    try:
        subject = subject_in(args)
    except NotFound as error:
        raise EffectRefused(str(error)) from error
    subject.hold()
    if subject.digest != args["content_hash"]:
        raise EffectRefused("the version does not say what was countersigned")
    return subject


def _made(subject: Subject) -> str:
    """In the audit log, with the effect: what tells a second call that the first one made the change."""
    return f"{subject.noun}.change_made"


def _is_made(effect: Effect, subject: Subject) -> bool:
    entries = AuditEntry.objects.filter(object_id=subject.log_name, verb=_made(subject))
    return entries.filter(detail__effect=effect.pk).exists()


def _check_unmoved(subject: Subject, instead_of: int | None) -> None:
    active = subject.active()
    number = active.number if active else None
    if number not in {instead_of, subject.version.number}:
        raise EffectRefused(f"version {number} became active meanwhile; look at it and ask again")


EXECUTORS = {effects.CHANGES: Changes()}
