"""Agents by version: how often they are right, what their scores mean, what they cost."""

from collections.abc import Sequence

from orchestrator.core.statistics.calibration import Bin, Reliability
from orchestrator.report_queries import agents as read
from orchestrator.report_queries.agents import Agents, AgentVersion, Cost
from review.presentation.charts.reliability import reliability_chart
from review.presentation.charts.scale import between, percent, points
from review.presentation.charts.whiskers import difference_whiskers, rate_whiskers
from review.presentation.money import cost as money_of
from review.reports import links, table
from review.reports.filter import Asked
from review.reports.measure import measure_of
from review.reports.report import Report
from review.reports.table import Cell, Column, Table


def agents_report(asked: Asked) -> Report:
    now = read.agents(asked.scope)
    scores = read.calibration(asked.scope)
    currencies = {code for one in now.versions for code in one.amounts}
    tables = (_versions_table(now), _bins_table(scores.reliability), _cost_table(now.versions))
    return Report(
        facts={
            "versions": tables[0],
            "has_more": now.has_more,
            "scores": scores,
            "is_one_version": len(now.versions) == 1,
            "reliability": reliability_chart(scores.reliability),
            "bins": tables[1],
            "costs": tables[2],
            "has_costs": any(one.cost for one in now.versions),
        },
        tables=tables,
        measure=measure_of(asked, currencies),
        ignored=now.ignored,
        is_empty=not now.versions,
    )


# How often they are right -----------------------------------------------------------------------


def _versions_table(now: Agents) -> Table:
    rates = [one.outcomes.acceptance for one in now.versions]
    whiskers = rate_whiskers(rates)
    differences = difference_whiskers(
        [
            (one.difference.share, one.difference.bounds)
            if one.difference and one.difference.share is not None and rate.shows_share
            else None
            for one, rate in zip(now.versions, rates, strict=True)
        ],
        more_is="ok",
    )
    lines = zip(now.versions, whiskers.rows, differences.rows, strict=True)
    return Table(
        "versions",
        "Accepted without an edit, by agent version",
        (
            table.text_column("Agent and version", "agent", "version", "models", "first_seen"),
            table.number_column("Proposals", "proposals"),
            Column("Accepted without an edit, drawn", axis=whiskers.axis),
            table.rate_column("Accepted without an edit", "accepted"),
            Column("Difference, drawn", axis=differences.axis, line=differences.line),
            Column(
                "Against the version before",
                ("compared_with", "difference", "difference_low", "difference_high"),
                is_number=True,
            ),
        ),
        [
            (
                _name(one),
                table.count(one.proposed.proposals, _proposals_of(one, now)),
                table.drawn(whisker),
                table.rate(one.outcomes.acceptance),
                table.drawn(drawn),
                _difference(one),
            )
            for one, whisker, drawn in lines
        ],
    )


def _name(one: AgentVersion) -> Cell:
    """Which model it was is theirs to say, too."""
    models = ", ".join(filter(None, one.models))
    return Cell(
        f"{one.agent} {one.agent_version}".strip(),
        (one.agent, one.agent_version, models, one.first_seen),
        sub=f"since {one.first_seen:%-d %b %Y}",
        said_sub=models,
        is_said=True,
    )


def _proposals_of(one: AgentVersion, now: Agents) -> str:
    """Whoever says no version cannot be asked for by it."""
    if not one.agent_version:
        return ""
    return links.proposals(now.scope, {"agent": one.agent, "version": one.agent_version})


def _difference(one: AgentVersion) -> Cell:
    found = one.difference
    if found is None:
        return Cell("the first here", ("", "", "", ""))
    if found.share is None or not one.outcomes.acceptance.shows_share:
        return Cell("too few to compare", (found.to, "", "", ""))
    low, high = found.bounds
    raw = (found.to, round(found.share, 6), round(low, 6), round(high, 6))
    return Cell(f"{points(found.share)} points", raw, sub=f"{points(low)} to {points(high)}")


# What their scores mean -------------------------------------------------------------------------


def _bins_table(of: Reliability) -> Table:
    return Table(
        "scores",
        "Stated confidence, and how often it was right",
        (
            Column("Stated", ("above", "up_to")),
            table.number_column("Mean score", "mean_score"),
            table.rate_column("Right", "right"),
        ),
        [
            (
                table.plain(between((one.above, one.up_to)), raw=(one.above, one.up_to)),
                Cell("–", ("",))
                if one.mean_score is None
                else Cell(percent(one.mean_score), (round(one.mean_score, 6),)),
                _right(one),
            )
            for one in of.bins
            if one.right.n
        ],
    )


def _right(one: Bin) -> Cell:
    """The share is weighted by what each label stands for; the counts are as they were counted."""
    if not one.right.shows_share or one.share_right is None:
        return table.rate(one.right)
    low, high = one.bounds
    raw = (one.right.k, one.right.n, *(round(part, 6) for part in (one.share_right, low, high)))
    sub = f"{one.right.k:,} of {one.right.n:,}, {between(one.bounds)}"
    return Cell(percent(one.share_right), raw, sub=sub)


# What they cost ---------------------------------------------------------------------------------


def _cost_table(versions: Sequence[AgentVersion]) -> Table:
    return Table(
        "costs",
        "What the calls of agents inside runs cost",
        (
            table.text_column("Agent", "agent"),
            table.text_column("Version", "version"),
            table.number_column("Calls", "calls"),
            table.number_column("Failed", "failed"),
            table.number_column("Without a word of their cost", "unknown"),
            table.number_column("Without a price", "unpriced"),
            table.number_column("Tokens in", "tokens_in"),
            table.number_column("Tokens out", "tokens_out"),
            table.number_column("Cost", "cost_micros"),
        ),
        [_cost_row(one, one.cost) for one in versions if one.cost],
    )


def _cost_row(one: AgentVersion, cost: Cost) -> tuple[Cell, ...]:
    """Sums are of the calls that told them; without any of those nobody knows."""
    is_told, is_priced = cost.calls > cost.unknown, cost.calls > cost.unpriced
    return (
        table.said(one.agent),
        table.said(one.agent_version, missing="not said"),
        table.count(cost.calls),
        table.count(cost.failed),
        table.count(cost.unknown),
        table.count(cost.unpriced),
        table.count(cost.tokens_in) if is_told else table.NOTHING,
        table.count(cost.tokens_out) if is_told else table.NOTHING,
        Cell(money_of(cost.money_micros), (cost.money_micros,)) if is_priced else table.NOTHING,
    )
