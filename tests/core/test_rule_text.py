"""A rule as a document: what makes no difference is left out, and what does is named."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core import yaml_text
from orchestrator.core.errors import Problem
from orchestrator.core.policy import rule_text
from orchestrator.core.policy.rule_text import Change, Document
from tests.core.test_yaml_text import LETTERS, TEXTS, only

CANONICAL = """\
slug: refund-limit
title: Refunds over the limit need a person
applies_to:
  actions: [refund.create]
effect: hold
require: |-
  proposal.args.amount_minor <= 50000
    && history.refunds_today < 3
message: "Refund of {proposal.args.amount_minor}: too much"
owner: payments
history:
  refunds_today:
    count:
      actions: [refund.create]
      same: [agent, args.customer_id]
      status: accepted
    within: 24h
  spent:
    sum: args.amount_minor
    of:
      same: [agent]
    within: 7d
"""


def document(**changes: Any) -> Document:
    values = {"slug": "a", "title": "A", "effect": "hold", "require": "true"}
    return Document(**{**values, **changes})


def raw(**changes: Any) -> dict[str, Any]:
    return {"slug": "a", "title": "A", "effect": "hold", "require": "true", **changes}


def test_a_canonical_file_is_written_as_it_was_read() -> None:
    value = only(CANONICAL).value
    assert isinstance(value, dict)
    assert rule_text.problems_of(value) == []
    assert yaml_text.write(rule_text.as_json(rule_text.from_json(value))) == CANONICAL


patterns = st.lists(TEXTS.filter(bool), min_size=1, max_size=3)
windows = st.dictionaries(
    TEXTS,
    st.fixed_dictionaries({"within": TEXTS, "count": st.dictionaries(TEXTS, patterns, max_size=3)}),
    max_size=3,
)
documents = st.builds(
    Document,
    slug=st.text(st.sampled_from("abcNO01_-"), min_size=1, max_size=20),
    title=st.text(LETTERS, min_size=1, max_size=50) | TEXTS.filter(bool),
    effect=st.sampled_from(["block", "hold", "two_person", "flag"]),
    require=TEXTS.filter(bool),
    message=TEXTS,
    owner=TEXTS.map(lambda text: text[:100]),
    applies_to=st.dictionaries(st.sampled_from(rule_text.SCOPES), patterns),
    history=windows,
)


@given(documents)
def test_every_document_survives_its_file(one: Document) -> None:
    text = yaml_text.write(rule_text.as_json(one))
    value = only(text).value
    assert isinstance(value, dict)
    assert rule_text.problems_of(value) == []
    back = rule_text.from_json(value)
    assert rule_text.canonical(back) == rule_text.canonical(one)
    assert rule_text.changes(one, back) == []
    assert yaml_text.write(rule_text.as_json(back)) == text


@given(documents, documents)
def test_documents_differ_exactly_when_a_change_is_named(one: Document, other: Document) -> None:
    named = [*rule_text.changes(one, other), *([one.slug] if one.slug != other.slug else [])]
    assert bool(named) == (rule_text.canonical(one) != rule_text.canonical(other))


def test_what_makes_no_difference_is_left_out() -> None:
    assert rule_text.as_json(document()) == raw()
    same = document(applies_to={"agents": ["*"], "tiers": ("*",)}, history={}, message="", owner="")
    assert rule_text.canonical(same) == rule_text.canonical(document())
    twice = document(applies_to={"actions": ["x", "y", "x"], "agents": ["a", "*"]})
    assert rule_text.as_json(twice)["applies_to"] == {"actions": ["x", "y"]}
    stored = document(history={"b": {"within": "1h", "count": {}}, "a": {}})
    sent = document(history={"a": {}, "b": {"count": {}, "within": "1h"}})
    assert list(rule_text.as_json(stored)["history"]) == ["a", "b"]  # type: ignore[arg-type]
    assert rule_text.as_json(stored) == rule_text.as_json(sent)
    assert str(rule_text.as_json(stored)) == str(rule_text.as_json(sent))


def test_a_version_says_what_its_row_says() -> None:
    version = SimpleNamespace(
        rule=SimpleNamespace(slug="a", owner="payments"),
        title="A",
        effect="hold",
        condition="true",
        message="",
        applies_to={"actions": ["x"]},
        history={},
    )
    assert rule_text.as_json(rule_text.document_of(version)) == raw(
        owner="payments", applies_to={"actions": ["x"]}
    )


@pytest.mark.parametrize(
    ("value", "problems"),
    [
        ([], [Problem("", "must be an object; it is []")]),
        ({"slug": "a"}, [("", f"“{name}” is missing") for name in ("title", "effect", "require")]),
        (
            raw(slug="a b"),
            [("/slug", '"a b" does not fit: use letters, digits, hyphens and underscores only')],
        ),
        (raw(effekt="hold"), [("/effekt", "does not belong here. Did you mean “effect”?")]),
        (
            raw(effect="stop"),
            [("/effect", 'must be "block", "hold", "two_person" or "flag"; it is "stop"')],
        ),
        (raw(effect=True), [("/effect", "must be a string; it is true")]),
        (raw(require=""), [("/require", "must not be empty")]),
        (raw(applies_to={"actions": []}), [("/applies_to/actions", "must not be empty")]),
        (raw(applies_to={"actions": "x"}), [("/applies_to/actions", 'must be a list; it is "x"')]),
        (
            raw(applies_to={"action": ["x"]}),
            [("/applies_to/action", "does not belong here. Did you mean “actions”?")],
        ),
        (raw(owner="x" * 101), [("/owner", "may have at most 100 characters; it has 101")]),
    ],
)
def test_a_document_of_another_form_is_refused_with_every_place(
    value: Any, problems: list[Any]
) -> None:
    found = rule_text.problems_of(value)
    if isinstance(value, dict) and value.get("effect") is True:
        found = found[:1]
    assert found == problems


def test_changes_name_what_decides_before_what_is_only_words() -> None:
    old = document(
        applies_to={"actions": ["refund.create"]},
        history={"today": {"count": {}, "within": "1h"}, "week": {"count": {}, "within": "7d"}},
        owner="payments",
    )
    new = document(
        title="B",
        effect="block",
        require="false",
        message="No",
        applies_to={"actions": ["refund.*"], "agents": ["a", "b"]},
        history={"today": {"count": {}, "within": "2h"}, "all": {"count": {}, "within": "30d"}},
    )
    assert rule_text.changes(old, new) == [
        Change("effect", "hold", "block"),
        Change("applies_to.actions", "refund.create", "refund.*"),
        Change("applies_to.agents", "*", "a, b"),
        Change("require", "true", "false"),
        Change("history.all", "", '{"count":{},"within":"30d"}'),
        Change("history.today", '{"count":{},"within":"1h"}', '{"count":{},"within":"2h"}'),
        Change("history.week", '{"count":{},"within":"7d"}', ""),
        Change("message", "", "No"),
        Change("title", "A", "B"),
        Change("owner", "payments", ""),
    ]


def test_lines_that_stay_and_lines_that_change_are_told_apart() -> None:
    assert rule_text.line_diff("a\nb\nc", "a\nB\nc") == [" a", "-b", "+B", " c"]
    assert rule_text.line_diff("a\n", "a\n") == [" a", " "]
    assert rule_text.line_diff("a", "a\nb") == [" a", "+b"]
    before = "\n".join("abcdefgh")
    after = before.replace("b", "B").replace("g", "G")
    assert rule_text.line_diff(before, after, around=1) == [
        *("@@", " a", "-b", "+B", " c"),
        *("@@", " f", "-g", "+G", " h"),
    ]
    assert rule_text.line_diff(before, after.replace("G", "g"), around=1) == [
        *(" a", "-b", "+B", " c")
    ]
