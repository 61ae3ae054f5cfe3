"""How much of what nobody looked at was wrong: the number that says whether the gate works."""

from collections.abc import Sequence

from django.urls import reverse

from orchestrator.core.statistics.strata import Weighted
from orchestrator.models.rollups import UNKNOWN_CHANCE
from orchestrator.report_queries import audits as read
from orchestrator.report_queries.audits import AuditedStratum, Audits
from orchestrator.report_queries.scope import Scope
from review.presentation.charts.scale import percent
from review.reports import links, table
from review.reports.filter import Asked
from review.reports.report import Report, Tile
from review.reports.table import Cell, Table

PER = 1_000
SHOWN_MAX = 20
DISPOSITIONS = {
    "revise": "Back to the agent",
    "escalate": "Score too low",
    "hold": "Held by a rule",
    "block": "Blocked",
}


def audits_report(asked: Asked) -> Report:
    now = read.audits(asked.scope)
    before = read.audits(asked.before) if asked.before else None
    accepted = _table("accepted", "Audits of what was accepted by itself", now.accepted, now.scope)
    others = _table("labels", "Blind labels of what was not accepted", now.others, now.scope)
    return Report(
        facts={
            "assurance": str(now.assurance),
            "was": str(before.assurance) if before else "",
            "tiles": _tiles(now, before),
            "accepted": accepted,
            "others": others,
            "has_more": now.has_more,
        },
        tables=(accepted, others),
        ignored=now.ignored,
        is_empty=not now.accepted and not now.others,
    )


def _at(chance: float) -> str:
    return "" if chance == UNKNOWN_CHANCE else f"at {percent(chance)}"


def _tiles(now: Audits, before: Audits | None) -> list[Tile]:
    waiting = Tile(
        "Waiting for an auditor",
        f"{now.open:,}",
        reverse("audits") if now.open else "",
        f"{now.expired:,} expired before anybody judged",
    )
    disputes = Tile(
        "In dispute",
        f"{now.disputed:,}",
        reverse("disputes") if now.disputed else "",
        f"{now.unsettled:,} stayed unsettled; neither is in any rate",
    )
    return [_estimate_tile(now.estimate, before), _examined_tile(now), waiting, disputes]


def _estimate_tile(of: Weighted, before: Audits | None) -> Tile:
    label = f"Wrong in {PER:,} accepts"
    if not of.shows_share or of.share is None:
        note = "too few to estimate"
        return Tile(label, f"{of.wrong:,} of {of.examined:,}" if of.examined else "–", note=note)
    low, high = of.bounds
    note = f"between {_per(low)} and {_per(high)}, weighted back to all accepts"
    return Tile(label, _per(of.share), note=note)


def _per(share: float) -> str:
    return f"{share * PER:.1f}".removesuffix(".0")


def _examined_tile(now: Audits) -> Tile:
    unknown = now.estimate.unknown
    note = f"of {now.assurance.accepted:,} accepts"
    if unknown:
        note += f"; {unknown:,} lie where nobody looked"
    return Tile("Examined", f"{now.assurance.examined:,}", note=note)


def _table(name: str, caption: str, strata: Sequence[AuditedStratum], scope: Scope) -> Table:
    labels = name == "labels"
    return Table(
        name,
        caption,
        (
            table.text_column("Agent, version and action", "agent", "version", "action"),
            *((table.text_column("The policy said", "disposition"),) if labels else ()),
            table.number_column("Proposals", "proposals"),
            table.number_column("Drawn", "drawn", "chance"),
            table.rate_column("Wrong of examined", "wrong"),
            table.number_column("Open or in dispute", "open", "disputed"),
            table.number_column("Expired or unsettled", "expired", "unsettled"),
        ),
        [_row(one, scope, labels=labels) for one in strata],
        shown_max=SHOWN_MAX,
    )


def _row(one: AuditedStratum, scope: Scope, *, labels: bool) -> tuple[Cell, ...]:
    name = Cell(
        f"{one.agent} {one.agent_version}".strip(),
        (one.agent, one.agent_version, one.action),
        said_sub=one.action,
        is_said=True,
    )
    said = DISPOSITIONS.get(one.disposition, one.disposition)
    pending, lost = one.open + one.disputed, one.expired + one.unsettled
    return (
        name,
        *((table.plain(said, raw=(one.disposition,)),) if labels else ()),
        table.count(one.total, _listed(one, scope)),
        Cell(f"{one.drawn:,}", (one.drawn, one.chance), sub=_at(one.chance)),
        table.rate(one.error),
        Cell(f"{pending:,}", (one.open, one.disputed)),
        Cell(f"{lost:,}", (one.expired, one.unsettled)),
    )


def _listed(one: AuditedStratum, scope: Scope) -> str:
    """Not where the stratum is told from others by its chance alone, which no list knows."""
    if not one.agent_version:
        return ""
    return links.proposals(
        scope,
        {
            "agent": one.agent,
            "version": one.agent_version,
            "action": one.action,
            "disposition": one.disposition,
        },
    )
