"""The numbers about the past that rule versions ask for, of recorded proposals.

A number that was recorded with the proposal is taken, if a version asked then declared the same window.
Any other is counted anew, as of the time at which the proposal was decided about.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestrator.core.policy.guardrails import Rule
from orchestrator.core.policy.history import Ask, Window, Windows, read_windows
from orchestrator.engine import recorded
from orchestrator.engine.recorded import Line
from orchestrator.history_queries import values_for
from orchestrator.models import RuleVersion

# Of one proposal, by rule version: its windows' numbers, or the reason why there are none.
type PastOf = dict[int, Mapping[str, Any] | str]


def find_pasts(
    rules: Sequence[Rule],
    lines: Sequence[Line],
    inputs: Mapping[str, Mapping[str, Any]],
    asked: Mapping[str, frozenset[int]],
) -> dict[str, PastOf]:
    """By proposal. Nothing is read when no version asks about the past."""
    found: dict[str, PastOf] = {line.id: {} for line in lines}
    if not rules:
        return found
    known = _known(rules, lines, inputs)
    for rule in rules:
        windows = read_windows(dict(rule.history))
        missing = []
        for line in lines:
            numbers = known[line.id]
            if rule.version_id not in asked[line.id]:
                continue
            if all(window in numbers for window in windows.values()):
                past = {name: numbers[window] for name, window in windows.items()}
                found[line.id][rule.version_id] = past
            else:
                missing.append(line)
        for line, counted in _count(windows, missing, inputs):
            found[line.id][rule.version_id] = counted
    return found


def _known(
    rules: Sequence[Rule], lines: Sequence[Line], inputs: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[Window, Any]]:
    """The numbers that were recorded: by window, because equal windows have equal numbers."""
    snapshots = [line.snapshot for line in lines if line.snapshot]
    asked = recorded.versions_asked(snapshots, [rule.slug for rule in rules])
    ids = {version for versions in asked.values() for version, _ in versions}
    versions = {
        one.pk: one for one in RuleVersion.objects.filter(pk__in=ids).select_related("rule")
    }
    windows = {key: read_windows(one.history) for key, one in versions.items()}
    found: dict[str, dict[Window, Any]] = {line.id: {} for line in lines}
    for line in lines:
        stored = inputs[line.id].get("history", {})
        for key, enforced in asked.get(line.snapshot or 0, ()):
            then = replace(versions[key].as_rule, enforced=enforced)
            numbers = stored.get(then.past, {})
            for name in windows[key].keys() & numbers.keys():
                found[line.id][windows[key][name]] = numbers[name]
    return found


def _count(
    windows: Windows, lines: Sequence[Line], inputs: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[Line, Mapping[str, Any] | str]]:
    if not lines:
        return
    found = values_for([_ask(line, inputs[line.id]) for line in lines], {"asked": windows})
    for line in lines:
        past = found[line.id]
        yield line, past.reason("asked") or past.numbers.get("asked", {})


def _ask(line: Line, inputs: Mapping[str, Any]) -> Ask:
    proposal = inputs["proposal"]
    return Ask(
        id=line.id,
        at=inputs["now"],
        agent=line.agent,
        action=line.action,
        target=proposal.get("target", ""),
        workflow=inputs["run"].get("workflow", ""),
        args=proposal.get("args", {}),
    )
