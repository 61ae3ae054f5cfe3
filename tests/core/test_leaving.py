"""What a run asked for and waits for no longer is withdrawn, unless somebody accepted it."""

from typing import Any

import pytest

from orchestrator.core import events as ev
from orchestrator.core.codec import Json
from tests.core.stories import (
    Story,
    agent,
    approved,
    disposed,
    machine,
    mesh,
    peer,
    pipeline,
    received,
    sent_back,
    signal,
    superseded,
    supervisor,
    tasks,
    told,
    undone,
    validated,
    validation,
)

ENDS: dict[str, Any] = {"good": {"end": "completed"}, "bad": {"end": "failed"}}


def in_review(story: Story, work: str = "tasks", proposal: str = "p1", **asked: Any) -> None:
    story.tell(received(work, proposal, **asked))
    story.tell(disposed("hold", proposal))


def asking(*, withdraws: bool = True) -> Story:
    """A worker of a supervisor waits for people to say whether a refund may go out."""
    story = Story(supervisor(), {"want": "all"}, withdraws=withdraws)
    story.finish("plan", tasks("find:a"))
    in_review(story, asked=story.ask("tasks"), ask=1)
    return story


def leaving(run: Any = None) -> Story:
    """A machine that waits for people until it has waited long enough."""
    ways = {"done": [{"to": "good"}], "failed": [{"to": "bad"}], "stop": [{"to": "rest"}]}
    draft = {
        "run": run or agent(proposes=True),
        "on": ways,
        "after": {"seconds": 60, "to": "rest"},
    }
    rest = {"run": signal(due_s=900), "on": {"done": [{"to": "draft"}], "failed": [{"to": "bad"}]}}
    return Story(machine({"draft": draft, "rest": rest, **ENDS}), withdraws=True)


def status_of(story: Story, proposal: str = "p1") -> str:
    return story.state.proposals[proposal].status


def test_what_a_part_asked_for_is_withdrawn_when_it_is_given_up() -> None:
    story = asking()
    story.time_passes(600)
    assert status_of(story) == "withdrawn"
    story.refuses(approved(), "withdrawn")
    story.finish("plan", tasks("find:a"))
    in_review(story, proposal="p2", asked=story.ask("tasks"), ask=1)
    story.tell(approved("p2"))
    assert (status_of(story), status_of(story, "p2")) == ("withdrawn", "accepted")


def test_what_comes_after_it_was_given_up_is_refused() -> None:
    story = Story(supervisor(), {"want": "all"}, withdraws=True)
    story.finish("plan", tasks("find:a"))
    asked = story.ask("tasks")
    story.time_passes(600)
    story.refuses(received("tasks", asked=asked, ask=1), "not asked for")


def test_runs_from_before_left_it_to_people() -> None:
    story = asking(withdraws=False)
    story.time_passes(600)
    assert status_of(story) == "in_review"
    story.tell(approved())


def test_what_was_accepted_runs_all_the_same() -> None:
    story = asking()
    story.tell(approved())
    story.time_passes(600)
    assert status_of(story) == "accepted"
    story.execute()
    assert status_of(story) == "executed"


def test_an_approval_that_is_taken_back_leaves_nothing_to_decide() -> None:
    story = asking()
    story.tell(approved())
    story.time_passes(600)
    story.tell(undone())
    assert status_of(story) == "withdrawn"


@pytest.mark.parametrize("how", ["after", "signal"])
def test_what_a_state_proposed_is_withdrawn_when_the_machine_leaves_it(how: str) -> None:
    story = leaving()
    story.finish("draft", {"action": "refund.create"})
    in_review(story, "draft")
    if how == "after":
        story.time_passes(60)
    else:
        story.tell(ev.SignalReceived(name="stop", by="shop"))
    assert (story.state.position, status_of(story)) == ("rest", "withdrawn")
    assert story.state.status == "waiting"


def test_the_next_visit_asks_anew() -> None:
    story = leaving()
    story.finish("draft", {"action": "refund.create"})
    in_review(story, "draft")
    story.time_passes(60)
    story.tell(ev.SignalReceived(name="paid", by="shop"))
    story.finish("draft", {"action": "refund.create"})
    in_review(story, "draft", "p2")
    assert (status_of(story), status_of(story, "p2")) == ("withdrawn", "in_review")


def test_its_validators_are_not_waited_for() -> None:
    story = leaving()
    story.finish("draft", {"action": "refund.create"})
    story.tell(received("draft"))
    story.tell(validation())
    story.time_passes(59)
    assert status_of(story) == "withdrawn"
    assert not any(name.startswith("validation:") for name in story.state.timers)
    story.refuses(validated("tone"), "withdrawn")


def test_what_was_sent_back_is_withdrawn_with_its_work_and_not_before() -> None:
    story = leaving(agent(proposes=True, attempts=3))
    story.finish("draft", {"action": "refund.create"})
    in_review(story, "draft")
    story.tell(sent_back())
    assert status_of(story) == "revision_requested"
    story.time_passes(60)
    assert status_of(story) == "withdrawn"


def test_a_revision_stands_where_what_it_revises_stood() -> None:
    story = asking()
    asked = story.work("tasks").parts[0].asked
    story.tell(superseded())
    in_review(story, proposal="p2", asked=asked, ask=1, revises="p1")
    assert (status_of(story), status_of(story, "p2")) == ("superseded", "in_review")
    story.time_passes(600)
    assert (status_of(story), status_of(story, "p2")) == ("superseded", "withdrawn")


def test_a_mesh_that_has_its_result_needs_nothing_more() -> None:
    story = Story(mesh({"ann": peer(), "bob": peer()}), withdraws=True)
    in_review(story, "ann", asked=story.ask("ann"), ask=1)
    answer: dict[str, Json] = told("answer")
    story.finish("bob", "found", remembered=(answer,))
    assert (story.state.status, status_of(story)) == ("completed", "withdrawn")


def test_a_run_that_fails_asks_for_nothing_more() -> None:
    story = Story(pipeline(agent("a", for_each="/items")), {"items": [1, 2]}, withdraws=True)
    in_review(story, "a", asked=story.ask("a"), ask=1)
    story.fail("a", index=1, retryable=False)
    assert (story.state.status, status_of(story)) == ("failed", "withdrawn")
