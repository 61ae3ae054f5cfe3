"""Changes of Countersign itself are proposals: in the same queue, with four eyes, with their evidence.

Who asks is the person; what runs once another admin has agreed is the executor below. It applies
what was countersigned to the letter, or refuses when the rule has moved on since.
"""

from typing import Any

from django.db import transaction

from orchestrator.actions import effects, proposals, rules
from orchestrator.actions.actor import Actor, audit, require
from orchestrator.actions.proposals import Suggestion
from orchestrator.core.codec import Json
from orchestrator.core.errors import (
    BadInput,
    ChangeWaiting,
    CountersignError,
    EffectRefused,
    NotAllowed,
    NotFound,
    StageWrong,
)
from orchestrator.core.policy import changes
from orchestrator.effects.base import EffectCall
from orchestrator.failpoints import failpoint
from orchestrator.models import AuditEntry, Effect, Proposal, ReviewItem, Rule, RuleVersion

NOTE_LENGTH_MAX = 5_000
# In the audit log, with the effect: what tells a second call that the first one changed the rule.
MADE = "rule.change_made"
Stage = RuleVersion.Stage


def propose_activation(actor: Actor, version: RuleVersion, note: str) -> Proposal:
    """Ask that this version decides from now on. Its newest finished backtest goes along."""
    return _propose(actor, version, note, changes.ACTIVATE)


def roll_back(actor: Actor, version: RuleVersion, note: str) -> Proposal:
    """Ask that a version that decided before does so again. It was tested by having been in force."""
    require(actor, "rules.edit", "ask for a change of rules")
    if rules.version_of(version.rule.slug, version.number).activated_at is None:
        raise StageWrong(str(version), version.stage, "roll back to it", "It was never active.")
    return _propose(actor, version, note, changes.ACTIVATE)


def propose_retirement(actor: Actor, version: RuleVersion, note: str) -> Proposal:
    """Ask that the rule decides nothing any more."""
    return _propose(actor, version, note, changes.RETIRE)


def version_in(proposal: Proposal) -> RuleVersion:
    """The rule version that a proposed change is about."""
    return rules.version_of(str(proposal.args.get("rule")), int(proposal.args.get("version", 0)))


def check_author(actor: Actor, proposal: Proposal) -> None:
    """Whoever wrote a version may ask somebody else to agree to it, and not agree themselves."""
    if version_in(proposal).created_by == actor.user:
        raise NotAllowed(
            actor.name,
            "decide this",
            "They wrote this version of the rule; another admin must decide. "
            "An installation with one admin can set RULES_FOUR_EYES=0.",
        )


@transaction.atomic
def _propose(actor: Actor, version: RuleVersion, note: str, action: str) -> Proposal:
    require(actor, "rules.edit", "ask for a change of rules")
    if not 0 < len(note.strip()) <= NOTE_LENGTH_MAX:
        raise BadInput("note", f"say why, in 1 to {NOTE_LENGTH_MAX:,} characters.")
    if "\x00" in note:
        raise BadInput("note", "it holds the character NUL, which cannot be stored.")
    rule = Rule.objects.select_for_update().get(pk=version.rule_id)
    version = rules.version_of(rule.slug, version.number)
    _check_alone(rule)
    backtest = _evidence(version, action)
    active = RuleVersion.objects.active().filter(rule=rule).first()
    args: dict[str, Json] = {
        "rule": rule.slug,
        "version": version.number,
        "content_hash": version.content_hash,
        "instead_of": active.number if active else None,
    }
    if backtest:
        args["backtest"] = backtest
    return proposals.submit_change(
        actor,
        Suggestion(
            agent=actor.name,
            action=action,
            target=f"rule/{rule.slug}",
            args=args,
            workflow=changes.WORKFLOW,
            rationale=note.strip(),
        ),
    )


def _check_alone(rule: Rule) -> None:
    waiting = ReviewItem.objects.waiting().filter(
        kind=ReviewItem.Kind.RULE_CHANGE, proposal__target=f"rule/{rule.slug}"
    )
    item = waiting.first()
    if item is not None:
        raise ChangeWaiting(rule=rule.slug, item=item.pk)


def _evidence(version: RuleVersion, action: str) -> str:
    """The backtest that goes along, once the version may become what is asked for."""
    if action == changes.RETIRE:
        if version.stage != Stage.ACTIVE:
            raise StageWrong(str(version), version.stage, "retire it", "Only an active one can.")
        return ""
    if version.stage == Stage.ACTIVE:
        raise StageWrong(str(version), version.stage, "activate it", "It decides already.")
    backtest = rules.newest_backtest(version)
    if version.activated_at is None and (backtest is None or version.stage not in rules.TRIED):
        raise StageWrong(
            str(version), version.stage, "activate it", "It needs a finished backtest first."
        )
    return backtest.pk if backtest else ""


class Changes:
    """The executor. Its target is this very database, and calling it twice changes it once.

    That the version is as it was before says nothing: somebody may have gone back to it since.
    """

    def call(self, call: EffectCall) -> dict[str, Any]:
        with transaction.atomic():
            effect = Effect.objects.select_related("decision__reviewer").get(pk=call.key)
            if effect.decision is None:
                raise EffectRefused("nobody countersigned it")
            version = _hold(call.args)
            if not _is_made(effect, call.target):
                _check_unmoved(version, call.args["instead_of"])
                self._make(Actor(effect.decision.reviewer), version, call)
            failpoint("change-made-in-transaction")
        failpoint("change-made-not-recorded")
        return {"target": call.target, "version": version.number, "change": call.action}

    def _make(self, actor: Actor, version: RuleVersion, call: EffectCall) -> None:
        make = {changes.ACTIVATE: rules.activate, changes.RETIRE: rules.retire}.get(call.action)
        if make is None:
            raise EffectRefused(f"{call.action} is no change that this version knows")
        try:
            make(actor, version)
        except CountersignError as error:
            # A refusal, and not a call of which nobody knows whether it did something.
            raise EffectRefused(str(error)) from error
        audit(actor, MADE, call.target, effect=call.key, version=version.number)


def _hold(args: dict[str, Any]) -> RuleVersion:
    """The version that was countersigned, and nobody else changes its rule meanwhile."""
    rule = Rule.objects.select_for_update().filter(slug=args["rule"]).first()
    if rule is None:
        raise EffectRefused(f"there is no rule {args['rule']}")
    try:
        version = rules.version_of(rule.slug, args["version"])
    except NotFound as error:
        raise EffectRefused(str(error)) from error
    if version.content_hash != args["content_hash"]:
        raise EffectRefused("the version does not say what was countersigned")
    return version


def _is_made(effect: Effect, target: str) -> bool:
    entries = AuditEntry.objects.filter(object_id=target, verb=MADE, detail__effect=effect.pk)
    return entries.exists()


def _check_unmoved(version: RuleVersion, instead_of: int | None) -> None:
    active = RuleVersion.objects.active().filter(rule=version.rule_id).first()
    number = active.number if active else None
    if number not in {instead_of, version.number}:
        raise EffectRefused(f"version {number} became active meanwhile; look at it and ask again")


EXECUTORS = {effects.CHANGES: Changes()}
