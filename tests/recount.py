"""The counters of the reports counted anew, one row after the other, from what their definitions say.

Slow and simple on purpose: nothing here is shared with how the product counts.
"""

import math
from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from django.conf import settings

from orchestrator import audit_queries
from orchestrator.core.codec import read
from orchestrator.core.statistics.calibration import edges_of, place_of
from orchestrator.core.statistics.judged import is_score
from orchestrator.core.typeid import ALPHABET
from orchestrator.models import (
    AuditDay,
    CallDay,
    Decision,
    Event,
    ItemDay,
    Label,
    PolicyCheck,
    Proposal,
    ProposalDay,
    ReviewerDay,
    ReviewItem,
    RuleDay,
    Run,
    ScoreDay,
    Segment,
)

type Key = tuple[Any, ...]
type Names = tuple[str, str, str, str, str, str, str]
type Counted = dict[str, dict[Key, tuple[Any, ...]]]

TOGETHER = ("", "", "", "", "", "")


def stored() -> Counted:
    """What the product has counted, with the names of segments in the place of their keys."""
    segments: dict[int, Names] = {
        row.pk: (
            *(row.workflow, row.agent, row.agent_version, row.model, row.action, row.tier),
            row.currency,
        )
        for row in Segment.objects.all()
    }

    def lines(model: Any, keys: str, values: str) -> dict[Key, tuple[Any, ...]]:
        rows = model.objects.values("day", "segment_id", *keys.split(), *values.split())
        return {
            (row["day"], segments[row["segment_id"]], *(row[name] for name in keys.split())): tuple(
                int(row[name]) if isinstance(row[name], Decimal) else row[name]
                for name in values.split()
            )
            for row in rows
        }

    return {
        "proposals": lines(ProposalDay, "disposition status edited chance", "proposals amount"),
        "labels": lines(Label, "proposal_id", "disposition confidence should_run chance said_by"),
        "scores": lines(ScoreDay, "disposition bin", "proposals right wrong"),
        "rules": lines(
            RuleDay,
            "rule_version_id enforced result disposition status edited said",
            "proposals amount decisions measured handled_ms",
        ),
        "audits": lines(AuditDay, "disposition chance outcome", "items"),
        "items": lines(ItemDay, "kind happened bucket", "items"),
        "reviewers": lines(ReviewerDay, "reviewer_id kind verdict bucket", "decisions handled_ms"),
        "calls": lines(
            CallDay,
            "",
            "calls failed unknown tokens_in tokens_out money_micros unpriced took_ms"
            " within_1s within_5s within_15s within_60s",
        ),
    }


def recount() -> Counted:
    found: dict[str, dict[Key, list[int]]] = defaultdict(lambda: defaultdict(list))

    def add(table: str, key: Key, *values: int) -> None:
        sums = found[table].setdefault(key, [0] * len(values))
        sums[:] = [before + more for before, more in zip(sums, values, strict=True)]

    labels: dict[Key, tuple[Any, ...]] = {}
    related = ("run__workflow_version__workflow", "contract_version")
    for proposal in Proposal.objects.select_related(*related):
        if not proposal.action.startswith("countersign."):
            _count_proposal(add, labels, proposal)
    for item in ReviewItem.objects.select_related("run__workflow_version__workflow", "proposal"):
        _count_item(add, item)
    for decision in Decision.objects.filter(undone_at=None).select_related("item"):
        _count_decision(add, decision)
    for run in Run.objects.exclude(ended_at=None).select_related("workflow_version__workflow"):
        _count_calls(add, run)
    tables = (*("proposals", "scores", "rules", "audits", "items", "reviewers", "calls"),)
    counted = {name: {key: tuple(values) for key, values in found[name].items()} for name in tables}
    return {**counted, "labels": labels}


def _count_proposal(add: Any, labels: dict[Key, tuple[Any, ...]], proposal: Proposal) -> None:
    amount, currency = _amount(proposal)
    own = (*_names(proposal), currency)
    day = day_of(proposal.pk)
    disposition = proposal.dispositions.order_by("pk").last()
    chance = _chance(disposition)
    score = disposition.score if disposition else None
    edited = proposal.edited_by_id is not None
    ways = (proposal.disposition, proposal.status, edited)
    truth = audit_queries.truth_of(proposal)
    right, wrong = (truth.should_run, not truth.should_run) if truth else (False, False)
    place = place_of(score, edges_of(100)) if score is not None and is_score(score) else -1
    for segment in (own, (*TOGETHER, currency)):
        add("proposals", (day, segment, *ways, chance), 1, amount)
        add("scores", (day, segment, proposal.disposition, place), 1, int(right), int(wrong))
    if truth:
        drawn = proposal.review_items.filter(
            kind__in=["audit", "blind_label"],
            opened_because=["drawn by chance to be judged blind"],
        )
        openly = proposal.disposition in {"hold", "escalate"} or truth.said_by == "review"
        known = 1.0 if openly else max(chance, 0.0) if drawn.exists() else 0.0
        labels[day, own, proposal.pk] = (
            *(proposal.disposition, proposal.confidence, truth.should_run, known, truth.said_by),
        )
    _count_rules(add, proposal, (day, own), ways, amount)
    for item in proposal.review_items.filter(kind__in=["audit", "blind_label"]):
        if item.opened_because == ["drawn by chance to be judged blind"]:
            add("audits", (day, own, proposal.disposition, chance, _audited(item)), 1)


