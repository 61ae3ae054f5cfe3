"""A set of labelled examples is as it was written, or says where it is not."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.codec import canonical, digest, read
from orchestrator.core.errors import EvaluationSetBroken
from orchestrator.core.evaluation_sets import Example, check, lines

ARGS = {"amount_minor": 1_990, "note": "it’s “fine”\u2028"}
EXAMPLE = Example(
    proposal="prp_01m7zgp2hwe4pbb5q5mzhdttte",
    at="2026-11-21T16:57:56+00:00",
    should_run=False,
    said_by="audit",
    drew=True,
    agent="refund-agent",
    agent_version="3",
    model="m",
    action="refund.create",
    contract="refund.create v2",
    target="order/77",
    args=ARGS,
    payload_digest=digest(
        canonical({"action": "refund.create", "args": ARGS, "target": "order/77"})
    ),
    confidence=0.93,
    disposition="accept",
    rules=[],
)
ASKED = {"made_at": "2026-11-21T17:00:00+00:00", "action": ""}


def written(count: int) -> list[str]:
    return list(lines([replace(EXAMPLE, proposal=f"p{n}") for n in range(count)], ASKED))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_what_was_written_is_whole(count: int) -> None:
    found = written(count)
    assert len(found) == count + 2
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in found)
    assert check(found).examples == count
    assert check([*found[:-1], found[-1].rstrip("\n")]).examples == count


def test_a_line_says_everything_of_an_example() -> None:
    data = read(written(1)[1])
    assert isinstance(data, dict)
    assert data["should_run"] is False
    assert data["args"] == ARGS
    assert list(data) == sorted(data)


def test_only_where_something_is_hidden_a_line_says_so() -> None:
    hidden = replace(EXAMPLE, args=ARGS | {"note": "(masked)"}, masked=["/note"])
    found = list(lines([EXAMPLE, hidden], ASKED))
    assert "masked" not in found[1]
    assert '"masked":["/note"]' in found[2]
    # The digest stays that of what was proposed, and is no reason to refuse it.
    assert check(found).examples == 2
    with pytest.raises(EvaluationSetBroken):
        check([*found[:2], found[2].replace("(masked)", "(marked)"), found[3]])


def _cut(found: list[str]) -> list[str]:
    return found[:-1]


def _without_one(found: list[str]) -> list[str]:
    return [found[0], *found[2:]]


def _twice(found: list[str]) -> list[str]:
    return [*found[:2], *found[1:]]


def _in_another_order(found: list[str]) -> list[str]:
    return [found[0], found[2], found[1], *found[3:]]


def _label_turned(found: list[str]) -> list[str]:
    return [line.replace('"should_run":false', '"should_run":true') for line in found]


def _of_two_sets(found: list[str]) -> list[str]:
    return [*found, *found]


@pytest.mark.parametrize(
    "harm", [_cut, _without_one, _twice, _in_another_order, _label_turned, _of_two_sets]
)
def test_what_was_changed_is_found(harm: Callable[[list[str]], list[str]]) -> None:
    with pytest.raises(EvaluationSetBroken):
        check(harm(written(3)))


def test_other_arguments_are_found_at_their_line() -> None:
    found = [line.replace("1990", "1991") for line in written(3)]
    with pytest.raises(EvaluationSetBroken) as refusal:
        check(found)
    assert refusal.value.line == 2


@pytest.mark.parametrize(
    "text", ["", "\n", "null\n", "[]\n", "{}\n", "{", '{"evaluation_set":2}\n{"seal":""}\n', "\x00"]
)
def test_something_else_is_no_set(text: str) -> None:
    with pytest.raises(EvaluationSetBroken):
        check(text.splitlines(keepends=True))


@given(st.data())
def test_no_letter_can_be_changed(data: st.DataObject) -> None:
    text = "".join(written(2))
    at = data.draw(st.integers(0, len(text) - 2))
    other = data.draw(st.characters(codec="utf-8").filter(lambda letter: letter != text[at]))
    changed = text[:at] + other + text[at + 1 :]
    with pytest.raises(EvaluationSetBroken):
        check(changed.split("\n") if "\r" in other else [*_lines_of(changed)])


def _lines_of(text: str) -> list[str]:
    """As a file is read that keeps its line ends: after a line feed and nothing else."""
    return [f"{line}\n" for line in text.removesuffix("\n").split("\n")]
