"""How people meet an action: what a contract may say about it, and what is made of what was stored."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.policy.display import (
    DEFAULT,
    KINDS,
    VERBS,
    Review,
    Show,
    pointer_of,
    read_review,
    review_problems,
    split_heading,
)

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "amount_minor": {"type": "integer"},
        "currency": {"enum": ["EUR"]},
        "patch": {"type": "string"},
        "before": {"type": "string"},
        "a/b": {"type": "string"},
        "customer": {"$ref": "#/$defs/person"},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"sku": {}}}},
    },
    "$defs": {"person": {"type": "object", "properties": {"name": {"type": "string"}}}},
}
MONEY = {"as": "money", "currency": "/currency"}
WHOLE: dict[str, Any] = {
    "heading": "Refund {amount_minor} for {target} of {customer/name}",
    "shows": {
        "/amount_minor": MONEY,
        "/patch": {"as": "diff", "old": "/before"},
        "/customer/name": {"as": "text"},
        "/lines": {"as": "table"},
        "/lines/0/sku": {"as": "value"},
        "/a~1b": {"as": "sql"},
    },
    "verbs": ["reject", "approve", "respond"],
    "undo_s": 30,
}


def test_what_is_sound_has_no_problems_and_is_read() -> None:
    assert review_problems(WHOLE, SCHEMA) == []
    review = read_review(WHOLE)
    assert review.heading == WHOLE["heading"]
    assert review.shows["/amount_minor"] == Show("money", {"currency": "/currency"})
    assert review.shows["/lines"] == Show("table")
    # In the order in which pages have them, whatever the order they were written in.
    assert review.verbs == ("approve", "respond", "reject")
    assert review.undo_s == 30


def test_an_action_that_says_nothing_has_all_verbs_and_the_setting_for_undo() -> None:
    assert read_review({}) == DEFAULT == Review()
    assert DEFAULT.verbs == VERBS
    assert DEFAULT.undo_s is None
    assert read_review({"undo_s": 0}).undo_s == 0
    assert review_problems({}, {"type": "object"}) == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_named(kind: str) -> None:
    show = {"as": kind} | dict.fromkeys(KINDS[kind].needs, "/currency")
    assert review_problems({"shows": {"/patch": show}}, SCHEMA) == []
    assert read_review({"shows": {"/patch": show}}).shows["/patch"].kind == kind


def test_a_currency_may_be_named_by_its_code() -> None:
    shows = {"/amount_minor": {"as": "money", "currency": "EUR"}}
    assert review_problems({"shows": shows}, SCHEMA) == []


@pytest.mark.parametrize(
    ("said", "pointer", "reason"),
    [
        ([], "/review", "object"),
        ({"titel": "x"}, "/review/titel", "Known: heading, shows, undo_s, verbs"),
        ({"heading": 5}, "/review/heading", "one line"),
        ({"heading": "x" * 121}, "/review/heading", "at most 120"),
        ({"heading": "a\nb"}, "/review/heading", "one line"),
        ({"heading": "a\u202eb"}, "/review/heading", "nobody sees"),
        ({"heading": "Pay {amount}"}, "/review/heading", "names “amount”, but"),
        ({"heading": "Pay {amount_minor"}, "/review/heading", "brace"),
        ({"heading": "Pay {}"}, "/review/heading", "names “”"),
        ({"heading": "{target}" * 7}, "/review/heading", "more than 6"),
        ({"heading": "{lines/*/sku}"}, "/review/heading", "names one argument"),
        ({"shows": []}, "/review/shows", "object"),
        ({"shows": {"/amout_minor": MONEY}}, "/review/shows/~1amout_minor", "amount_minor"),
        ({"shows": {"amount_minor": MONEY}}, "/review/shows/amount_minor", "JSON Pointer"),
        ({"shows": {"/lines/*/sku": {"as": "text"}}}, "/review/shows/~1lines~1*~1sku", "one arg"),
        ({"shows": {"/patch": "diff"}}, "/review/shows/~1patch", "“as”: money, diff"),
        ({"shows": {"/patch": {"as": "dif"}}}, "/review/shows/~1patch/as", "mean “diff”"),
        ({"shows": {"/patch": {"as": "sql", "old": "/before"}}}, "/review/shows/~1patch/old", ""),
        ({"shows": {"/amount_minor": {"as": "money"}}}, "/review/shows/~1amount_minor", "needs"),
        (
            {"shows": {"/amount_minor": {"as": "money", "currency": "/curency"}}},
            "/review/shows/~1amount_minor/currency",
            "Did you mean “currency”",
        ),
        ({"verbs": ["approve"]}, "/review/verbs", "no “reject”"),
        ({"verbs": ["edit", "reject"]}, "/review/verbs", "no “approve”"),
        ({"verbs": ["approve", "reject", "delete"]}, "/review/verbs/2", "nothing that people"),
        ({"verbs": ["approve", "reject", "reject"]}, "/review/verbs", "twice"),
        ({"verbs": "approve"}, "/review/verbs", "list"),
        ({"verbs": [["approve"]]}, "/review/verbs", "list"),
        ({"undo_s": -1}, "/review/undo_s", "0 to 3,600"),
        ({"undo_s": 3601}, "/review/undo_s", "0 to 3,600"),
        ({"undo_s": True}, "/review/undo_s", "whole number"),
        ({"undo_s": 1.5}, "/review/undo_s", "whole number"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(said: Any, pointer: str, reason: str) -> None:
    (problem, *_) = review_problems(said, SCHEMA)
    assert problem.pointer == pointer
    assert reason in problem.reason


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(VERBS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["heading", "shows", "verbs", "undo_s", "as", "/patch", "currency"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(JSON)
def test_whatever_was_stored_is_read_without_fail(stored: Any) -> None:
    review = read_review(stored)
    assert {"approve", "reject"} <= set(review.verbs) <= set(VERBS)
    assert review.undo_s is None or 0 <= review.undo_s <= 3_600
    review_problems(stored, SCHEMA)


def test_headings_are_taken_apart() -> None:
    assert split_heading("Pay {a/b} to {target}") == ["Pay ", "a/b", " to ", "target", ""]
    assert pointer_of("amount_minor") == "/amount_minor"
    assert pointer_of("/target") == "/target"
