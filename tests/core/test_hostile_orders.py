"""Any plan, any order of events: true ones, late ones, doubled ones, and ones that nobody should send."""

from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestrator.core import commands as cm
from orchestrator.core import controller
from orchestrator.core import events as ev
from orchestrator.core.codec import canonical, read
from orchestrator.core.errors import IllegalTransition
from orchestrator.core.patterns.work import OVER
from orchestrator.core.plan import DIRECT, Plan, read_plan
from orchestrator.core.replay import stored_form
from orchestrator.core.state import Moment, RunState, WorkState, from_json, to_json
from tests.core.plans import COUNCILS, MACHINES, NAMES, PIPELINES, POOLS, ROUTERS, SIGNALS
from tests.core.stories import BEGAN_MS, DIGEST

PEOPLE = st.sampled_from(["rita", "rolf"])
CHOICES = [{"worker": "a", "confidence": 0.9}, {"worker": "x", "confidence": 1}]
OUTPUTS = st.sampled_from(
    [None, 1, {"items": [1, 2]}, {"items": []}, [], [1, 2, 3, 4], "text", *CHOICES]
)
# What a supervisor plans and a judge says.
PLANS = st.sampled_from(
    [
        {"tasks": [{"worker": "find", "task": 1}, {"worker": "sum", "task": 2}]},
        {"tasks": [{"worker": "ask", "task": 1}, {"worker": "ask", "task": 3}], "result": 1},
        {"tasks": [{"worker": "nobody", "task": 1}, 7, {"worker": []}]},
        {"tasks": []},
        {"done": True, "result": 1},
        {"confidence": 0.5, "rests_on": ["A", 3], "verdict": 1},
    ]
)
PLANNERS = frozenset({"plan", "judge"})
WORKS = [*NAMES, "plan", "tasks", "members", "judge"]
NEAR = st.sampled_from([0, 0, 0, 0, 1, -1])
COSTS = st.sampled_from([0, 0, 1, 5])
DISPOSITIONS = st.sampled_from(["accept", "hold", "escalate", "revise", "block"])
CLASSES = st.sampled_from([(), (), ("personal",), ("secret", "personal")])
VERDICTS = st.sampled_from(["approve", "approve", "reject"])
AFTER_THE_END = (cm.RunEffect, cm.TellParent, cm.CancelRun)


