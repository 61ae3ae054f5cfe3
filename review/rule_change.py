"""What somebody needs to see who is asked to countersign a change of a rule."""

from dataclasses import dataclass
from typing import Any

from orchestrator import backtest_queries, rule_queries
from orchestrator.backtest_queries import Report
from orchestrator.core import yaml_text
from orchestrator.core.policy import changes
from orchestrator.core.policy.compare import Comparison
from orchestrator.core.policy.rule_text import as_json, document_of, line_diff
from orchestrator.models import Proposal, RuleVersion
from review.findings import findings_facts
from review.rule_page import comparison_of, wording

Lines = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class RuleChange:
    """`other` is what was in force when the change was asked for."""

    version: RuleVersion
    other: RuleVersion | None
    sentence: str
    note: str
    is_new: bool
    needs_backtest: bool
    comparison: Comparison | None
    lines: Lines
    report: Report | None
    # Why the numbers of the backtest do not tell what this change would do; nothing when they do.
    mismatch: str
    # What the parts of `rule_change.html` need besides.
    facts: dict[str, Any]
    template: str = "review/rule_change.html"


def rule_change_of(proposal: Proposal) -> RuleChange | None:
    """None for any other proposal, and for one whose rule is not there."""
    if not changes.is_change(proposal.action):
        return None
    args = proposal.args
    slug, number = str(args.get("rule", "")), args.get("version")
    version = rule_queries.rule_version(slug, number) if isinstance(number, int) else None
    if version is None:
        return None
    before = args.get("instead_of")
    other = rule_queries.rule_version(slug, before) if isinstance(before, int) else None
    is_retirement = proposal.action == changes.RETIRE_RULE
    found = backtest_queries.backtest(str(args.get("backtest") or ""))
    report = backtest_queries.report_on(found) if found else None
    rival = None if is_retirement else other
    return RuleChange(
        version=version,
        other=other,
        sentence=_sentence(version, other, is_retirement=is_retirement),
        note=proposal.rationale,
        is_new=other is None or is_retirement,
        needs_backtest=not is_retirement and version.activated_at is None,
        comparison=comparison_of(rival, version) if rival else None,
        lines=lines_between(rival, version) if rival else [],
        report=report,
        mismatch=_mismatch(report.backtest.against, other) if report else "",
        facts=wording(version) | (findings_facts(report) if report else {}),
    )


def _sentence(version: RuleVersion, other: RuleVersion | None, *, is_retirement: bool) -> str:
    if is_retirement:
        return f"{version} decides now. Once this is approved, no version of the rule does."
    if other is None:
        return f"No version of the rule decides now. Once this is approved, {version} does."
    if version.activated_at:
        return f"Back to version {version.number}, which decided before, instead of {other.number}."
    return f"Version {version.number} takes the place of version {other.number}."


def _mismatch(against: RuleVersion | None, other: RuleVersion | None) -> str:
    if against == other:
        return ""
    then = f"with version {against.number}" if against else "with no version"
    now = f"takes the place of version {other.number}" if other else "takes the place of none"
    return (
        f"The backtest compares {then}, as was in force then, and this change {now}. So its "
        "differences are not those of this change; ask for a new backtest to see them."
    )


def lines_between(old: RuleVersion, new: RuleVersion) -> Lines:
    """The two documents line by line, each line with its sign."""
    before, after = (yaml_text.write(as_json(document_of(one))) for one in (old, new))
    told = line_diff(before.rstrip("\n"), after.rstrip("\n"))
    return [(line[:1], line[1:]) for line in told]
