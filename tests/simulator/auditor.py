"""What must hold after every commit, whatever happened; and what must hold in the end."""

from collections import Counter
from typing import Any

from orchestrator.core import controller
from orchestrator.core import events as ev
from orchestrator.core.codec import canonical, read
from orchestrator.core.replay import History, first_divergence, form_of
from orchestrator.core.state import Moment, RunState, to_json
from tests.simulator.review_auditor import ReviewAuditor
from tests.simulator.tables import Committed, EffectRow, RunRow, Tables
from tests.simulator.target import Target
from tests.simulator.violation import hold

FINAL = frozenset({"done", "failed", "cancelled"})


class Auditor:
    """Reads the log as a stranger would, and keeps its own account of what it means."""

    def __init__(self, tables: Tables, target: Target) -> None:
        self.tables = tables
        self.target = target
        # Requests that were answered, and the run that the answer named.
        self.acknowledged: dict[str, str] = {}
        self.news: list[str] = []
        # How often each kind of event and each fate of a command was seen.
        self.seen: Counter[str] = Counter()
        self.reviews = ReviewAuditor(tables, target, self.seen)
        self._states: dict[str, RunState] = {}
        self._ended: Counter[int] = Counter()
        self._started: set[str] = set()
        # A person's word on what became of it; from then on it is the person who answers for it.
        self._settled: set[str] = set()

    # After every commit --------------------------------------------------------------------

    def audit(self, changed: Committed) -> None:
        for command in changed.ended:
            self._audit_command(command)
        for run, before in changed.runs.items():
            self._audit_run(self.tables.runs[run], before)

    def _audit_command(self, command: int) -> None:
        row = self.tables.commands[command]
        if row.ended_by is None:
            return
        hold(row.ended_by == row.token, f"command {row.id} was ended under an old token")
        self._ended[row.id] += row.status in {"done", "failed"}
        hold(self._ended[row.id] <= 1, f"command {row.id} was completed twice")
        if row.kind == "cancel_run" and row.status == "done":
            payload: Any = read(row.payload)
            below = self.tables.runs[payload["run"]]
            is_over = below.status in {"completed", "failed", "cancelled"}
            hold(is_over, f"{below.id} runs on and nobody waits for it")

    def _audit_run(self, row: RunRow, before: int) -> None:
        state = self._states.get(row.id, RunState())
        for seq in range(before + 1, row.seq + 1):
            line = self.tables.events.get((row.id, seq))
            hold(line is not None, f"{row.id} has no event {seq}")
            assert line is not None
            data: Any = read(line.payload)
            event = ev.from_json(line.kind, data)
            self._audit_event(row, state, event, line.key)
            self.reviews.see(state, event, line.at_ms)
            self.seen[line.kind] += 1
            self.news.append(f"{row.id} {seq}: {line.kind} {line.payload[:150]}")
            state = controller.evolve(row.workflow.plan, state, event, Moment(seq, line.at_ms))
            self._audit_heard(row.id, state, event)
        self._states[row.id] = state
        folded = canonical(to_json(state))
        hold(folded == row.state, f"{row.id} is {row.state}, its log says {folded}")
        hold(row.status == state.status, f"the status of {row.id} is not its state's")

    def _audit_heard(self, run: str, state: RunState, event: ev.Event) -> None:
        """What came from tools is known to whatever may propose something of it."""
        if getattr(event, "untrusted", ()) or getattr(event, "taints_all", False):
            hold(bool(state.heard), f"{run} forgot what tools said to it")
        source = ""
        if isinstance(event, ev.RunStarted):
            source = event.parent
        elif isinstance(event, ev.ChildEnded | ev.MessageReceived):
            source = event.run
        if source and '"heard"' in (self.tables.runs[source].state or ""):
            hold(bool(state.heard), f"{run} was told nothing of what {source} had heard")
        if source:
            above = self.tables.runs[source]
            told: Any = read(above.state)
            classes = {*told.get("classes", ()), above.workflow.slug}
            hold(classes <= {*state.classes}, f"{run} does not know the classes of {source}")

    def _audit_event(self, run: RunRow, state: RunState, event: ev.Event, key: str | None) -> None:
        if isinstance(event, ev.WorkFinished | ev.WorkFailed | ev.WorkAsked):
            self._audit_visit(run, state, event, key)
        elif isinstance(event, ev.EffectSettled):
            self._settled.add(event.effect)
        elif isinstance(event, ev.EffectStarted):
            self._started.add(event.effect)
        elif isinstance(event, ev.EffectSucceeded):
            done = self.reviews.happened(event.effect)
            hold(done, f"{event.effect} is called done and was not")
        elif isinstance(event, ev.EffectFailed) and event.effect not in self._settled:
            done = self.reviews.happened(event.effect)
            hold(not done, f"{event.effect} is called failed and was done")

    def _audit_visit(self, run: RunRow, state: RunState, event: Any, key: str | None) -> None:
        """An answer to an earlier visit of a state is not one to this visit."""
        command = self.tables.commands[int((key or "cmd:0").split(":")[1])]
        payload: Any = read(command.payload)
        known = state.works[event.work]
        asked = payload.get("visit", known.visit)
        hold(asked == known.visit, f"{run.id} took an answer of another visit to {event.work}")

    def see_call(self, effect: EffectRow, now: float) -> None:
        """The moment before the target hears of it."""
        self.reviews.see_call(effect, now)
        hold(effect.id in self._started, f"{effect.id} is called without a trace of the intent")

    # In the end ----------------------------------------------------------------------------

    def what_is_open(self) -> str:
        """The first thing that is not over yet, or nothing."""
        tables = self.tables
        for run, row in tables.runs.items():
            if row.status not in {"completed", "failed", "cancelled"}:
                return f"{run} ({row.workflow.slug}) is {row.status} at {row.seq}"
        for command in tables.commands.values():
            if command.status not in FINAL:
                return f"command {command.id} ({command.kind}) is {command.status}"
        for item in tables.items.values():
            if item.status == "waiting" and item.kind != "stuck_command":
                return f"{item.id} ({item.kind}) is waiting"
        for state in self._states.values():
            for name, proposal in state.proposals.items():
                if proposal.is_open or proposal.status == "rolling_back":
                    return f"{name} is {proposal.status}"
        return ""

    def audit_end(self) -> None:
        for name, run in self.acknowledged.items():
            found = self.tables.external_ids.get(name)
            hold(found is not None, f"{name} was accepted and is lost")
            hold(run in {"", found}, f"{name} has two runs")
        for key, times in self.target.executed.items():
            hold(times == 1 or self._is_the_persons_word(key), f"{key} was executed {times} times")
        once = Counter(key.split()[0] for key in self.target.executed)
        for effect, times in once.items():
            hold(times == 1, f"{effect} was executed under {times} keys")
        self._audit_costs()
        for row in self.tables.runs.values():
            divergence = first_divergence(self.history(row))
            hold(divergence is None, str(divergence))
        self.reviews.audit_end()

    def _audit_costs(self) -> None:
        """Each run below was paid for once by the run above, whether that waited for it or not."""
        paid = Counter(
            str(_data(line.payload)["run"])
            for line in self.tables.events.values()
            if line.kind in {"child_ended", "child_spent"}
        )
        for row in self.tables.commands.values():
            if row.kind == "tell_parent" and row.status == "done":
                hold(paid[row.run] == 1, f"{row.run} was paid for {paid[row.run]} times")

    def _is_the_persons_word(self, effect: str) -> bool:
        """Sent out again by a person while a frozen worker was about to call; no key stops the second."""
        return effect in self._settled and not self.target.is_repeatable

    def history(self, run: RunRow) -> History:
        lines = [self.tables.events[run.id, seq] for seq in range(1, run.seq + 1)]
        said: dict[int, tuple[str, ...]] = {}
        for row in self.tables.commands.values():
            if row.run == run.id:
                form = form_of(row.kind, row.key, row.payload)
                said[row.seq] = (*said.get(row.seq, ()), form)
        return History(
            run=run.id,
            events=tuple(ev.from_json(line.kind, _data(line.payload)) for line in lines),
            commands=said,
            state=run.state,
            times=tuple(line.at_ms for line in lines),
            definition=canonical(run.workflow.definition),
        )


def _data(payload: str) -> Any:
    return read(payload)
