"""Recorded proposals as cases: what the rules saw, what a person decided, what other rules said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestrator.core.codec import read
from orchestrator.core.policy.backtest import APPROVED, REJECTED, UNKNOWN
from orchestrator.core.policy.changes import is_change
from orchestrator.core.policy.masking import MASKED
from orchestrator.core.policy.panel import Panel, Recorded, hidden_names
from orchestrator.core.policy.queue_load import Objection
from orchestrator.engine import recorded
from orchestrator.engine.pasts import find_pasts
from orchestrator.engine.recorded import Line

_HUMAN = {"approve": APPROVED, "reject": REJECTED}


@dataclass(frozen=True, slots=True)
class Case:
    line: Line
    seen: Recorded
    # The versions in whose scope it is.
    asked: frozenset[int]
    human: str
    others: Sequence[Objection]


def cut(panel: Panel, page: list[Line]) -> list[Line]:
    """No more than can be held in memory at once, but at least one."""
    room = recorded.BYTES_MAX
    for index, line in enumerate(page):
        room -= line.length if _is_wanted(panel, line) else 0
        if room < 0 and index:
            return page[:index]
    return page


def read_cases(panel: Panel, lines: Sequence[Line]) -> dict[str, Case]:
    """By proposal, of those that any version is asked about."""
    wanted = [line for line in lines if _is_wanted(panel, line)]
    inputs, hidden = _read_inputs(wanted)
    asked = {line.id: _asked(panel, line, inputs[line.id]) for line in wanted}
    wanted = [line for line in wanted if asked[line.id]]
    verdicts = recorded.verdicts_on([line.id for line in wanted])
    others = recorded.objections_to([line.snapshot for line in wanted if line.snapshot])
    pasts = find_pasts([rule for rule in panel.rules if rule.history], wanted, inputs, asked)

    def case(line: Line) -> Case:
        seen = Recorded(inputs[line.id], pasts[line.id], hidden.get(line.id, frozenset()))
        human = _HUMAN.get(verdicts.get(line.id, ""), UNKNOWN)
        return Case(line, seen, asked[line.id], human, others.get(line.snapshot or 0, ()))

    return {line.id: case(line) for line in wanted}


def _is_wanted(panel: Panel, line: Line) -> bool:
    if line.snapshot is None or is_change(line.action):
        return False
    return panel.wants(action=line.action, agent=line.agent)


def _asked(panel: Panel, line: Line, inputs: Mapping[str, Any]) -> frozenset[int]:
    return panel.asked(
        action=line.action,
        agent=line.agent,
        workflow=inputs.get("run", {}).get("workflow", ""),
        tier=inputs.get("proposal", {}).get("tier", "normal"),
    )


def _read_inputs(
    lines: Sequence[Line],
) -> tuple[dict[str, dict[str, Any]], dict[str, frozenset[str]]]:
    """What the rules saw, and the names of what was masked in it."""
    proposals = {line.snapshot: line.id for line in lines if line.snapshot}
    inputs, hidden = {}, {}
    for snapshot, text in recorded.inputs_of(proposals.keys()):
        found: Any = read(text)
        if MASKED in text:
            hidden[proposals[snapshot]] = hidden_names(found)
        found["now"] = datetime.fromisoformat(found["now"])
        inputs[proposals[snapshot]] = found
    return inputs, hidden
