"""What the address of a report means, and what is said of what means nothing."""

from datetime import date
from typing import Any

import pytest

from review.reports import periods
from review.reports.filter import Asked, ReportFilter

TODAY = date(2026, 3, 1)
CHOICES = {
    "agent": [("refund-agent", "refund-agent"), ("invoice-agent", "invoice-agent")],
    "tier": [("high", "High risk")],
}


def form(**given: str) -> ReportFilter:
    return ReportFilter(given, today=TODAY, choices=CHOICES, has_value=True)


def days(asked: Asked) -> tuple[date, date]:
    return asked.period.first, asked.period.last


@pytest.mark.parametrize(
    ("period", "first", "last"),
    [
        ("7", date(2026, 2, 23), TODAY),
        ("30", date(2026, 1, 31), TODAY),
        ("180", date(2025, 9, 3), TODAY),
        ("this_month", TODAY, TODAY),
        ("last_month", date(2026, 2, 1), date(2026, 2, 28)),
    ],
)
def test_a_period_is_whole_days_up_to_today(period: str, first: date, last: date) -> None:
    asked = form(period=period).asked
    assert days(asked) == (first, last)
    assert (asked.scope.since, asked.scope.until) == (first, date.fromordinal(last.toordinal() + 1))


def test_the_time_before_is_as_long_and_ends_where_this_begins() -> None:
    asked = form(period="7", compare="on").asked
    assert asked.before is not None
    assert (asked.before.since, asked.before.until) == (date(2026, 2, 16), asked.scope.since)
    assert form(period="7").asked.before is None


def test_days_alone_are_a_period() -> None:
    asked = form(since="2026-02-03", until="2026-02-05").asked
    assert days(asked) == (date(2026, 2, 3), date(2026, 2, 5))
    assert str(asked.period) == "3 Feb to 5 Feb 2026"


def test_a_period_does_not_reach_into_the_future() -> None:
    assert days(form(since="2026-02-20", until="2027-01-01").asked)[1] == TODAY


@pytest.mark.parametrize(
    "given",
    [
        {"period": "days", "since": "2026-02-05", "until": "2026-02-03"},
        {"period": "days", "since": "2026-02-05"},
        {"period": "days", "since": "2020-01-01", "until": "2026-02-03"},
        {"period": "days", "since": "2026-12-01", "until": "2026-12-02"},
        {"period": "days", "since": "yesterday", "until": "0000-00-00"},
        {"period": "1000"},
        {"period": "-1"},
        {"since": "99999-99-99"},
    ],
)
def test_a_period_that_makes_no_sense_is_said_and_the_rest_counts(given: dict[str, Any]) -> None:
    found = form(agent="refund-agent", **given)
    asked = found.asked
    assert found.problems
    assert asked.scope.agent == "refund-agent"
    assert asked.period == periods.period_of("30", TODAY)


def test_an_unknown_name_is_said_and_the_rest_counts() -> None:
    found = form(agent="no-such\u202e", tier="high", period="7")
    asked = found.asked
    assert found.problems == [
        "Agent: There is no “no-suchU+202E” to filter by. The report is shown without that filter."
    ]
    assert (asked.scope.agent, asked.scope.tier) == ("", "high")
    assert asked.scope.days == 7


def test_what_a_report_does_not_know_is_no_field_of_it() -> None:
    assert "rule" not in form(rule="refund-limit").fields
    assert form(rule="refund-limit").asked.scope.rule == ""


def test_only_a_currency_that_exists_is_one() -> None:
    assert form(measure="value", currency="EUR").asked.currency == "EUR"
    for text in ("eur", "XXX", "'--", "EURO"):
        assert form(measure="value", currency=text).asked.currency == ""
    assert not form(measure="worth").asked.in_value
