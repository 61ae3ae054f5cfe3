"""What follows from events in other tables, in the same transaction."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from orchestrator.core import events as ev
from orchestrator.core.state import RunState
from tests.simulator.options import DUE_MS, Options
from tests.simulator.tables import ItemRow, RunRow, Tables

# What an ended run still does.
KEPT = frozenset({"run_effect", "roll_back", "tell_parent", "cancel_run"})
# What becomes of an effect by what happened to it, and by what a person said about it.
AFTER = {
    "effect_succeeded": "done",
    "effect_failed": "failed",
    "effect_lost": "unknown",
    "rollback_requested": "undoing",
    "rollback_done": "undone",
    # What was done still stands.
    "rollback_failed": "done",
}
AFTER_SETTLING = {"happened": "done", "not_happened": "failed", "retry": "pending"}
AFTER_ROLLBACK = {"happened": "undone", "give_up": "done", "retry": "undoing"}
# What only people can find out, and as which kind of item it comes before them.
ASKED = {"effect_lost": "unknown_effect", "rollback_failed": "failed_compensation"}


class Projection:
    def __init__(self, options: Options, tables: Tables, clock: Callable[[], float]) -> None:
        self.options = options
        self.tables = tables
        self._clock = clock

    def open_item(self, run: str, kind: str, **values: Any) -> str:
        name = values.pop("name", "") or f"item-{len(self.tables.items) + 1}"
        due = values.pop("due_at", self._clock() + DUE_MS)
        self.tables.items.insert(name, ItemRow(id=name, run=run, kind=kind, due_at=due, **values))
        return name

    def see(self, row: RunRow, before: RunState, after: RunState, event: ev.Event) -> None:
        if after.proposals is not before.proposals:
            self._see_proposals(before, after)
        self._see_effect(event)
        self._ask(row, event)
        if after.works is not before.works:
            self._close_questions(before, after, event)
        ended_early = after.status != "completed" or bool(after.mesh.ended)
        if after.has_ended and not before.has_ended and ended_early:
            self._stop(row.id, after)

    def _see_proposals(self, before: RunState, after: RunState) -> None:
        for name, proposal in after.proposals.items():
            known = before.proposals.get(name)
            if known is None or known.status != proposal.status:
                row = self.tables.proposals[name]
                self.tables.proposals[name] = replace(row, status=proposal.status)
                if proposal.status == "withdrawn" and proposal.item:
                    self._withdraw(proposal.item)

    def _see_effect(self, event: ev.Event) -> None:
        if isinstance(event, ev.EffectStarted):
            effect = self.tables.effects[event.effect]
            happened = effect.may_have_happened or effect.status == "calling"
            self._change(event.effect, status="calling", may_have_happened=happened)
        elif isinstance(event, ev.EffectSettled):
            # A person says what became of it: the slate is clean.
            status = AFTER_SETTLING[event.verdict]
            self._change(event.effect, status=status, may_have_happened=False)
        elif isinstance(event, ev.RollbackSettled):
            self._change(event.effect, status=AFTER_ROLLBACK[event.verdict])
        elif event.kind in AFTER:
            self._change(str(getattr(event, "effect", "")), status=AFTER[event.kind])

    def _change(self, effect: str, **values: Any) -> None:
        self.tables.effects[effect] = replace(self.tables.effects[effect], **values)

    def _ask(self, row: RunRow, event: ev.Event) -> None:
        if not isinstance(event, ev.EffectLost | ev.RollbackFailed):
            return
        if event.kind == "rollback_failed" and self._is_mutant("nobody hears what was not undone"):
            return
        self.open_item(row.id, ASKED[event.kind], proposal=event.proposal, name=event.item)

    def _close_questions(self, before: RunState, after: RunState, event: ev.Event) -> None:
        if isinstance(event, ev.PersonAnswered):
            return
        for name, work in after.works.items():
            if work.item and work.status not in {"running", "deciding"}:
                self._withdraw(work.item)
            was = before.works.get(name)
            if was is not None and was.item and was.visit != work.visit:
                self._withdraw(was.item)

    def _stop(self, run: str, after: RunState) -> None:
        """Of runs that ended before their time. What was accepted still runs, and a parent is told."""
        kept = KEPT - {"roll_back"} if self._is_mutant("roll backs end with their run") else KEPT
        for work in after.works.values():
            if work.item:
                self._withdraw(work.item)
        for row in [row for row in self.tables.commands.values() if row.run == run]:
            if row.status in {"pending", "quarantined"} and row.kind not in kept:
                self.tables.commands[row.id] = replace(row, status="cancelled")

    def _withdraw(self, item: str) -> None:
        row = self.tables.items[item]
        if row.status == "waiting":
            self.tables.items[item] = replace(row, status="withdrawn", version=row.version + 1)

    def _is_mutant(self, name: str) -> bool:
        return name in self.options.mutants
