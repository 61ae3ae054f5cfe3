"""What people type into rows, and what rows are shown as: nothing changes on the way there and back."""

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.policy.builder import NotSimple, Row, Rows, Scalar, to_text
from orchestrator.core.policy.builder_reading import to_rows
from review.rule_rows import (
    TOO_LONG,
    TYPED_MAX,
    RowDraft,
    RowsDraft,
    read_list,
    read_rows,
    read_scalar,
    show_rows,
    show_scalar,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["1", "true", "null", '"x"', "a,b", " a ", '"', "NaN", "1e5", "", "Infinity"]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)


@given(SCALARS)
def test_a_value_is_read_as_it_was_shown(value: Scalar) -> None:
    shown = show_scalar(value, is_text=False)
    assert repr(read_scalar(shown, is_text=False)) == repr(value)


@given(TEXTS)
def test_a_text_of_a_text_field_is_read_as_it_was_shown(value: str) -> None:
    assert read_scalar(show_scalar(value, is_text=True), is_text=True) == value


@given(st.lists(SCALARS, min_size=1, max_size=4).map(tuple))
def test_a_list_is_read_as_it_was_shown(values: tuple[Scalar, ...]) -> None:
    shown = ", ".join(show_scalar(value, is_text=False, in_list=True) for value in values)
    assert repr(read_list(shown, is_text=False)) == repr(values)


@pytest.mark.parametrize(
    ("typed", "is_text", "value"),
    [
        ("50000", False, 50_000),
        ("50000", True, "50000"),
        ("-1.5", False, -1.5),
        ("true", False, True),
        ("EUR", False, "EUR"),
        ('"5"', False, "5"),
        ('"5"', True, "5"),
        ("007", False, "007"),
        ("1,000", False, "1,000"),
        ("[1]", False, "[1]"),
        ("NaN", False, "NaN"),
    ],
)
def test_what_looks_like_a_number_is_one(typed: str, is_text: bool, value: Scalar) -> None:
    assert repr(read_scalar(typed, is_text=is_text)) == repr(value)


def test_rows_are_read_by_the_types_of_their_fields() -> None:
    draft = RowsDraft((RowDraft("proposal.args.order", "is", "2024"),), "any")
    read = read_rows(draft, ["proposal.args.order"])
    assert read == Rows((Row("proposal.args.order", "is", "2024"),))


def test_a_text_field_compared_with_a_number_stays_text() -> None:
    found = to_rows("proposal.args.order == 2024")
    assert isinstance(found, Rows)
    refused = show_rows(found, ["proposal.args.order"])
    assert isinstance(refused, NotSimple)
    assert "proposal.args.order holds text" in refused.reason
    shown = show_rows(found, [])
    assert isinstance(shown, RowsDraft)
    assert to_text(found) == "proposal.args.order == 2024"


def test_nested_brackets_are_a_text() -> None:
    assert read_scalar("[" * 200_000, is_text=False) == "[" * 200_000


@pytest.mark.parametrize(
    "typed",
    ["x" + " " * 20_000 + "x", " " * 20_000, '"' + "a" * 20_000, '"a" x,' * 4_000, '"' * 20_000],
)
def test_a_long_list_is_read_in_one_go(typed: str) -> None:
    began = process_time()
    read_list(typed, is_text=False)
    assert process_time() - began < 0.5


@pytest.mark.parametrize(
    "changes",
    [{"field": "a." * TYPED_MAX}, {"value": "x" * (TYPED_MAX + 1)}, {"value": "[" * 9_999}],
)
def test_what_is_too_long_for_a_row_is_said_and_kept(changes: dict[str, str]) -> None:
    row = RowDraft("context.name", "is", "x")._replace(**changes)
    read = read_rows(RowsDraft((row,)), [])
    assert read == RowsDraft((row._replace(problem=TOO_LONG),))


def test_a_long_value_is_written_as_text_and_not_as_a_row() -> None:
    found = to_rows(f'context.name == "{"x" * (TYPED_MAX + 1)}"')
    assert isinstance(found, Rows)
    refused = show_rows(found, [])
    assert isinstance(refused, NotSimple)
    assert "2,000 characters" in refused.reason
