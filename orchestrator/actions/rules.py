"""Rules: immutable versions of a condition, of which one decides and one more may watch.

A version is drafted, backtested, perhaps tried in shadow, and then asked to become active. Asking is
a proposal in the same queue as everybody's: another admin countersigns it (see `actions/changes`).
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.validators import slug_re
from django.db import transaction
from django.db.models.functions import Now

from orchestrator.actions.actor import Actor, audit, require
from orchestrator.contract_queries import scope_of
from orchestrator.core.codec import Json, canonical, digest
from orchestrator.core.errors import BadInput, NotFound, RuleChanged, RuleInvalid, StageWrong
from orchestrator.core.policy import catalogue, guardrails, history
from orchestrator.models import Backtest, Rule, RuleVersion

# Pages of rules have these addresses.
TAKEN = frozenset({"new", "check", "suggestions", "evaluation-set"})
SCOPES = ("actions", "agents", "workflows", "tiers")
PATTERNS_MAX = 100
TEXT_LENGTH_MAX = {"title": 200, "message": 1_000, "owner": 100, "note": 5_000}
PATTERN_LENGTH_MAX = 100

Stage = RuleVersion.Stage
# From where a version may begin to watch, and from where it may ask to decide.
TRIED = (Stage.BACKTESTED, Stage.SHADOW)


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
    history: Mapping[str, Json] | None = None,
    owner: str = "",
    note: str = "",
    base: int | None = None,
) -> RuleVersion:
    """A new version of the rule, checked to work. It decides nothing until it is activated.

    Saying again what the newest version says gives that version. `base` is the newest version that
    the writer knew; somebody else's in between is not buried under theirs.
    """
    _require_editor(actor, "write rules")
    scope = _scope_of(applies_to or {})
    windows = dict(history or {})
    _check_words(title=title, message=message, owner=owner, note=note)
    _check_meaning(slug, effect, condition, windows)
    _check_fields(condition, scope, windows)
    rule = _lock(slug, owner)
    newest = rule.versions.order_by("-number").first()
    known = newest.number if newest else 0
    if base is not None and base != known:
        raise RuleChanged(slug=slug, seen=base, current=known)
    content = _digest_of(
        title=title,
        effect=effect,
        applies_to=scope,
        require=condition,
        message=message,
        history=windows,
    )
    _take_over(actor, rule, owner)
    if newest is not None and newest.content_hash == content:
        return newest
    version = RuleVersion.objects.create(
        rule=rule,
        number=known + 1,
        title=title,
        effect=effect,
        applies_to=scope,
        condition=condition,
        message=message,
        history=windows,
        content_hash=content,
        env_hash=guardrails.ENV_HASH,
        note=note,
        created_by=actor.user,
    )
    audit(actor, "rule.drafted", f"rule/{slug}", version=version.number, effect=effect, note=note)
    return version


@transaction.atomic
def start_shadow(actor: Actor, version: RuleVersion) -> None:
    """From now on it is asked about every proposal, and nothing follows from what it says."""
    _require_editor(actor, "try rules in shadow")
    version = hold(version)
    if version.stage == Stage.SHADOW:
        return
    if version.stage not in TRIED:
        raise StageWrong(str(version), version.stage, "shadow", "Backtest it first.")
    _leave_shadow(version.rule_id)
    _check_room(Stage.SHADOW)
    _move(version, Stage.SHADOW, shadowed_at=Now())
    audit(actor, "rule.shadowed", f"rule/{version.rule.slug}", version=version.number)


@transaction.atomic
def stop_shadow(actor: Actor, version: RuleVersion) -> None:
    """It is asked no more; what it said so far stays."""
    _require_editor(actor, "try rules in shadow")
    version = hold(version)
    if version.stage != Stage.SHADOW:
        raise StageWrong(str(version), version.stage, "leave shadow", "Only a shadow can.")
    _move(version, Stage.BACKTESTED)
    audit(actor, "rule.shadow_ended", f"rule/{version.rule.slug}", version=version.number)


@transaction.atomic
def activate(actor: Actor, version: RuleVersion) -> None:
    """From now on this version decides; the one before is retired.

    People get here through `actions/changes` alone, which has somebody else agree first.
    """
    version = hold(version)
    if version.stage == Stage.ACTIVE:
        return
    RuleVersion.objects.filter(rule_id=version.rule_id, stage=Stage.ACTIVE).update(
        stage=Stage.RETIRED
    )
    _check_room(Stage.ACTIVE)
    _move(version, Stage.ACTIVE, activated_at=Now())
    audit(actor, "rule.activated", f"rule/{version.rule.slug}", version=version.number)


@transaction.atomic
def retire(actor: Actor, version: RuleVersion) -> None:
    """From now on nothing is asked in its place. As with `activate`, somebody else agreed first."""
    version = hold(version)
    if version.stage == Stage.RETIRED:
        return
    _move(version, Stage.RETIRED)
    audit(actor, "rule.retired", f"rule/{version.rule.slug}", version=version.number)


def version_of(slug: str, number: int) -> RuleVersion:
    found = (
        RuleVersion.objects.select_related("rule").filter(rule__slug=slug, number=number).first()
    )
    if found is None:
        raise NotFound("rule version", f"{slug[:100]} v{number}")
    return found


def newest_backtest(version: RuleVersion) -> Backtest | None:
    """The newest that came to its end, of exactly this wording."""
    done = version.backtests.filter(status=Backtest.Status.DONE, content_hash=version.content_hash)
    return done.order_by("-pk").first()


def limits_of_history() -> history.Limits:
    return history.Limits(
        windows_max=settings.HISTORY_WINDOWS_MAX,
        within_max=timedelta(days=settings.HISTORY_WITHIN_MAX_DAYS),
    )


def _require_editor(actor: Actor, what: str) -> None:
    """Nobody in particular is whoever may run commands on this machine."""
    if actor.user is not None or actor.token is not None:
        require(actor, "rules.edit", what)


def _scope_of(applies_to: Mapping[str, Sequence[str]]) -> dict[str, Json]:
    """What it applies to, in one form: names in order, and nothing said about what is everything."""
    for name in applies_to:
        if name not in SCOPES:
            raise BadInput(f"applies_to/{name}", f"choose among {', '.join(SCOPES)}.")
    return {
        name: list(patterns)
        for name in SCOPES
        if (patterns := _patterns_of(name, applies_to.get(name, ("*",)))) != ["*"]
    }


def _patterns_of(name: str, patterns: Any) -> list[str]:
    if not isinstance(patterns, Sequence) or isinstance(patterns, str) or not patterns:
        raise BadInput(f"applies_to/{name}", "give a list of at least one name; * is everything.")
    if len(patterns) > PATTERNS_MAX:
        raise BadInput(f"applies_to/{name}", f"at most {PATTERNS_MAX} names.")
    for pattern in patterns:
        if not isinstance(pattern, str) or not 0 < len(pattern) <= PATTERN_LENGTH_MAX:
            raise BadInput(
                f"applies_to/{name}", f"a name is a text of 1 to {PATTERN_LENGTH_MAX} characters."
            )
        if "\x00" in pattern or pattern != pattern.strip():
            raise BadInput(f"applies_to/{name}", "a name has no spaces around it and no NUL.")
        if "*" in pattern and pattern != "*" and not _is_family(pattern):
            raise BadInput(
                f"applies_to/{name}", f"{pattern!r}: a star stands alone or ends a family.*"
            )
    return ["*"] if "*" in patterns else list(dict.fromkeys(patterns))


def _is_family(pattern: str) -> bool:
    return pattern.endswith(".*") and "*" not in pattern[:-2] and len(pattern) > 2


def _check_words(**words: str) -> None:
    for name, text in words.items():
        if len(text) > TEXT_LENGTH_MAX[name]:
            raise BadInput(
                name, f"it has {len(text):,} characters, at most {TEXT_LENGTH_MAX[name]:,}."
            )
        if "\x00" in text:
            raise BadInput(name, "it holds the character NUL, which cannot be stored.")
    if not words["title"].strip():
        raise BadInput("title", "say in a few words what the rule is for.")


def _check_meaning(slug: str, effect: str, condition: str, windows: dict[str, Json]) -> None:
    if not slug_re.fullmatch(slug) or len(slug) > 100:
        raise BadInput("slug", "use 1 to 100 letters, digits, hyphens and underscores only.")
    if slug in TAKEN:
        raise BadInput("slug", f"{slug} is an address of its own; choose another name.")
    if effect not in guardrails.EFFECTS:
        raise BadInput("effect", f"choose among {', '.join(guardrails.EFFECTS)}.")
    guardrails.compile_condition(condition)
    history.read_windows(windows, limits_of_history())


def _check_fields(condition: str, scope: Mapping[str, Any], windows: Mapping[str, Json]) -> None:
    """A field that the contracts of its actions do not know is a slip of the pen, and would hold everything."""
    promised = scope_of(scope.get("actions", ())).promised
    for problem in guardrails.problems_of(condition, catalogue.fields_for(promised, windows)):
        if problem.severity == "error":
            hint = f". {problem.suggestion}" if problem.suggestion else ""
            raise RuleInvalid(problem.reason + hint, problem.line, problem.column)


def _lock(slug: str, owner: str) -> Rule:
    """Of two that write at once, the second waits and then takes the next number."""
    if not Rule.objects.filter(slug=slug).exists():
        if Rule.objects.count() >= settings.RULES_MAX:
            raise BadInput("slug", f"{slug} is new, and RULES_MAX rules exist already.")
        Rule.objects.get_or_create(slug=slug, defaults={"owner": owner})
    return Rule.objects.select_for_update().get(slug=slug)


def _take_over(actor: Actor, rule: Rule, owner: str) -> None:
    if owner and owner != rule.owner:
        Rule.objects.filter(pk=rule.pk).update(owner=owner)
        audit(actor, "rule.owner_changed", f"rule/{rule.slug}", before=rule.owner, after=owner)


def _digest_of(**content: Json) -> str:
    return digest(canonical(content))


def hold(version: RuleVersion) -> RuleVersion:
    """The rule first, then the version as it is now: stages of one rule move one after the other."""
    Rule.objects.select_for_update().get(pk=version.rule_id)
    return RuleVersion.objects.select_related("rule").get(pk=version.pk)


def _check_room(stage: Stage) -> None:
    """Each version that is asked costs every proposal its time, whether it decides or watches."""
    if RuleVersion.objects.filter(stage=stage).count() >= settings.RULES_ACTIVE_MAX:
        raise BadInput("rule", f"RULES_ACTIVE_MAX rules are {stage} already; take one out first.")


def _leave_shadow(rule_id: int) -> None:
    RuleVersion.objects.filter(rule_id=rule_id, stage=Stage.SHADOW).update(stage=Stage.BACKTESTED)


def _move(version: RuleVersion, stage: Stage, **times: Any) -> None:
    RuleVersion.objects.filter(pk=version.pk).update(stage=stage, **times)
