"""What is said about two wordings of a rule: first what it means."""

import pytest

from orchestrator.core.policy.compare import LOOSER, STRICTER, Difference, compare
from orchestrator.core.policy.rule_text import Document

LIMIT = Document(
    slug="refund-limit",
    title="Refunds over the limit need a person",
    effect="hold",
    require="proposal.args.amount_minor <= 50000",
    applies_to={"actions": ["refund.create"]},
)


def changed(**fields: object) -> Document:
    values = {name: getattr(LIMIT, name) for name in LIMIT.__dataclass_fields__}
    return Document(**(values | fields))  # type: ignore[arg-type]


def differences(before: str, after: str) -> list[Difference]:
    return list(compare(changed(require=before), changed(require=after)).differences)


def test_a_limit_that_moved_is_told_as_such() -> None:
    found = compare(LIMIT, changed(require="proposal.args.amount_minor <= 75000"))
    assert found.differences == (
        Difference("proposal.args.amount_minor is at most", "50000", "75000", LOOSER),
    )
    assert found.unchanged == ("effect", "where it applies", "what it asks of the past", "message")


@pytest.mark.parametrize(
    ("before", "after", "what", "bearing"),
    [
        ("a.b <= 5", "a.b <= 4", "a.b is at most", STRICTER),
        ("a.b > 5", "a.b > 6", "a.b is above", STRICTER),
        ("a.b in ['x']", "a.b in ['x', 'y']", "a.b is one of", LOOSER),
        ("!(a.b in ['x'])", "!(a.b in ['x', 'y'])", "a.b is none of", STRICTER),
        ("a.b in ['x']", "a.b in ['y']", "a.b is one of", ""),
        ("a.b == 'x'", "a.b == 'y'", "a.b is", ""),
        ("a.b <= 5", "a.b < 5", "a.b", ""),
        ("size(a.b) <= 5", "size(a.b) <= 6", "size(a.b) <=", ""),
    ],
)
def test_one_value_that_changed(before: str, after: str, what: str, bearing: str) -> None:
    (found,) = differences(before, after)
    assert (found.what, found.bearing) == (what, bearing)


@pytest.mark.parametrize(
    ("before", "after", "bearings"),
    [
        ("a.b <= 5", "a.b <= 5 && a.c == 1", [STRICTER]),
        ("a.b <= 5 && a.c == 1", "a.c == 1", [LOOSER]),
        ("a.b <= 5", "a.b <= 5 || a.c == 1", [LOOSER]),
        ("a.b <= 5 || a.c == 1", "a.b <= 5", [STRICTER]),
        ("a.b <= 5 && a.c == 1", "a.b <= 5 || a.c == 1", [""]),
        ("a.b <= 5 && a.c == 1", "a.b <= 5 || a.d == 1", ["", "", ""]),
    ],
)
def test_rows_that_came_and_went(before: str, after: str, bearings: list[str]) -> None:
    assert [one.bearing for one in differences(before, after)] == bearings


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("a.b == 1 && a.c == 2", "a.c == 2 && a.b == 1", "another order"),
        ("a.b=='x'", 'a.b == "x"', "the same meaning"),
        ("size(a.b) < 5", "size(a.b)\n  < 5", "only spaces"),
        ("size(a.b) < 5", "a.b.all(x, x > 5)", "written anew"),
    ],
)
def test_what_only_looks_different(before: str, after: str, said: str) -> None:
    (found,) = differences(before, after)
    assert said in found.after


def test_effect_scope_and_words() -> None:
    found = compare(
        LIMIT,
        changed(
            effect="block",
            applies_to={"actions": ["refund.create", "credit.grant"], "agents": ["a"]},
            message="no",
            history={"n": {"count": {}, "within": "1h"}},
        ),
    )
    told = {one.what: (one.before, one.after, one.bearing) for one in found.differences}
    assert told == {
        "effect": ("hold", "block", STRICTER),
        "applies to actions": ("refund.create", "refund.create, credit.grant", STRICTER),
        "applies to agents": ("*", "a", LOOSER),
        "history.n": ("", '{"count":{},"within":"1h"}', ""),
        "message": ("", "no", ""),
    }
    assert found.unchanged == ("condition",)


def test_equal_wordings_have_no_difference() -> None:
    assert compare(LIMIT, LIMIT).differences == ()
