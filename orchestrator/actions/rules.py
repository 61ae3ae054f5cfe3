"""Rules: immutable versions of a condition, one of them active."""

from collections.abc import Mapping, Sequence

from django.core.validators import slug_re
from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now

from orchestrator.actions.actor import Actor, audit
from orchestrator.core.codec import Json, canonical, digest
from orchestrator.core.errors import BadInput
from orchestrator.core.policy import guardrails
from orchestrator.models import Rule, RuleVersion


@transaction.atomic
def draft(
    actor: Actor,
    *,
    slug: str,
    title: str,
    effect: str,
    condition: str,
    message: str = "",
    applies_to: Mapping[str, Sequence[str]] | None = None,
    owner: str = "",
    note: str = "",
) -> RuleVersion:
    """A new version of the rule, checked to compile. It decides nothing until it is activated."""
    if not slug_re.fullmatch(slug):
        raise BadInput("slug", "use letters, digits, hyphens and underscores only.")
    if effect not in guardrails.EFFECTS:
        raise BadInput("effect", f"choose among {', '.join(guardrails.EFFECTS)}.")
    guardrails.compile_condition(condition)
    rule, _ = Rule.objects.get_or_create(slug=slug, defaults={"owner": owner})
    Rule.objects.select_for_update().get(pk=rule.pk)
    newest = rule.versions.aggregate(number=Max("number"))["number"] or 0
    scope: dict[str, Json] = {name: list(patterns) for name, patterns in (applies_to or {}).items()}
    content = canonical(
        {"effect": effect, "applies_to": scope, "require": condition, "message": message}
    )
    version = RuleVersion.objects.create(
        rule=rule,
        number=newest + 1,
        title=title,
        effect=effect,
        applies_to=scope,
        condition=condition,
        message=message,
        content_hash=digest(content),
        env_hash=guardrails.ENV_HASH,
        note=note,
        created_by=actor.user,
    )
    audit(actor, "rule.drafted", f"rule/{slug}", version=version.number, effect=effect)
    return version


@transaction.atomic
def activate(actor: Actor, version: RuleVersion) -> None:
    """From now on this version decides; the one before is retired."""
    Rule.objects.select_for_update().get(pk=version.rule_id)
    RuleVersion.objects.filter(rule_id=version.rule_id, stage=RuleVersion.Stage.ACTIVE).update(
        stage=RuleVersion.Stage.RETIRED
    )
    RuleVersion.objects.filter(pk=version.pk).update(
        stage=RuleVersion.Stage.ACTIVE, activated_at=Now()
    )
    audit(actor, "rule.activated", f"rule/{version.rule.slug}", version=version.number)
