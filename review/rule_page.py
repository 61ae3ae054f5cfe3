"""What the pages of rules show: the list, a rule, one version and what can be done with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from orchestrator import backtest_queries, rule_queries
from orchestrator.core.policy.compare import Comparison, compare
from orchestrator.core.policy.rule_text import document_of
from orchestrator.models import Backtest, Proposal, RuleVersion
from orchestrator.rule_queries import Figures
from review.access import may
from review.presentation.effects import OTHERWISE
from review.rule_forms import BacktestForm, CompareForm
from review.rule_trial import Trial
from review.rule_windows import WindowDraft, sentence_of, shown_windows
from review.version_way import moves_of, steps_of

VERSIONS_MAX = 100
BACKTESTS_MAX = 10
RECENT_MAX = 30
SCOPES = ("actions", "agents", "workflows", "tiers")
Stage = RuleVersion.Stage


# The list ---------------------------------------------------------------------------------------


_IS = {
    Stage.DRAFT: "is a draft",
    Stage.BACKTESTED: "is backtested",
    Stage.SHADOW: "watches",
    Stage.ACTIVE: "decides",
    Stage.RETIRED: "is retired",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One rule in the list, by the version that stands for it."""

    version: RuleVersion
    newest: RuleVersion
    figures: Figures
    is_stale: bool

    @property
    def newer(self) -> RuleVersion | None:
        """What was written since and does not decide yet."""
        return self.newest if self.newest.number > self.version.number else None

    @property
    def newer_is(self) -> str:
        return _IS[Stage(self.newest.stage)]

    @property
    def has_decided(self) -> bool:
        return self.version.activated_at is not None or bool(self.figures.objections)

    @property
    def hits(self) -> str:
        return f"{self.figures.hits:,}{'+' if self.figures.has_more else ''}"

    @property
    def rejection(self) -> str:
        found = self.figures.rejection
        return str(found) if found.n else ""

    @property
    def changed_by(self) -> str:
        return written_by(self.newest)


def lines_of(versions: Sequence[RuleVersion]) -> list[Line]:
    now = timezone.now()
    rules = [version.rule_id for version in versions]
    newest = rule_queries.newest_versions(rules)
    figures = rule_queries.figures_of(rules, now)
    return [
        Line(
            version,
            newest[version.rule_id],
            figures[version.rule_id],
            rule_queries.is_stale(version, figures[version.rule_id], now),
        )
        for version in versions
    ]


def written_by(version: RuleVersion) -> str:
    return version.created_by.get_username() if version.created_by else "Countersign"


# A version --------------------------------------------------------------------------------------


def wording(version: RuleVersion) -> dict[str, Any]:
    """What `rule_says.html` needs."""
    return {
        "version": version,
        "otherwise": OTHERWISE[version.effect],
        "scope": scope_of(version),
        "windows": windows_of(version),
    }


def scope_of(version: RuleVersion) -> list[tuple[str, Sequence[str]]]:
    """Empty patterns mean everything."""
    found = ((name, version.applies_to.get(name, [])) for name in SCOPES)
    return [
        (name.capitalize() if name != "tiers" else "Risk", () if patterns == ["*"] else patterns)
        for name, patterns in found
    ]


def windows_of(version: RuleVersion) -> list[tuple[WindowDraft, str]]:
    return [(window, sentence_of(window)) for window in shown_windows(version.history)]


def rule_facts(request: HttpRequest, version: RuleVersion) -> dict[str, Any]:
    """The page of a rule, by the version that stands for it."""
    (line,) = lines_of([version])
    versions = rule_queries.rule_versions(version.rule.slug, at_most=VERSIONS_MAX)
    return wording(version) | {
        "line": line,
        "standing": _standing(version),
        "versions": versions,
        "compare_form": compare_form(versions, version),
        "may_edit": may(request.user, "rules.edit"),
    }


def _standing(version: RuleVersion) -> str:
    if version.stage == Stage.ACTIVE:
        return f"version {version.number} decides"
    if version.stage == Stage.SHADOW:
        return f"no version decides; version {version.number} watches"
    return "no version decides"


def compare_form(versions: Sequence[RuleVersion], version: RuleVersion) -> CompareForm:
    """The one that stands against the newest, unless that is the same."""
    numbers = [one.number for one in versions]
    others = [number for number in numbers if number != version.number] or numbers
    pair = sorted({version.number, others[0]})
    return CompareForm({"from": str(pair[0]), "to": str(pair[-1])}, numbers)


def version_facts(
    request: HttpRequest, version: RuleVersion, trial: Trial, **more: Any
) -> dict[str, Any]:
    active = rule_queries.active_version(version.rule.slug)
    rival = active if active and active.pk != version.pk else None
    # What a rule would say of open proposals is not for those who have yet to judge them.
    sees_trials = may(request.user, "audit.view")
    may_edit = may(request.user, "rules.edit")
    backtests = backtest_queries.backtests_of(version, at_most=BACKTESTS_MAX)
    has_backtest = backtest_queries.newest_done(version) is not None
    pending = rule_queries.pending_change(version.rule.slug)
    return (
        wording(version)
        | {
            "active": rival,
            "compared": comparison_of(rival, version) if rival else None,
            "steps": steps_of(version, has_backtest=has_backtest),
            "backtests": [(one, backtest_in_words(one)) for one in backtests],
            "shadow": shadow_words(version) if sees_trials else None,
            "sees_trials": sees_trials,
            "recent": recent_of(version.applies_to.get("actions", [])) if sees_trials else [],
            "trial": trial,
            "pending": pending,
            "moves": moves_of(version, pending, has_backtest=has_backtest) if may_edit else [],
            "backtest_form": BacktestForm(),
            "may_edit": may_edit,
            "is_four_eyes": settings.RULES_FOUR_EYES,
            "noun": "rule",
            "addresses": addresses_of(version),
        }
        | more
    )


def addresses_of(version: RuleVersion) -> dict[str, str]:
    """Where its moves are sent."""
    place = [version.rule.slug, version.number]
    return {
        "backtest": reverse("backtest_rule", args=place),
        "stage": reverse("rule_stage", args=place),
        "edit": f"{reverse('edit_rule', args=place[:1])}?from={version.number}",
    }


def recent_of(actions: Sequence[str]) -> list[Proposal]:
    return rule_queries.recorded_proposals(actions, at_most=RECENT_MAX)


def comparison_of(old: RuleVersion, new: RuleVersion) -> Comparison:
    return compare(document_of(old), document_of(new))


@dataclass(frozen=True, slots=True)
class ShadowWords:
    """How long it has watched, and what it has seen; what is too many to count is said to be more."""

    since: Any
    seen: int
    hits: int
    is_enough: bool

    @property
    def seen_shown(self) -> str:
        return _shown(self.seen)

    @property
    def hits_shown(self) -> str:
        return _shown(self.hits)


def shadow_words(version: RuleVersion) -> ShadowWords | None:
    found = backtest_queries.shadow_of(version)
    return ShadowWords(found.since, found.seen, found.hits, found.is_enough) if found else None


def _shown(count: int) -> str:
    most = backtest_queries.SHADOW_COUNTED_MAX
    return f"{count:,}" if count <= most else f"over {most:,}"


def backtest_in_words(found: Backtest) -> str:
    """The one line that a list has room for."""
    if not found.done:
        return ""
    findings = backtest_queries.report_on(found).findings
    counts = findings.after
    return (
        f"stops {counts.hits:,}: {counts.caught:,} caught, {counts.needless:,} needless; "
        f"{findings.flips_total:,} change"
    )