def _count_rules(add: Any, proposal: Proposal, place: Key, ways: Key, amount: int) -> None:
    openly = ["guardrail_failure", "escalation"]
    decisions = Decision.objects.filter(
        item__proposal=proposal, item__kind__in=openly, undone_at=None
    ).order_by("pk")
    said = [decision.verdict for decision in decisions]
    times = [_handled(decision) for decision in decisions if decision.handled_ms is not None]
    newest: dict[int, PolicyCheck] = {}
    for check in proposal.policy_checks.order_by("pk"):
        newest[check.rule_version_id] = check
    for version, check in newest.items():
        if check.result != "pass":
            key = (*place, version, check.enforced, check.result, *ways, said[-1] if said else "")
            add("rules", key, 1, amount, len(said), len(times), sum(times))


def _audited(item: ReviewItem) -> str:
    if item.status != "decided":
        return "open" if item.status == "waiting" else "expired"
    dispute = item.disputes.order_by("pk").last()
    if item.closed_because == "confirmed":
        return "right"
    if dispute is None:
        return "unsettled"
    settled = {"for the auditor": "wrong", "for the first": "right"}
    still = "disputed" if dispute.status == "waiting" else "unsettled"
    return settled.get(dispute.closed_because, still)


def _count_item(add: Any, item: ReviewItem) -> None:
    for segment in _segments(item):
        add("items", (day_of(item.pk), segment, item.kind, "opened", -1), 1)
        if item.status != "waiting":
            assert item.closed_at is not None
            waited = (item.closed_at - item.created_at).total_seconds()
            is_late = item.status == "decided" and item.closed_at > item.due_at
            happened = "late" if is_late else item.status
            day = item.closed_at.astimezone(UTC).date()
            add("items", (day, segment, item.kind, happened, _bucket(waited)), 1)


def _count_decision(add: Any, decision: Decision) -> None:
    known = decision.handled_ms is not None
    bucket = _bucket(_handled(decision) / 1000) if known else -1
    for segment in _segments(decision.item):
        key = (*(day_of(decision.pk), segment, decision.reviewer_id), decision.item.kind)
        add("reviewers", (*key, decision.verdict, bucket), 1, _handled(decision) if known else 0)


def _count_calls(add: Any, run: Run) -> None:
    if run.workflow_version.definition == '{"pattern":"direct"}':
        return
    for event in Event.objects.filter(
        run=run, kind__in=["work_finished", "work_failed", "work_asked"]
    ):
        said: Any = read(event.payload)
        agent = said.get("agent", {})
        names = [agent.get(name, "") for name in ("name", "version", "model")]
        segment = (run.workflow_version.workflow.slug, *names, "", "", "")
        spent = [said.get(name, 0) for name in ("tokens_in", "tokens_out", "money_micros")]
        failed, unknown = event.kind == "work_failed", not any(spent)
        unpriced = unknown or said.get("unpriced", False)
        took_ms = said.get("took_ms", 0)
        within = [int(took_ms <= 1_000 * end) for end in (1, 5, 15, 60)]
        figures = (1, failed, unknown, *spent, unpriced, took_ms, *within)
        add("calls", (day_of(run.pk), segment), *map(int, figures))


def _segments(item: ReviewItem) -> tuple[Key, Key]:
    workflow = item.run.workflow_version.workflow.slug
    names = _names(item.proposal) if item.proposal else (workflow, "", "", "", "", item.tier)
    return (*names, ""), (*TOGETHER, "")


def _names(proposal: Proposal) -> Key:
    tier = proposal.contract_version.tier if proposal.contract_version else "normal"
    return (
        *(proposal.run.workflow_version.workflow.slug, proposal.agent, proposal.agent_version),
        *(proposal.model, proposal.action, tier),
    )


def _amount(proposal: Proposal) -> tuple[int, str]:
    says = proposal.contract_version.review if proposal.contract_version else {}
    shows = {at: show for at, show in says.get("shows", {}).items() if show["as"] == "money"}
    if not shows:
        return 0, ""
    pointer = min(shows)
    amount, code = _at(proposal.args, pointer), shows[pointer]["currency"]
    code = _at(proposal.args, code) if code.startswith("/") else code
    is_code = isinstance(code, str) and len(code) == 3 and code.isascii() and code.isupper()
    if type(amount) is not int or abs(amount) >= 10**15 or not is_code:
        return 0, ""
    return amount, code


def _at(args: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        args = args.get(part) if isinstance(args, dict) else None
    return args


def _chance(disposition: Any) -> float:
    chance = disposition.draw_chance if disposition else None
    return -1.0 if chance is None else float(chance)


def _handled(decision: Decision) -> int:
    return min(decision.handled_ms or 0, settings.HANDLING_MINUTES_MAX * 60_000)


def _bucket(seconds: float) -> int:
    return math.floor(math.log(max(seconds, 1.0)) / math.log(2.0) * 4)


def day_of(key: str) -> date:
    milliseconds = 0
    for letter in key[4:14]:
        milliseconds = milliseconds * 32 + ALPHABET.index(letter)
    return datetime.fromtimestamp(milliseconds / 1_000, UTC).date()
