"""Members that do not see each other, and a judge that goes by a rubric."""

from typing import Any

import pytest

from orchestrator.core import commands as cm
from orchestrator.core import events as ev
from orchestrator.core.handing import fill_in
from orchestrator.core.patterns import consensus as pattern
from tests.core.stories import Story, consensus, finished


def filled(story: Story, form: Any) -> Any:
    return fill_in(form, lambda seq: ev.value_of(story.events[seq - 1]), story.definition)


def verdict(said: str = "pay", confidence: float = 0.9, *rests_on: str) -> dict[str, Any]:
    reasons = {"facts": "A quotes the contract"}
    return {
        "verdict": said,
        "confidence": confidence,
        "rests_on": [*rests_on],
        "reasons": reasons,
    }


def heard(*said: str | None, seed: int = 5, **changes: Any) -> Story:
    """Each member's answer in the order of their names; None fails."""
    story = Story(consensus(len(said), **changes), {"case": 1}, seed=seed)
    for index, one in enumerate(said):
        if one is None:
            story.fail("members", index=index, retryable=False)
        else:
            story.finish("members", one, index=index)
    return story


def test_each_member_is_handed_the_intent_alone() -> None:
    story = Story(consensus(3))
    commands = story.commands[1]
    assert [command.who for command in commands] == ["ann", "ben", "cem"]  # type: ignore[attr-defined]
    for command in commands:
        assert isinstance(command, cm.RunAgent)
        assert (dict(command.inputs), dict(command.item)) == ({}, {})


def test_the_judge_hears_letters_and_no_names() -> None:
    story = heard("yes", "no", "perhaps")
    (command,) = story.commands[story.seq]
    assert isinstance(command, cm.RunAgent)
    handed = filled(story, dict(command.inputs))
    assert sorted(handed["answers"]) == ["A", "B", "C"]
    assert sorted(handed["answers"].values()) == ["no", "perhaps", "yes"]
    assert handed["rubric"] == {"facts": "Which answer rests on facts?"}
    assert handed["missing"] == 0
    assert not {"ann", "ben", "cem"} & set(str(handed).split("'"))


def test_the_order_is_shuffled_by_the_seed_and_by_nothing_else() -> None:
    orders = {
        tuple(pattern.lettered(heard("a", "b", "c", "d", seed=seed).state).values())
        for seed in range(40)
    }
    assert len(orders) > 12
    backwards = Story(consensus(3), seed=5)
    for index, said in ((2, "c"), (0, "a"), (1, "b")):
        backwards.finish("members", said, index=index)
    forwards = heard("a", "b", "c", seed=5)
    assert pattern.lettered(backwards.state) == pattern.lettered(forwards.state)


def test_the_verdict_names_whom_it_rests_on() -> None:
    story = heard("yes", "no", "perhaps")
    letters = pattern.lettered(story.state)
    letter = next(letter for letter, place in letters.items() if place == 1)
    story.finish("judge", verdict("pay", 0.8, letter))
    answer = filled(story, story.state.answer)
    assert story.state.status == "completed"
    assert answer == {
        "verdict": "pay",
        "confidence": 0.8,
        "judged": 0.8,
        "reasons": {"facts": "A quotes the contract"},
        "rests_on": ["ben"],
        "answered": 3,
        "asked": 3,
        "gaps": [],
        "notes": [],
    }


def test_a_member_that_failed_lowers_the_confidence() -> None:
    story = heard("yes", None, "yes")
    story.finish("judge", verdict("pay", 0.9, "A"))
    answer = filled(story, story.state.answer)
    assert (answer["judged"], answer["confidence"]) == (0.9, 0.6)
    assert answer["gaps"] == [{"member": "ben", "why": "no line"}]


def test_who_is_late_has_no_say() -> None:
    story = Story(consensus(3), seed=5)
    story.finish("members", "yes")
    story.finish("members", "no", index=1)
    (command,) = story.time_passes(600)
    assert isinstance(command, cm.RunAgent)
    assert filled(story, dict(command.inputs))["missing"] == 1
    assert story.tell(finished("members", "late", index=2)) == []
    story.finish("judge", verdict("pay", 0.6, "A"))
    assert filled(story, story.state.answer)["confidence"] == 0.4


def test_who_had_asked_for_something_and_is_given_up_has_answered_already() -> None:
    story = Story(consensus(3), seed=5)
    story.finish("members", "yes")
    story.finish("members", "no", index=1)
    asks = ev.WorkAsked(work="members", attempt=1, index=2, asks=({"key": "1"},), tokens_in=7)
    story.tell(asks)
    story.time_passes(600)
    story.refuses(asks)
    story.refuses(finished("members", "late", index=2))
    assert story.state.spent.tokens == 7


def test_too_few_answers_fail_the_run() -> None:
    story = heard("yes", None, None)
    assert story.state.status == "failed"
    assert story.error["code"] == "no-quorum"
    assert story.error["reason"] == "1 of 3 members answered, and it takes 2"


def test_without_a_judge_there_is_no_verdict() -> None:
    story = heard("yes", "no")
    story.fail("judge", retryable=False)
    assert story.state.status == "failed"


@pytest.mark.parametrize("said", [None, {}, {"confidence": 2}, {"confidence": True}])
def test_a_judge_that_says_nothing_of_use_fails_the_run(said: Any) -> None:
    story = heard("yes", "no")
    story.finish("judge", said)
    assert (story.state.status, story.error["code"]) == ("failed", "output-invalid")


def test_a_letter_that_nobody_has_is_noted() -> None:
    story = heard("yes", "no")
    story.finish("judge", verdict("pay", 0.5, "A", "F"))
    answer = filled(story, story.state.answer)
    assert answer["notes"] == ["the judge rests on F, which nobody said"]
    assert len(answer["rests_on"]) == 1
