"""Reviewers: how much, how fast, how alike. By name; whoever reviews sees what they decided alone."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from django.urls import reverse

from orchestrator import agreement_queries as agreement
from orchestrator import reason_queries
from orchestrator.agreement_queries import Alike, Pair
from orchestrator.core.statistics.agreement import Agreement
from orchestrator.core.statistics.intervals import Rate
from orchestrator.models import Decision
from orchestrator.report_queries import reviewers as read
from orchestrator.report_queries.reviewers import ReviewerFigures, Reviewers
from review.presentation.charts.whiskers import Whisker, rate_whiskers
from review.reports import table
from review.reports.filter import Asked
from review.reports.report import Report, Tile, rate_tile
from review.reports.table import Cell, Column, Table

_Verdict = Decision.Verdict
DRAWN = "Agreement, drawn"
SHOWN_MAX = 20
SHOWN = {
    _Verdict.APPROVE: "Approved",
    _Verdict.EDIT: "Edited",
    _Verdict.RESPOND: "Sent back",
    _Verdict.REJECT: "Rejected",
}


def reviewers_report(asked: Asked, *, sees_all: bool) -> Report:
    now = read.reviewers(asked.scope)
    pairs, is_cut = agreement.judged_twice(asked.scope)
    before = agreement.judged_twice(asked.before).pairs if asked.before else None
    each, alike = agreement.of_each(pairs), agreement.alike(pairs)
    people = _table(now, each, sees_all=sees_all)
    verdicts, reasons = _verdicts(alike), _reasons(alike)
    is_known = any(rate.shows_share for rate in each.values())
    shown = people if is_known else people.without(DRAWN)
    return Report(
        facts={
            "people": shown,
            "sees_all": sees_all,
            "judged_twice": alike.verdicts.n,
            "is_cut": is_cut,
            "tiles": _tiles(alike, before),
            "verdicts": verdicts,
            "reasons": reasons,
        },
        tables=(people, verdicts, reasons) if sees_all else (people,),
        ignored=now.ignored,
        is_empty=not any(one.decisions for one in now.people),
    )


def _table(now: Reviewers, each: Mapping[str, Rate], *, sees_all: bool) -> Table:
    rates = [each.get(one.username, Rate(0, 0)) for one in now.people]
    whiskers = rate_whiskers(rates)
    return Table(
        "reviewers",
        "What each person decided",
        (
            table.text_column("Person", "person"),
            table.number_column("Decisions", "decisions", "measured"),
            table.number_column("Blind", "blind"),
            *(table.number_column(label, str(verdict)) for verdict, label in SHOWN.items()),
            table.number_column("Others", "other_verdicts"),
            table.number_column("Half within", "median_s"),
            table.number_column("9 of 10 within", "p90_s"),
            table.number_column("Hours", "minutes"),
            Column(DRAWN, axis=whiskers.axis),
            table.rate_column("Agreement", "agreement"),
        ),
        [
            _row(one, rate, whisker, sees_all=sees_all)
            for one, rate, whisker in zip(now.people, rates, whiskers.rows, strict=True)
        ],
    )


def _row(one: ReviewerFigures, same: Rate, whisker: Whisker, *, sees_all: bool) -> tuple[Cell, ...]:
    shown = sum(one.verdicts.get(verdict, 0) for verdict in SHOWN)
    # What people did is listed where everything is that people did; reviewers may not look there.
    listed = f"{reverse('audit_log')}?{urlencode({'who': one.username})}" if sees_all else ""
    return (
        table.said(one.username, url=listed),
        Cell(
            f"{one.decisions:,}",
            (one.decisions, one.handling.n),
            sub="" if one.handling.n == one.decisions else f"{one.handling.n:,} measured",
        ),
        table.count(one.blind),
        *(table.count(one.verdicts.get(verdict, 0)) for verdict in SHOWN),
        table.count(sum(one.verdicts.values()) - shown),
        table.lasting(one.handling.median_s),
        table.lasting(one.handling.p90_s),
        Cell(f"{one.minutes / 60:,.1f}", (round(one.minutes, 1),)),
        table.drawn(whisker),
        table.rate(same),
    )


# Of two people about the same thing ----------------------------------------------------------------


def _tiles(now: Alike, before: Sequence[Pair] | None) -> list[Tile]:
    was = None if before is None else Rate(sum(one.is_alike for one in before), len(before))
    same = rate_tile("Both said the same", now.verdicts.raw, before=was, more_is="ok")
    return [same, _beyond_chance(now.verdicts, now.alpha)]


def _beyond_chance(of: Agreement, alpha: float | None) -> Tile:
    """Next to the share, because of people who nearly always approve a high one says little."""
    label = "Beyond chance"
    if not of.raw.shows_share:
        return Tile(label, "–", note="too few to tell from chance")
    if of.kappa is None or alpha is None:
        return Tile(label, "–", note="everybody always said the same: it cannot be told from habit")
    bounds = ", and too little differs for bounds"
    if of.bounds:
        low, high = of.bounds
        bounds = f", {low:.2f} to {high:.2f}"
    note = f"Cohen's kappa{bounds}; Krippendorff's alpha {alpha:.2f}. 1 is always, 0 is chance"
    return Tile(label, f"{of.kappa:.2f}", note=note)


def _verdicts(of: Alike) -> Table:
    return Table(
        "agreement",
        "What two people said of the same proposal",
        (
            table.text_column("Who decided", "first"),
            table.text_column("Who judged blind", "second"),
            table.number_column("Proposals", "pairs"),
        ),
        [
            (
                table.plain(_verdict(first), raw=(first,)),
                table.plain(_verdict(second), raw=(second,)),
                table.count(count),
            )
            for (first, second), count in of.verdicts.confusion.items()
        ],
    )


def _verdict(verdict: str) -> str:
    return SHOWN.get(_Verdict(verdict), verdict)


def _reasons(of: Alike) -> Table:
    labels = reason_queries.labels()
    return Table(
        "reasons",
        "Why both rejected it",
        (
            table.text_column("Who decided", "first"),
            table.text_column("Who judged blind", "second"),
            table.number_column("Proposals", "pairs"),
        ),
        [
            (
                *(table.plain(labels.get(code, code), raw=(code,)) for code in pair),
                table.count(count),
            )
            for pair, count in of.reasons.items()
        ],
        shown_max=SHOWN_MAX,
    )
