"""Evaluation policies: immutable versions of the terms of one scope, of which one is in force.

A version is drafted, backtested and then asked to become active, as rules are: another admin
countersigns it (see `actions/changes`). Numbers count the versions of all scopes.
"""

import math
import re
from collections.abc import Sequence

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from orchestrator.actions import thresholds
from orchestrator.actions.actor import Actor, audit, require
from orchestrator.agents import registry
from orchestrator.core.errors import BadInput, NotFound, PolicyChanged, StageWrong
from orchestrator.core.policy import terms as words
from orchestrator.core.policy.evaluation import Bands
from orchestrator.core.policy.terms import Scope, Terms, Validator
from orchestrator.models import Backtest, ContractVersion, EvaluationPolicy

NAME_LENGTH_MAX = 100
NOTE_LENGTH_MAX = 5_000
RUBRIC_LENGTH_MAX = 10_000
MONEY_MICROS_MAX = 10**15
# A name goes into journals, reasons and addresses.
VALIDATOR_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,49}")

Stage = EvaluationPolicy.Stage


@transaction.atomic
def draft(
    actor: Actor, scope: Scope, terms: Terms, *, note: str = "", base: int | None = None
) -> EvaluationPolicy:
    """A new version for a scope, checked to work. It decides nothing until it is activated.

    Saying again what the newest version of the scope says gives that version. `base` is the newest
    version that the writer knew, 0 for none; somebody else's in between is not buried under theirs.
    """
    require(actor, "policies.edit", "write policies")
    check(scope, terms)
    _check_text("note", note, NOTE_LENGTH_MAX)
    _take_turns()
    newest = versions_of(scope).order_by("-number").first()
    known = newest.number if newest else 0
    if base is not None and base != known:
        raise PolicyChanged(scope=str(scope), seen=base, current=known)
    content = words.content_hash(scope, terms)
    if newest is not None and newest.digest == content:
        return newest
    policy = EvaluationPolicy.objects.create(
        number=_last_number() + 1,
        agent=scope.agent,
        agent_version=scope.agent_version,
        action=scope.action,
        tier=scope.tier,
        accept_above=terms.bands.accept_above,
        escalate_at_or_below=terms.bands.escalate_at_or_below,
        score=terms.score,
        target_error=terms.target_error,
        validators=[one.to_json() for one in terms.validators],
        content_hash=content,
        note=note,
        created_by=actor.user,
    )
    audit(actor, "policy.drafted", log_name(policy), scope=str(scope), note=note)
    return policy


@transaction.atomic
def activate(actor: Actor, policy: EvaluationPolicy) -> None:
    """From now on it decides about its scope; the one before is retired.

    People get here through `actions/changes` alone, which has somebody else agree first.
    """
    policy = hold(policy)
    if policy.stage == Stage.ACTIVE:
        return
    before = active_version(policy.scope)
    if before is None and EvaluationPolicy.objects.active().count() >= settings.POLICIES_ACTIVE_MAX:
        raise BadInput(
            "policy", "POLICIES_ACTIVE_MAX policies are in force already; retire one first."
        )
    if before is not None:
        _move(before, Stage.RETIRED)
    EvaluationPolicy.objects.filter(pk=policy.pk).update(stage=Stage.ACTIVE, activated_at=Now())
    audit(actor, "policy.activated", log_name(policy), scope=str(policy.scope))


@transaction.atomic
def retire(actor: Actor, policy: EvaluationPolicy) -> None:
    """From now on a wider scope decides in its place. As with `activate`, somebody else agreed first."""
    policy = hold(policy)
    check_retirable(policy)
    if policy.stage == Stage.RETIRED:
        return
    _move(policy, Stage.RETIRED)
    audit(actor, "policy.retired", log_name(policy), scope=str(policy.scope))


def check_retirable(policy: EvaluationPolicy) -> None:
    """Something has to decide about everything that nothing else is for."""
    if not policy.scope.named:
        raise StageWrong(
            str(policy),
            policy.stage,
            "retire it",
            "It decides about whatever no other policy is for; activate another version instead.",
        )


def hold(policy: EvaluationPolicy) -> EvaluationPolicy:
    """As it is now, and nobody moves a stage meanwhile."""
    _take_turns()
    return EvaluationPolicy.objects.get(pk=policy.pk)


def policy_of(number: int) -> EvaluationPolicy:
    found = EvaluationPolicy.objects.select_related("created_by").filter(number=number).first()
    if found is None:
        raise NotFound("policy", str(number))
    return found


def versions_of(scope: Scope) -> QuerySet[EvaluationPolicy]:
    """Also of everything: what a scope leaves empty is part of it."""
    return EvaluationPolicy.objects.filter(
        agent=scope.agent,
        agent_version=scope.agent_version,
        action=scope.action,
        tier=scope.tier,
    )


def active_version(scope: Scope) -> EvaluationPolicy | None:
    return versions_of(scope).filter(stage=Stage.ACTIVE).first()


