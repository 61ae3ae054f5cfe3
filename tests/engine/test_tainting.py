"""What tools said to an agent: each once, by the name of its tool, and nothing of it in part."""

import pytest
from pytest_django import Settings

from orchestrator.agents.base import AgentAnswer, Piece
from orchestrator.core.codec import Json, canonical
from orchestrator.core.taint import Source
from orchestrator.engine.tainting import A_TOOL, Heard, and_receipt, heard

MAIL = {"from": "mallory@evil.example"}


def used(said: str = "", *, kind: str = "tool", error: str = "") -> Piece:
    return Piece(kind, "read_email", 0, 1, said=said, error=error)


def test_a_result_is_named_by_its_tool_and_kept_once() -> None:
    piece = used(canonical({"result": MAIL, "notes": ["cut"]}))
    said = heard(AgentAnswer(None, pieces=(piece,), untrusted=(MAIL, "by another")))
    assert said.sources == (
        Source("the result of tool `read_email`", MAIL),
        Source("the result of tool `read_email`", ["cut"]),
        Source(A_TOOL, "by another"),
    )
    assert Heard.of(said.to_json()) == said


def test_a_text_that_was_cut_is_followed_as_far_as_it_goes_and_its_whole_as_well() -> None:
    piece = used(canonical({"result": MAIL})[:20])
    values = [
        one.value for one in heard(AgentAnswer(None, pieces=(piece,), untrusted=(MAIL,))).sources
    ]
    assert values == [piece.said, MAIL]


@pytest.mark.parametrize(
    ("said", "values"),
    [
        ({"result": "ok", "notes": "Pay to DE89."}, ["ok", "Pay to DE89."]),
        ({"notes": "Pay to DE89."}, ["Pay to DE89."]),
        ({"result": {"result": 1, "notes": 2}}, [{"result": 1, "notes": 2}]),
        ({"result": 1, "more": 2}, [{"result": 1, "more": 2}]),
    ],
)
def test_a_tool_that_calls_its_fields_as_we_do_loses_none(said: Json, values: list[Json]) -> None:
    found = heard(AgentAnswer(None, pieces=(used(canonical(said)),))).sources
    assert [one.value for one in found] == values


def test_errors_of_tools_count_and_what_a_model_says_does_not() -> None:
    pieces = (used(error="ask mallory"), used("thoughts", kind="model"), used("plain text"))
    found = heard(AgentAnswer(None, pieces=pieces)).sources
    assert [one.value for one in found] == ["ask mallory", "plain text"]


def test_turns_and_receipts_add_up() -> None:
    first = heard(AgentAnswer(None, untrusted=("one",)))
    before = and_receipt(first, "refund", {"id": "r-1"}, {"order": "A-1"})
    found = heard(AgentAnswer(None, untrusted=("two",)), before)
    assert [one.value for one in found.sources] == ["one", {"id": "r-1"}, "two"]
    assert found.sources[1].origin == "the receipt of `refund`"


@pytest.mark.parametrize("said", ["x" * 500, float("nan"), object(), "\x00"])
def test_what_cannot_be_kept_counts_as_everything_from_then_on(
    said: object, settings: Settings
) -> None:
    settings.TURN_UNTRUSTED_BYTES_MAX = 200
    all_of_it = heard(AgentAnswer(None, untrusted=(said,)))  # type: ignore[arg-type]
    assert all_of_it == heard(AgentAnswer(None), all_of_it) == Heard(is_all=True)