class HostileOrders(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.plan: Plan = DIRECT
        self.state = RunState()
        self.log: list[tuple[ev.Event, Moment]] = []
        self.asked: list[cm.Command] = []
        self.now_ms = BEGAN_MS
        self.proposals = 0
        self.approvals: dict[str, set[str]] = {}
        self.answered: set[tuple[str, int, int, int, int]] = set()
        # What may run: the effects that were accepted, and how often.
        self.released: Counter[tuple[str, str]] = Counter()

    def tell(self, event: ev.Event) -> bool:
        """Whether it was taken. Said twice, and to a state that was stored and read, it is the same."""
        before = canonical(to_json(self.state))
        moment = Moment(len(self.log) + 1, self.now_ms)
        stored = _from_text(before)
        try:
            after, commands = controller.step(self.state, event, plan=self.plan, moment=moment)
        except IllegalTransition:
            assert canonical(to_json(self.state)) == before
            _refuses(self.plan, stored, event, moment)
            return False
        assert canonical(to_json(self.state)) == before
        for state in (self.state, stored):
            again, commands_again = controller.step(state, event, plan=self.plan, moment=moment)
            assert again == after
            assert [*map(stored_form, commands_again)] == [*map(stored_form, commands)]
        self._check(event, after, commands)
        self.state = after
        self.log.append((event, moment))
        self.asked += commands
        return True

    def _check(self, event: ev.Event, after: RunState, commands: list[cm.Command]) -> None:
        if self.plan.pattern != "direct" and self.state.has_ended:
            assert after.status == self.state.status
        if self.plan.pattern != "direct" and after.has_ended:
            assert all(isinstance(command, AFTER_THE_END) for command in commands)
            assert after.wakes_at_ms is None
        if self.state.route.by:
            assert (after.route.by, after.route.workers) == self._decided, "decided once"
        self._note_acceptance(event)
        self._note_answer(event)
        for name, work in self.state.works.items():
            _keeps_to_its_word(work, after.works[name], after)
        for command in commands:
            if isinstance(command, cm.RunAgent | cm.RunShadow):
                assert command.classes == after.classes
            if isinstance(command, cm.RunEffect):
                assert command.digest == self.state.proposals[command.proposal].digest
                self.released[command.effect, command.digest] -= 1
                assert self.released[command.effect, command.digest] >= 0, "nobody accepted it"

    @property
    def _decided(self) -> tuple[str, tuple[str, ...]]:
        return self.state.route.by, self.state.route.workers

    def _note_answer(self, event: ev.Event) -> None:
        if isinstance(event, ev.WorkFinished | ev.WorkAsked):
            visit = self.state.works[event.work].visit
            call = (event.work, visit, event.index, event.turn, event.attempt)
            assert call not in self.answered, "one call was answered twice"
            self.answered.add(call)

    def _note_acceptance(self, event: ev.Event) -> None:
        if isinstance(event, ev.ProposalDisposed) and event.disposition == "accept":
            self.released[event.effect or "", self.state.proposals[event.proposal].digest] += 1
        elif isinstance(event, ev.ApprovalGiven):
            self.approvals.setdefault(event.proposal, set()).add(event.by)
        elif isinstance(event, ev.ProposalApproved):
            people = self.approvals.setdefault(event.proposal, set()) | {event.by}
            assert len(people) >= self.state.proposals[event.proposal].approvals_needed
            self.released[event.effect, event.digest] += 1
        elif isinstance(event, ev.EffectSettled) and event.verdict == "retry":
            self.released[event.effect, self.state.proposals[event.proposal].digest] += 1

    # Starting ------------------------------------------------------------------------------

    @initialize(
        definition=st.one_of(
            PIPELINES, MACHINES, MACHINES, ROUTERS, POOLS, COUNCILS, st.just({"pattern": "direct"})
        ),
        intent=OUTPUTS,
        parent=st.sampled_from(["", "run_1"]),
        lineage=st.sampled_from([(), (), ("top",), ("main",)]),
    )
    def start(self, definition: Any, intent: Any, parent: str, lineage: tuple[str, ...]) -> None:
        self.plan = read_plan(definition)
        values = {"workflow": "main", "version": 1, "intent": intent, "lineage": lineage}
        if self.plan.pattern != "direct" and parent:
            values |= {"parent": parent, "parent_work": "sub"}
        values |= {"cancels_below": True, "withdraws": self.plan.pattern != "direct"}
        self.tell(ev.RunStarted(pattern=self.plan.pattern, **values))

    # What an honest engine would say -------------------------------------------------------

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), output=OUTPUTS, off=NEAR, cost=COSTS, fails=st.booleans())
    def follow(self, data: st.DataObject, output: Any, off: int, cost: int, fails: bool) -> None:
        """Do what was asked for, some time: the newest mostly, sometimes again, sometimes wrongly."""
        place = data.draw(st.integers(0, min(3, len(self.asked) - 1)))
        command = self.asked[-1 - place]
        if isinstance(command, cm.RunAgent):
            output = data.draw(PLANS) if command.work in PLANNERS else output
            self._answer(command, output, off, cost, fails)
        elif isinstance(command, cm.Propose) and command.ask and fails:
            self._refuse(command, off)
        elif isinstance(command, cm.Propose):
            asked = (command.output, command.ask + off) if command.ask else (0, 0)
            needed = data.draw(st.integers(1, 2))
            self._propose(command.work, data.draw(DISPOSITIONS), needed, asked)
        elif isinstance(command, cm.AskPerson):
            self.tell(ev.PersonAsked(work=command.work, item=f"i{command.visit}"))
        elif isinstance(command, cm.StartChild):
            run = f"run-{command.visit}-{command.index}-{command.attempt}"
            self.tell(ev.ChildStarted(work=command.work, run=run, index=command.index))
        elif isinstance(command, cm.Publish):
            self.tell(ev.Published(work=command.work, topic=command.topic, reached=cost))
        elif isinstance(command, cm.RunEffect):
            self._execute(command, fails, data.draw(st.booleans()))

    def _answer(self, command: cm.RunAgent, output: Any, off: int, cost: int, fails: bool) -> None:
        common = {
            "work": command.work,
            "attempt": command.attempt + off,
            "index": command.index,
            "turn": command.turn or 1,
            "tokens_out": cost,
            "money_micros": cost,
        }
        if fails:
            error: dict[str, Any] = {"code": "x", "reason": "no line", "retryable": cost != 5}
            self.tell(ev.WorkFailed(error=error, **common))
        elif isinstance(output, list):
            asks = tuple(({"key": "1"}, {"key": "2", "error": {}})[n % 2] for n in output)
            self.tell(ev.WorkAsked(asks=asks or ({"key": "1"},), memory=1, **common))
        else:
            self.tell(ev.WorkFinished(output=output, **common))

    def _refuse(self, command: cm.Propose, off: int) -> None:
        ask, error = command.ask + off, {"code": "x"}
        self.tell(ev.AskRefused(work=command.work, asked=command.output, ask=ask, error=error))

    def _propose(
        self, work: str, disposition: str, needed: int, asked: tuple[int, int] = (0, 0)
    ) -> None:
        self.proposals += 1
        proposal = f"p{self.proposals}"
        received = ev.ProposalReceived(
            proposal=proposal,
            action="refund.create",
            digest=f"{DIGEST}{proposal}",
            agent="a",
            agent_version="1",
            model="m",
            work=work,
            asked=asked[0],
            ask=asked[1],
        )
        if self.tell(received):
            self._dispose(proposal, disposition, needed)

    def _dispose(self, proposal: str, disposition: str, needed: int) -> None:
        reviewed = disposition in {"hold", "escalate"}
        self.tell(
            ev.ProposalDisposed(
                proposal=proposal,
                disposition=disposition,
                score=None,
                policy_version=1,
                rules=(),
                approvals_needed=needed if reviewed else 0,
                item=f"i-{proposal}" if reviewed else None,
                effect=f"e-{proposal}" if disposition == "accept" else None,
            )
        )

    def _execute(self, command: cm.RunEffect, fails: bool, is_lost: bool) -> None:
        common = {"proposal": command.proposal, "effect": command.effect}
        self.tell(ev.EffectStarted(digest=command.digest, executor="ledger", **common))
        if is_lost:
            self.tell(ev.EffectLost(error={"code": "x"}, **common))
        elif fails:
            self.tell(ev.EffectFailed(error={"code": "x"}, **common))
        else:
            self.tell(ev.EffectSucceeded(receipt={"entry": 1}, **common))

    # What people, clocks and other runs say ------------------------------------------------

    @precondition(lambda self: any(work.item for work in self.state.works.values()))
    @rule(data=st.data(), by=PEOPLE, verdict=VERDICTS)
    def answer_a_question(self, data: st.DataObject, by: str, verdict: str) -> None:
        asking = [(name, work.item) for name, work in self.state.works.items() if work.item]
        work, item = data.draw(st.sampled_from(asking))
        self.tell(
            ev.PersonAnswered(work=work, item=item, decision=f"d-{by}", by=by, verdict=verdict)
        )

    @precondition(lambda self: self.state.proposals)
    @rule(data=st.data(), by=PEOPLE, verdict=VERDICTS, honest=st.booleans(), whole=st.booleans())
    def decide_a_proposal(
        self, data: st.DataObject, by: str, verdict: str, honest: bool, whole: bool
    ) -> None:
        proposal = data.draw(st.sampled_from(sorted(self.state.proposals)))
        common = {"proposal": proposal, "item": f"i-{proposal}", "decision": "d", "by": by}
        digest = f"{DIGEST}{proposal}" if honest else DIGEST
        if verdict == "reject":
            self.tell(ev.ProposalRejected(reason="other", **common))
        elif whole:
            self.tell(ev.ProposalApproved(digest=digest, effect=f"e-{proposal}", **common))
        else:
            self.tell(ev.ApprovalGiven(digest=digest, **common))

    @precondition(lambda self: self.state.proposals)
    @rule(data=st.data(), verdict=st.sampled_from(["happened", "not_happened", "retry"]))
    def settle_an_effect(self, data: st.DataObject, verdict: str) -> None:
        proposal = data.draw(st.sampled_from(sorted(self.state.proposals)))
        common = {"item": "i-lost", "decision": "d", "by": "rita"}
        self.tell(
            ev.EffectSettled(proposal=proposal, effect=f"e-{proposal}", verdict=verdict, **common)
        )

    @rule(name=st.sampled_from([*SIGNALS, "done", "", "else"]), data=OUTPUTS)
    def signal(self, name: str, data: Any) -> None:
        self.tell(ev.SignalReceived(name=name, by="shop", data=data))

    @rule(topic=st.sampled_from(["news", "news", "else", ""]), data=OUTPUTS, classes=CLASSES)
    def hear(self, topic: str, data: Any, classes: tuple[str, ...]) -> None:
        self.tell(ev.MessageReceived(topic=topic, run="run_2", data=data, classes=classes))

    @rule(seconds=st.integers(0, 40))
    def time_passes(self, seconds: int) -> None:
        self.now_ms += seconds * 1000
        self.tell(ev.TimeReached())

    @precondition(lambda self: any(work.child for work in self.state.works.values()))
    @rule(
        data=st.data(),
        status=st.sampled_from(["completed", "failed", "cancelled"]),
        classes=CLASSES,
    )
    def end_a_child(self, data: st.DataObject, status: str, classes: tuple[str, ...]) -> None:
        started = [(name, work.child) for name, work in self.state.works.items() if work.child]
        work, run = data.draw(st.sampled_from(started))
        ended = {"work": work, "run": run, "output": {"items": [1]}, "classes": classes}
        self.tell(ev.ChildEnded(status=status, **ended))

    @precondition(lambda self: any(_children(work) for work in self.state.works.values()))
    @rule(data=st.data(), status=st.sampled_from(["completed", "failed"]), off=NEAR, cost=COSTS)
    def end_a_child_of_a_part(self, data: st.DataObject, status: str, off: int, cost: int) -> None:
        started = [
            (name, *child) for name, work in self.state.works.items() for child in _children(work)
        ]
        name, index, run = data.draw(st.sampled_from(started))
        ended = {"work": name, "run": run, "index": index + off, "tokens": cost}
        self.tell(ev.ChildEnded(status=status, output=cost, **ended))

    @rule(
        work=st.sampled_from([*WORKS, "nobody"]), run=st.sampled_from(["run_2", "r3"]), cost=COSTS
    )
    def hear_what_a_child_spent(self, work: str, run: str, cost: int) -> None:
        self.tell(ev.ChildSpent(work=work, run=run, status="cancelled", tokens=cost))

    @precondition(lambda self: len(self.log) > 8)
    @rule()
    def cancel(self) -> None:
        self.tell(ev.RunCancelled(by="ada", reason="a mistake"))

    # What nobody should say ----------------------------------------------------------------

    @precondition(lambda self: self.log)
    @rule(data=st.data())
    def say_it_again(self, data: st.DataObject) -> None:
        self.tell(data.draw(st.sampled_from([event for event, _ in self.log])))

    @rule(
        work=st.sampled_from([*WORKS, "nobody", ""]),
        index=st.integers(-2, 4),
        off=st.integers(0, 4),
    )
    def answer_out_of_nowhere(self, work: str, index: int, off: int) -> None:
        self.tell(ev.WorkFinished(work=work, attempt=off, index=index, output=1))
        error: dict[str, Any] = {"code": "x", "reason": "no line", "retryable": True}
        self.tell(ev.WorkFailed(work=work, attempt=off, index=index, error=error))
        self.tell(ev.WorkAsked(work=work, attempt=off, index=index, asks=({"key": "1"},)))
        self.tell(ev.AskRefused(work=work, asked=off, ask=index, error=error))

    @rule(work=st.sampled_from([*WORKS, "nobody"]), by=PEOPLE)
    def decide_out_of_nowhere(self, work: str, by: str) -> None:
        answer = {"decision": "d", "by": by, "verdict": "approve"}
        self.tell(ev.PersonAnswered(work=work, item="", **answer))
        self.tell(ev.PersonAnswered(work=work, item="i-else", **answer))
        self.tell(ev.ChildEnded(work=work, run="", status="completed"))

    @rule(work=st.sampled_from(["", *NAMES]), disposition=DISPOSITIONS, needed=st.integers(0, 3))
    def propose_out_of_nowhere(self, work: str, disposition: str, needed: int) -> None:
        self._propose(work, disposition, needed)

    @precondition(lambda self: self.state.proposals)
    @rule(data=st.data(), disposition=DISPOSITIONS, honest=st.booleans())
    def run_out_of_nowhere(self, data: st.DataObject, disposition: str, honest: bool) -> None:
        """A worker gone mad: calls what nobody released, and says what it likes of it."""
        proposal = data.draw(st.sampled_from(sorted(self.state.proposals)))
        common = {"proposal": proposal, "effect": f"e-{proposal}" if honest else "e-else"}
        self._dispose(proposal, disposition, 1)
        self.tell(ev.EffectStarted(digest=DIGEST, executor="ledger", **common))
        self.tell(ev.EffectSucceeded(receipt={}, **common))
        self.tell(ev.ProposalExpired(proposal=proposal))

    # What holds all the time ---------------------------------------------------------------

    @invariant()
    def the_state_survives_storing(self) -> None:
        assert from_json(to_json(self.state)) == self.state
        assert _from_text(canonical(to_json(self.state))) == self.state

    @invariant()
    def nothing_is_asked_for_twice(self) -> None:
        keys = [command.key for command in self.asked]
        assert len(keys) == len(set(keys)), keys

    @invariant()
    def budgets_are_kept(self) -> None:
        budget, calls = self.plan.budget, sum(isinstance(c, cm.RunAgent) for c in self.asked)
        assert not budget.agent_calls or calls <= budget.agent_calls
        assert calls <= self.state.spent.agent_calls
        if not self.state.has_ended:
            for name in ("steps", "agent_calls", "tokens", "money_micros"):
                if self.plan.pool and name in {"tokens", "money_micros"}:
                    # Whatever is over these completes early.
                    continue
                limit = getattr(budget, name)
                assert not limit or getattr(self.state.spent, name) <= limit

    @invariant()
    def classes_of_data_are_kept(self) -> None:
        came = {name for event, _ in self.log for name in getattr(event, "classes", ())}
        assert self.state.classes == tuple(sorted(came))

    @invariant()
    def turns_are_kept(self) -> None:
        for name, work in self.state.works.items():
            for part in work.parts:
                assert part.turn <= self.plan.budget.turns
                if part.status == "asking" and work.status not in OVER:
                    assert not all(ask.seq for ask in part.asks), name

    @invariant()
    def only_the_work_in_hand_is_open(self) -> None:
        """And what it waits for has its deadline, counted from when the run came to it."""
        for name, work in self.state.works.items():
            if work.status not in OVER and not self.state.has_ended:
                assert name == self.state.position
                if due_s := self.plan.works[name].due_s:
                    came_ms = self.log[work.visit - 1][1].at_ms
                    assert self.state.timers[f"work:{name}"] == came_ms + due_s * 1000

    @invariant()
    def no_more_parts_are_under_way_than_may_be(self) -> None:
        for name, work in self.state.works.items():
            at_once = self.plan.works[name].at_once
            running = sum(part.status == "running" for part in work.parts)
            assert not at_once or running <= at_once

    @invariant()
    def what_is_over_stays_as_it_is(self) -> None:
        for known in self.state.rounds:
            assert not any(part.is_open for part in known.parts)

    @invariant()
    def nothing_is_undecided_that_nobody_waits_for(self) -> None:
        for name, proposal in self.state.proposals.items():
            if self.state.withdraws and proposal.status in {"evaluating", "in_review"}:
                work = self.state.works[proposal.work]
                assert not self.state.has_ended, name
                assert work.status not in OVER, name
                asks = [ask.proposal for part in work.parts for ask in part.asks]
                assert name in {work.proposal, *asks}, name

    @invariant()
    def it_is_clear_why_a_run_failed(self) -> None:
        if self.state.status == "cancelled":
            assert self.state.error
        if self.state.status == "completed":
            assert self.state.error is None

    @invariant()
    def nothing_runs_that_was_not_released(self) -> None:
        run = {command.effect for command in self.asked if isinstance(command, cm.RunEffect)}
        for proposal in self.state.proposals.values():
            if proposal.status in {"executing", "executed", "unknown"}:
                assert proposal.effect in run

    def teardown(self) -> None:
        assert controller.fold(self.log, self.plan) == self.state


def _children(work: WorkState) -> list[tuple[int, str]]:
    return [(index, part.child) for index, part in enumerate(work.parts) if part.child]


def _keeps_to_its_word(was: WorkState, now: WorkState, after: RunState) -> None:
    """One question, one other run and one proposal at a time."""
    if was.visit == now.visit:
        assert was.item in {"", now.item}
        assert was.child in {"", now.child}
        if was.proposal != now.proposal and was.proposal:
            assert after.proposals[was.proposal].status == "revision_requested"


def _refuses(plan: Plan, state: RunState, event: ev.Event, moment: Moment) -> None:
    try:
        controller.step(state, event, plan=plan, moment=moment)
    except IllegalTransition:
        return
    raise AssertionError("what was stored and read again takes an event that was refused")


def _from_text(text: str) -> RunState:
    data: Any = read(text)
    return from_json(data)


TestHostileOrders = HostileOrders.TestCase
TestHostileOrders.settings = settings(max_examples=600, stateful_step_count=40)