def newest_backtest(policy: EvaluationPolicy) -> Backtest | None:
    """The newest that came to its end."""
    return policy.backtests.filter(status=Backtest.Status.DONE).order_by("-pk").first()


def starting_terms(scope: Scope) -> Terms:
    """What decides about a scope so far, for whoever writes its first policy."""
    in_force = ((one.scope, one) for one in EvaluationPolicy.objects.active())
    found = words.most_specific(in_force, scope)
    if found is not None:
        return found.terms
    return Terms(bands=Bands(settings.ACCEPT_ABOVE, settings.ESCALATE_AT_OR_BELOW))


def validator_agents() -> list[str]:
    """Whom a validator can ask."""
    return registry.named()


def log_name(policy: EvaluationPolicy) -> str:
    """What the audit log calls it."""
    return f"policy/{policy.number}"


# What may be said -----------------------------------------------------------------------------


def check(scope: Scope, terms: Terms) -> None:
    _check_scope(scope)
    _check_bands(terms)
    if terms.score not in words.SCORES:
        raise BadInput("score", f"choose among {', '.join(words.SCORES)}.")
    if terms.target_error is not None and not 0 < terms.target_error < 1:
        raise BadInput("target_error", "give a share between 0 and 1, such as 0.02, or none.")
    _check_validators(terms.validators)


def _check_scope(scope: Scope) -> None:
    for name, value in scope.named.items():
        _check_text(name, value, NAME_LENGTH_MAX)
        if value != value.strip():
            raise BadInput(name, "a name has no spaces around it.")
    if scope.tier and scope.tier not in ContractVersion.Tier.values:
        raise BadInput("tier", f"choose among {', '.join(ContractVersion.Tier.values)}, or none.")
    if scope.agent_version and not scope.agent:
        raise BadInput(
            "agent_version", "say of which agent; others may have a version of that name."
        )


def _check_bands(terms: Terms) -> None:
    bands = {
        "accept_above": terms.bands.accept_above,
        "escalate_at_or_below": terms.bands.escalate_at_or_below,
    }
    for name, value in bands.items():
        if not math.isfinite(value) or not 0 <= value <= 1:
            raise BadInput(name, "give a number from 0 to 1, such as 0.9.")
    if terms.bands.escalate_at_or_below >= terms.bands.accept_above:
        raise BadInput(
            "escalate_at_or_below",
            "it must be lower than the line to accept; between the two lies the revise band.",
        )


def _check_validators(validators: Sequence[Validator]) -> None:
    if len(validators) > settings.POLICY_VALIDATORS_MAX:
        raise BadInput(
            "validators", f"at most {settings.POLICY_VALIDATORS_MAX} (POLICY_VALIDATORS_MAX)."
        )
    names = [one.name for one in validators]
    for place, one in enumerate(validators):
        _check_validator(f"validators/{place}", one)
        if one.name in names[:place]:
            raise BadInput(f"validators/{place}/name", f"{one.name} is the name of another one.")


def _check_validator(place: str, validator: Validator) -> None:
    if not VALIDATOR_NAME.fullmatch(validator.name):
        raise BadInput(
            f"{place}/name", "use 1 to 50 small letters, digits, hyphens and underscores."
        )
    known = registry.named()
    if validator.agent not in known:
        offered = ", ".join(known) or "none; AGENT_MODULES names the modules that bring some"
        raise BadInput(
            f"{place}/agent", f"no agent of that name is registered (there are: {offered})."
        )
    if not validator.rubric.strip():
        raise BadInput(f"{place}/rubric", "say by what it shall judge.")
    _check_text(f"{place}/rubric", validator.rubric, RUBRIC_LENGTH_MAX)
    longest = settings.VALIDATOR_TIMEOUT_MAX_S
    if not 1 <= validator.timeout_s <= longest:
        raise BadInput(
            f"{place}/timeout_s", f"give 1 to {longest} seconds (VALIDATOR_TIMEOUT_MAX_S)."
        )
    cap = validator.money_micros_max
    if cap is not None and not 0 <= cap <= MONEY_MICROS_MAX:
        raise BadInput(f"{place}/money_micros_max", "give a whole number of millionths, or none.")


def _check_text(name: str, text: str, length_max: int) -> None:
    if len(text) > length_max:
        raise BadInput(name, f"it has {len(text):,} characters, at most {length_max:,}.")
    if "\x00" in text:
        raise BadInput(name, "it holds the character NUL, which cannot be stored.")


def _take_turns() -> None:
    """Of two that change policies at once, the second waits. No proposal does: none needs this lock."""
    first = thresholds.first_policy()
    EvaluationPolicy.objects.select_for_update(no_key=True).get(pk=first.pk)


def _last_number() -> int:
    return EvaluationPolicy.objects.order_by("-number").values_list("number", flat=True)[0]


def _move(policy: EvaluationPolicy, stage: str) -> None:
    EvaluationPolicy.objects.filter(pk=policy.pk).update(stage=stage)
