"""CSV files are inert in every spreadsheet, say what they are of, and hold what the page holds."""

import csv
from datetime import UTC, date, datetime
from io import StringIO

import pytest

from orchestrator.core.statistics.intervals import Rate
from review.reports import table
from review.reports.csv_file import cell, csv_response
from review.reports.table import Table


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("x")']
)
def test_no_text_is_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("value", [-3, 0.5, "refund-agent", "a=b", ""])
def test_numbers_and_other_texts_stay_what_they_are(value: object) -> None:
    assert cell(value) == value


def test_times_are_iso_8601_and_nothing_is_empty() -> None:
    assert cell(datetime(2026, 3, 1, 9, 40, tzinfo=UTC)) == "2026-03-01T09:40:00+00:00"
    assert cell(date(2026, 3, 1)) == "2026-03-01"
    assert cell(None) == ""


def test_a_file_is_streamed_with_its_heading_its_names_and_its_lines() -> None:
    made = Table(
        "versions",
        "By version",
        (
            table.text_column("Agent", "agent"),
            table.rate_column("Accepted", "accepted"),
            table.number_column("Proposals", "proposals"),
        ),
        [
            (table.said("=cmd|' /C calc'!A0"), table.rate(Rate(80, 100)), table.count(100)),
            (
                table.said('with "quotes", commas\nand lines'),
                table.rate(Rate(2, 3)),
                table.count(3),
            ),
        ],
    )
    response = csv_response(made, [("Report", "Agents"), ("Agent", "-x")], "agents")
    assert response.streaming
    text = b"".join(response.streaming_content).decode()  # type: ignore[arg-type]
    rows = list(csv.reader(StringIO(text)))
    assert rows[:3] == [["Report", "Agents"], ["Agent", "'-x"], []]
    head = "agent,accepted_k,accepted_n,accepted_share,accepted_low,accepted_high,proposals"
    assert ",".join(rows[3]) == head
    assert rows[4][:4] == ["'=cmd|' /C calc'!A0", "80", "100", "0.8"]
    assert rows[5] == ['with "quotes", commas\nand lines', "2", "3", "", "", "", "3"]
    assert response["Content-Disposition"] == 'attachment; filename="agents.csv"'
