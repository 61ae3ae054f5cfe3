"""Rows and text mean the same, and what rows cannot say is refused with the place."""

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.errors import RuleInvalid
from orchestrator.core.policy.builder import (
    OPERATORS,
    NotSimple,
    Row,
    Rows,
    Scalar,
    Value,
    field_of,
    literal,
    path_of,
    problem_of,
    text_of,
    to_text,
)
from orchestrator.core.policy.builder_reading import to_rows
from orchestrator.core.policy.guardrails import Rule, check_all, compile_condition

FIELDS = ("proposal.args.amount", "proposal.args.tags", "context.note", 'context["order id"]')
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
# No outside data has a NUL in it: see core/codec.py.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = {
    "anything": SCALARS,
    "order": NUMBERS | TEXTS,
    "text": TEXTS,
    "list": st.lists(SCALARS, min_size=1, max_size=4).map(tuple),
    "nothing": st.none(),
}
NAMES = st.lists(TEXTS, min_size=1, max_size=3).map(lambda names: field_of(["proposal", *names]))


@st.composite
def row(draw: st.DrawFn, fields: st.SearchStrategy[str] = NAMES) -> Row:
    operator = draw(st.sampled_from(sorted(OPERATORS)))
    takes = OPERATORS[operator].takes
    field = "proposal.args.amount" if takes == "nothing" else draw(fields)
    return Row(field, operator, draw(VALUES[takes]))


def rows(fields: st.SearchStrategy[str] = NAMES) -> st.SearchStrategy[Rows]:
    lists = st.lists(row(fields), min_size=1, max_size=5).map(tuple)
    return st.builds(lambda found, join: Rows(found, join if len(found) > 1 else "all"), lists,
                     st.sampled_from(["all", "any"]))  # fmt: skip


@given(rows())
def test_what_became_text_becomes_the_same_rows_again(given_rows: Rows) -> None:
    assert all(problem_of(one) == "" for one in given_rows.rows)
    assert repr(to_rows(to_text(given_rows))) == repr(given_rows)


@given(rows())
def test_the_engine_takes_every_text_that_rows_make(given_rows: Rows) -> None:
    try:
        compile_condition(to_text(given_rows))
    except RuleInvalid as error:
        # What somebody writes as a pattern need not be one, and the engine says so with the place.
        assert error.reason.startswith("invalid regular expression")
        assert any(one.operator.endswith("matches") for one in given_rows.rows)


SEEN = st.fixed_dictionaries(
    {},
    optional={
        "amount": SCALARS,
        "tags": st.lists(st.sampled_from(["a", "b", 1, True, None]), max_size=3) | TEXTS,
    },
)
SMALL = {
    "anything": st.sampled_from([None, True, False, 0, 1, -1, 1.0, 1.5, "", "a", "b", "ab"]),
    "order": st.sampled_from([0, 1, -1, 1.5, "a", "b"]),
    "text": st.sampled_from(["", "a", "b", "ab"]),
    "list": st.lists(st.sampled_from([None, True, 1, 1.5, "a"]), min_size=1, max_size=3).map(tuple),
    "nothing": st.none(),
}


@st.composite
def small_rows(draw: st.DrawFn) -> Rows:
    """Over few fields and few values, so that they often hold."""
    operators = draw(st.lists(st.sampled_from(sorted(OPERATORS)), min_size=1, max_size=3))
    found = tuple(
        Row(draw(st.sampled_from(FIELDS[:2])), name, draw(SMALL[OPERATORS[name].takes]))
        for name in operators
    )
    return Rows(found, draw(st.sampled_from(["all", "any"])) if len(found) > 1 else "all")


def said_of(condition: str, args: dict[str, Any]) -> str:
    inputs = {
        "proposal": {"args": args},
        "agent": {},
        "run": {},
        "context": {},
        "history": {},
        "now": datetime(2026, 1, 2, tzinfo=UTC),
    }
    return check_all([Rule(1, "r", 1, "hold", condition, "")], inputs)[0].result


@given(small_rows(), SEEN, st.randoms(use_true_random=False))
def test_a_text_and_its_rows_give_the_same_answer(
    given_rows: Rows, args: dict[str, Any], chance: random.Random
) -> None:
    written = by_hand(given_rows, chance)
    read = to_rows(written)
    assert isinstance(read, Rows), read
    assert said_of(written, args) == said_of(to_text(read), args)


def by_hand(given_rows: Rows, chance: random.Random) -> str:
    """As a person might write it: other spaces, quotes and needless parentheses."""
    texts = [text_of(one) for one in given_rows.rows]
    texts = [f"( {text} )" if chance.random() < 0.3 else text for text in texts]
    texts = [text.replace('"', "'") if chance.random() < 0.3 else text for text in texts]
    return {"all": "&&", "any": "\n  || "}[given_rows.join].join(texts)


