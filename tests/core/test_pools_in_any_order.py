"""Supervisors and consensus with an honest engine: whatever answers come in whatever order, they end well."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core import commands as cm
from orchestrator.core import events as ev
from orchestrator.core.codec import canonical, read
from orchestrator.core.errors import IllegalTransition
from orchestrator.core.handing import fill_in
from orchestrator.core.patterns.parts import GAPS
from orchestrator.core.patterns.work import OVER
from orchestrator.core.state import from_json, to_json
from tests.core.stories import Story, consensus, supervisor

STEPS_MAX = 400
NAMED = st.sampled_from(["find", "sum", "ask", "nobody"])
TASKS = st.lists(st.fixed_dictionaries({"worker": NAMED, "task": st.integers(0, 3)}), max_size=5)
PLANS = st.one_of(
    st.fixed_dictionaries({"tasks": TASKS}, optional={"result": st.integers(0, 3)}),
    st.fixed_dictionaries({"tasks": TASKS}, optional={"result": st.integers(0, 3)}),
    st.just({"done": True, "result": "done"}),
)
POOLS = st.builds(
    lambda at_once, rounds, tokens: supervisor(
        at_once=at_once, rounds=rounds, stops_at={"tokens": tokens, "money_micros": 0}
    ),
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from([0, 0, 0, 3, 10]),
)
COUNCILS = st.builds(
    lambda count, quorum: consensus(count, quorum=min(quorum, count)),
    st.integers(2, 4),
    st.integers(2, 4),
)


class Engine:
    """Does what it is asked for, in any order, and counts what is under way by itself."""

    def __init__(self, definition: Any, data: st.DataObject) -> None:
        self.data = data
        self.story = Story(definition, {"want": "all"}, seed=data.draw(st.integers(0, 9)))
        self.open: list[cm.Command] = list(self.story.commands[1])
        self.children: dict[str, cm.StartChild] = {}
        self.began = 0

    def run(self) -> Story:
        for _ in range(STEPS_MAX):
            if self.story.state.has_ended:
                return self.story
            self._step()
            self._check()
        raise AssertionError("it never ends")

    def _step(self) -> None:
        times_up = self.data.draw(st.integers(0, 20)) == 0 and self._deadline()
        if times_up:
            late_s = (self._deadline() - self.story.now_ms) / 1000
            self._hear(ev.TimeReached(), max(0.0, late_s))
            return
        choices = len(self.open) + len(self.children)
        place = self.data.draw(st.integers(0, choices - 1))
        if place < len(self.open):
            self._do(self.open.pop(place))
        else:
            self._end_child([*self.children][place - len(self.open)])

    def _deadline(self) -> int:
        timers = self.story.state.timers
        return next((at for name, at in timers.items() if name.startswith("work:")), 0)

    def _hear(self, event: ev.Event, after_s: float = 1) -> None:
        try:
            commands = self.story.tell(event, after_s=after_s)
        except IllegalTransition:
            known = self.story.state.works[event.work]  # type: ignore[attr-defined]
            assert known.status in OVER or known.visit != getattr(event, "visit", 0)
            return
        self.open += [one for one in commands if not isinstance(one, cm.TellParent)]

    def _do(self, command: cm.Command) -> None:
        if isinstance(command, cm.StartChild):
            self._start_child(command)
            return
        assert isinstance(command, cm.RunAgent)
        common: dict[str, Any] = {
            "work": command.work,
            "attempt": command.attempt,
            "index": command.index,
            "visit": command.visit,
            "tokens_in": self.data.draw(st.integers(0, 2)),
        }
        if self.data.draw(st.integers(0, 3)) == 0:
            retryable = self.data.draw(st.booleans())
            error: dict[str, Any] = {"code": "x", "reason": "no", "retryable": retryable}
            self._hear(ev.WorkFailed(error=error, **common))
        else:
            self._hear(ev.WorkFinished(output=self._output(command.work), **common))

    def _output(self, work: str) -> Any:
        if work == "plan":
            return self.data.draw(PLANS)
        if work == "judge":
            share = self.data.draw(st.floats(0, 1))
            return {"verdict": 1, "confidence": share, "rests_on": ["A"], "reasons": {}}
        return {"result": self.data.draw(st.integers(0, 2))}

    def _start_child(self, command: cm.StartChild) -> None:
        run = f"run-{command.visit}-{command.index}-{command.attempt}"
        event = ev.ChildStarted(
            work=command.work, run=run, visit=command.visit, index=command.index
        )
        before = self.story.seq
        self._hear(event)
        if self.story.seq > before:
            self.children[run] = command

    def _end_child(self, run: str) -> None:
        command = self.children.pop(run)
        status = self.data.draw(st.sampled_from(["completed", "completed", "failed"]))
        known = self.story.state.works[command.work]
        waits = known.visit == command.visit and known.status not in OVER
        event = ev.ChildEnded(
            work=command.work, run=run, index=command.index, status=status, output="c", tokens=1
        )
        if waits:
            self._hear(event)
        else:
            self.story.refuses(event)
            self._hear(ev.ChildSpent(work=command.work, run=run, status=status, tokens=1))

    def _check(self) -> None:
        state, plan = self.story.state, self.story.plan
        assert from_json(read(canonical(to_json(state)))) == state  # type: ignore[arg-type]
        for name, known in state.works.items():
            running = sum(part.status == "running" for part in known.parts)
            cap = plan.works[name].at_once
            if known.status not in OVER and not state.has_ended:
                assert running
                assert not cap or running <= cap
                waiting = any(part.status == "queued" for part in known.parts)
                assert not waiting or running == cap, "there is room, and somebody waits"
                assert self._in_flight(name, known.visit) == running

    def _in_flight(self, name: str, visit: int) -> int:
        asked: list[Any] = [*self.open, *self.children.values()]
        return sum(one.work == name and one.visit == visit for one in asked)


@settings(max_examples=300, deadline=None)
@given(definition=POOLS, data=st.data())
def test_a_supervisor_always_ends_and_loses_no_task(definition: Any, data: st.DataObject) -> None:
    story = Engine(definition, data).run()
    state = story.state
    assert len(state.rounds) <= definition["rounds"]
    for known in state.rounds:
        tasks: Any = ev.value_of(story.events[known.plan - 1])
        assert len(known.parts) == len(tasks["tasks"])
        for part in known.parts:
            assert (part.status == "done") != (part.status in GAPS)
            assert bool(part.why) == (part.status in GAPS)
    if state.status == "completed":
        answer: Any = fill_in(
            state.answer, lambda seq: ev.value_of(story.events[seq - 1]), definition
        )
        gaps = sum(part.status in GAPS for known in state.rounds for part in known.parts)
        assert len(answer["gaps"]) == gaps
        assert answer["rounds"] == len(state.rounds)
    else:
        assert state.error
        assert not any(part.status == "done" for known in state.rounds for part in known.parts)


@settings(max_examples=200, deadline=None)
@given(definition=COUNCILS, data=st.data())
def test_a_consensus_always_ends(definition: Any, data: st.DataObject) -> None:
    story = Engine(definition, data).run()
    (known,) = story.state.rounds
    answered = sum(part.status == "done" for part in known.parts)
    if story.state.status == "completed":
        assert answered >= definition["quorum"]
        answer: Any = fill_in(
            story.state.answer, lambda seq: ev.value_of(story.events[seq - 1]), definition
        )
        assert 0 <= answer["confidence"] <= answer["judged"] + 1e-4
        assert len(answer["gaps"]) == len(known.parts) - answered
    else:
        assert story.error["code"] in {"no-quorum", "work-failed"}
