"""Reviewers: how much, how fast, how alike. By name; whoever reviews sees their own line alone."""

from urllib.parse import urlencode

from django.urls import reverse

from orchestrator.models import Decision
from orchestrator.report_queries import reviewers as read
from orchestrator.report_queries.reviewers import ReviewerFigures, Reviewers
from review.presentation.charts.whiskers import Whisker, rate_whiskers
from review.reports import table
from review.reports.filter import Asked
from review.reports.report import Report
from review.reports.table import Cell, Column, Table

_Verdict = Decision.Verdict
DRAWN = "Agreement, drawn"
SHOWN = {
    _Verdict.APPROVE: "Approved",
    _Verdict.EDIT: "Edited",
    _Verdict.RESPOND: "Sent back",
    _Verdict.REJECT: "Rejected",
}


def reviewers_report(asked: Asked, *, sees_all: bool) -> Report:
    now = read.reviewers(asked.scope)
    people = _table(now, sees_all=sees_all)
    is_known = any(one.agreement.shows_share for one in now.people)
    shown = people if is_known else people.without(DRAWN)
    return Report(
        facts={"people": shown, "sees_all": sees_all},
        tables=(people,),
        ignored=now.ignored,
        is_empty=not any(one.decisions for one in now.people),
    )


def _table(now: Reviewers, *, sees_all: bool) -> Table:
    whiskers = rate_whiskers([one.agreement for one in now.people])
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
            _row(one, whisker, sees_all=sees_all)
            for one, whisker in zip(now.people, whiskers.rows, strict=True)
        ],
    )


def _row(one: ReviewerFigures, whisker: Whisker, *, sees_all: bool) -> tuple[Cell, ...]:
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
        table.rate(one.agreement),
    )
