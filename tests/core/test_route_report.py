"""What became of a decision says whether it was right; people's words go before everything else."""

from datetime import date

import pytest

from orchestrator.core.route_report import Counted, confusions, lines, shares, verdict, whole

DAY = date(2026, 11, 2)


def counted(n: int = 1, **changes: object) -> Counted:
    values: dict[str, object] = {
        "day": DAY,
        "version": 1,
        "by": "rule",
        "because": "money",
        "worker": "refunds",
        "outcome": "completed",
        "failed": False,
        "refused": False,
        "should_be": "",
    }
    return Counted(**{**values, **changes}, n=n)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("outcome", "failed", "refused", "should_be", "expected"),
    [
        ("completed", False, False, "", "right"),
        ("completed", True, False, "", "wrong"),
        ("failed", False, False, "", "wrong"),
        ("failed", False, True, "", "wrong"),
        ("open", False, False, "", "unknown"),
        ("cancelled", False, False, "", "unknown"),
        ("failed", True, True, "refunds", "right"),
        ("completed", False, False, "letters", "wrong"),
        ("open", False, False, "letters", "wrong"),
    ],
)
def test_a_verdict(
    outcome: str, failed: bool, refused: bool, should_be: str, expected: str
) -> None:
    found = verdict("refunds", outcome=outcome, failed=failed, refused=refused, should_be=should_be)
    assert found == expected


def test_lines_by_rule_and_model() -> None:
    rows = [
        counted(5),
        counted(2, should_be="letters"),
        counted(1, outcome="open"),
        counted(3, by="model", because=""),
        counted(4, by="fallback", because="no-rule"),
        counted(9, because="mail"),
    ]
    found = lines(rows)
    assert [(line.by, line.because, line.decided) for line in found] == [
        ("rule", "mail", 9),
        ("rule", "money", 8),
        ("model", "", 3),
        ("fallback", "no-rule", 4),
    ]
    money = found[1]
    assert (money.corrected, money.wrong, money.right) == (2, 2, 5)
    assert (money.accuracy.k, money.accuracy.n) == (5, 7)
    assert whole(rows).decided == 24


def test_a_share_is_said_from_thirty_on() -> None:
    assert not lines([counted(29)])[0].accuracy.shows_share
    assert lines([counted(30)])[0].accuracy.shows_share


def test_confusions() -> None:
    rows = [counted(3, should_be="letters"), counted(4, should_be="refunds"), counted(9)]
    found = [(one.chosen, one.should_be, one.n) for one in confusions(rows)]
    assert found == [("refunds", "refunds", 4), ("refunds", "letters", 3)]


def test_shares_by_day_and_by_week() -> None:
    rows = [counted(2), counted(3, by="model", day=date(2026, 11, 8))]
    daily = shares(rows, first=DAY, last=date(2026, 11, 8))
    assert [(one.first.day, one.rule, one.model) for one in daily] == [(2, 2, 0), (8, 0, 3)]
    weekly = shares(rows, first=DAY, last=date(2027, 3, 1))
    assert [(one.first.day, one.n) for one in weekly] == [(2, 5)]