@pytest.mark.parametrize(
    ("one", "args", "result"),
    [
        (Row("proposal.args.amount", "at_most", 500), {"amount": 500}, "pass"),
        (Row("proposal.args.amount", "at_most", 500), {"amount": 501}, "fail"),
        (Row("proposal.args.amount", "below", 500.5), {"amount": 501}, "fail"),
        (Row("proposal.args.amount", "at_most", 500), {}, "error"),
        (Row("proposal.args.amount", "given"), {}, "fail"),
        (Row("proposal.args.amount", "missing"), {}, "pass"),
        (Row("proposal.args.tags", "includes", "a"), {"tags": ["a"]}, "pass"),
        (Row("proposal.args.tags", "excludes", "a"), {"tags": ["a"]}, "fail"),
        (Row("proposal.args.tags", "one_of", ("a", "b")), {"tags": "b"}, "pass"),
        (Row("proposal.args.tags", "none_of", ("a", "b")), {"tags": "b"}, "fail"),
        (Row("proposal.args.tags", "starts_with", "a"), {"tags": "ab"}, "pass"),
        (Row("proposal.args.tags", "lacks", "b"), {"tags": "ab"}, "fail"),
        (Row("proposal.args.tags", "not_matches", "^a+$"), {"tags": "aab"}, "pass"),
    ],
)
def test_operators_do_what_they_say(one: Row, args: dict[str, Any], result: str) -> None:
    assert said_of(text_of(one), args) == result


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("context.confirmed", "compare it with true"),
        ("!context.confirmed", "compare it with false"),
        ("a.b + 1 < 5", "no “+” (line 1, column 5)"),
        ("size(a.b) < 5", "rows have no size()"),
        ("a.b.all(x, x > 1)", "rows have no all()"),
        ("now < timestamp('2027-01-01T00:00:00Z')", "rows have no timestamp()"),
        ("5 < a.b", "write the field first"),
        ("a.b < c.d", "compares two fields"),
        ("a.b in c.d", "looks into another field"),
        ("(a.b == 1 || a.c == 2) &&\na.d == 3", "parentheses hold several"),
        ("a.b == 1 &&\na.c == 2 || a.d == 4", "mixes “and” with “or” (line 2, column 10)"),
        ("// why\na.b == 1", "comment"),
        ("a.b == 1u", "rows have no"),
        ("a.b == r'x'", "rows have no “r'x'”"),
        ("a.b == '''x'''", "rows have no"),
        ("a.b ? true : false", "rows have no “?”"),
        ("a[0] == 1", "by its place"),
        ("a.b == '\\ud800'", "no character"),
        ("a.b == 99999999999999999999", "too large"),
        ("a.b == 1e999", "too large"),
        ("a.b < true", "number"),
        ("a.b.contains(5)", "text"),
        ("has(a)", "after a dot"),
        ("!!has(a.b)", "a fixed value is wanted"),
        ("a.in == 1", "wanted"),
        ("", "wanted here (line 1, column 1)"),
        ("(" * 5_000, "too many parentheses"),
        (" && ".join(["a.b == 1"] * 51), "more than 50 rows"),
        ("a.b == 1 " * 2_000, "longer than"),
    ],
)
def test_what_rows_cannot_say_is_refused_with_the_reason(text: str, reason: str) -> None:
    found = to_rows(text)
    assert isinstance(found, NotSimple)
    assert reason in found.reason


@pytest.mark.parametrize(
    ("one", "problem"),
    [
        (Row("", "is", 1), "Write a field"),
        (Row("amount minor", "is", 1), "Write a field"),
        (Row("proposal.args.", "is", 1), "Write a field"),
        (Row("proposal.a", "resembles", 1), "Choose an operator"),
        (Row("proposal.a", "at_most", None), "Give a number"),
        (Row("proposal.a", "at_most", float("inf")), "too large"),
        (Row("proposal.a", "is", 2**63), "too large"),
        (Row("proposal.a", "is", "a\0"), "NUL"),
        (Row("proposal.a", "is", (1, 2)), "a single value"),
        (Row("proposal.a", "one_of", ()), "at least one"),
        (Row("proposal.a", "matches", 5), "Give a text"),
        (Row('proposal["a b"]', "given"), "after a dot"),
    ],
)
def test_a_row_says_what_is_wrong_with_it(one: Row, problem: str) -> None:
    assert problem in problem_of(one)


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_every_path_can_be_written_and_read(names: list[str]) -> None:
    assert path_of(field_of(["proposal", *names])) == ("proposal", *names)


@given(SCALARS)
def test_the_engine_reads_every_value_as_it_was_meant(value: Value) -> None:
    scalar: Scalar = value  # type: ignore[assignment]
    assert said_of(f"proposal.args.x == {literal(scalar)}", {"x": scalar}) == "pass"


@given(st.text(max_size=60))
def test_any_text_has_an_answer(text: str) -> None:
    assert isinstance(to_rows(text), Rows | NotSimple)
