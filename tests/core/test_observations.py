from typing import Any

import pytest

from orchestrator.core import schemas
from orchestrator.core.errors import OutputInvalid
from orchestrator.core.observations import (
    Limits,
    Scope,
    answer_schema,
    open_envelope,
    read_wishes,
)

LIMITS = Limits(value_bytes=100, tags=2, ttl_s=3_600)
SCOPE = Scope(space="", reads=("facts",), writes=("facts", "plan"), at_most=50)
READER = Scope(space="", reads=("facts",), writes=(), at_most=50)


def wish(**changes: Any) -> dict[str, Any]:
    return {"key": "customer", "value": {"vip": True}, "tags": ["facts"]} | changes


def test_what_is_wanted_remembered_is_read() -> None:
    (found,) = read_wishes(SCOPE, [wish(tags=["plan", "facts"], ttl_s=60)], LIMITS)
    assert (found.key, found.value, found.ttl_s) == ("customer", {"vip": True}, 60)
    assert found.tags == ("facts", "plan")


def test_without_a_time_it_lives_as_long_as_anything_may() -> None:
    assert read_wishes(SCOPE, [wish()], LIMITS)[0].ttl_s == 3_600


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"tags": ["secret"]}, "/tags"),
        ({"tags": []}, "/tags"),
        ({"tags": ["facts", "facts"]}, "/tags"),
        ({"tags": ["facts", "plan", "facts"]}, "/tags"),
        ({"tags": ["facts", 7]}, "/tags"),
        ({"tags": "facts"}, "/tags"),
        ({"key": ""}, "/key"),
        ({"key": 7}, "/key"),
        ({"key": "a" * 201}, "/key"),
        ({"key": "two\nlines"}, "/key"),
        ({"key": "nul\x00"}, "/key"),
        ({"key": "\u202egnp.exe"}, "/key"),
        ({"key": " padded"}, "/key"),
        ({"value": "x" * 100}, "/value"),
        ({"value": "nul\x00"}, "/value"),
        ({"value": "\ud800"}, "/value"),
        ({"value": float("nan")}, "/value"),
        ({"ttl_s": 0}, "/ttl_s"),
        ({"ttl_s": -1}, "/ttl_s"),
        ({"ttl_s": 3_601}, "/ttl_s"),
        ({"ttl_s": True}, "/ttl_s"),
        ({"ttl_s": 1.5}, "/ttl_s"),
        ({"space": "elsewhere"}, ""),
        ({"revoked_at": None}, ""),
    ],
)
def test_what_may_not_be_written_is_refused_with_its_place(
    changes: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(OutputInvalid) as refusal:
        read_wishes(SCOPE, [wish(key="first"), wish(**changes)], LIMITS)
    assert refusal.value.pointer == f"/remember/1{pointer}"


def test_a_value_that_is_nested_without_end_is_refused() -> None:
    deep: Any = []
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(OutputInvalid):
        read_wishes(SCOPE, [wish(value=deep)], Limits(1_000_000, 2, 60))


def test_one_answer_says_nothing_twice() -> None:
    with pytest.raises(OutputInvalid, match="twice"):
        read_wishes(SCOPE, [wish(), wish(value=2)], LIMITS)


def test_who_may_write_answers_in_an_envelope() -> None:
    assert open_envelope(SCOPE, {"output": 7}) == (7, [])
    assert open_envelope(SCOPE, {"output": 7, "remember": [1]}) == (7, [1])
    for bare in (7, None, [], {}, {"remember": []}, {"output": 7, "else": 1}):
        with pytest.raises(OutputInvalid):
            open_envelope(SCOPE, bare)
    for wishes in ({}, "x", None, [{}] * 101):
        with pytest.raises(OutputInvalid):
            open_envelope(SCOPE, {"output": 7, "remember": wishes})


def test_who_may_not_write_has_no_envelope() -> None:
    for scope in (None, READER):
        assert open_envelope(scope, {"output": 7, "remember": [1]}) == (
            {"output": 7, "remember": [1]},
            (),
        )


def test_the_agent_is_told_what_to_answer() -> None:
    schema = answer_schema({"type": "integer"}, SCOPE)
    assert isinstance(schema, dict)
    assert schemas.check(schema, {"output": 7, "remember": [wish(ttl_s=5)]}) == []
    assert schemas.check(schema, {"output": "seven"})
    assert schemas.check(schema, {"output": 7, "remember": [wish(tags=["secret"])]})
    assert answer_schema({"type": "integer"}, READER) == {"type": "integer"}
    assert answer_schema(None, None) is None
