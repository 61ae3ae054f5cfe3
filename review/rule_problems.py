"""What is wrong with a condition, as marks in a text of the browser."""

from collections.abc import Sequence
from typing import Any

from orchestrator.core.policy.diagnostics import ConditionProblem


def marks_of(problems: Sequence[ConditionProblem], text: str) -> list[dict[str, Any]]:
    """Browsers count in UTF-16, and the engine counts characters."""
    lines = text.split("\n")
    return [
        {
            "line": problem.line,
            "column": problem.column,
            "from": (start := _offset(problem, lines)),
            "to": start + _length(problem, lines),
            "reason": problem.reason,
            "suggestion": problem.suggestion,
            "severity": problem.severity,
        }
        for problem in problems
    ]


def _offset(problem: ConditionProblem, lines: Sequence[str]) -> int:
    before = sum(_units(line) + 1 for line in lines[: problem.line - 1])
    return before + _units(_line(problem, lines)[: problem.column - 1])


def _length(problem: ConditionProblem, lines: Sequence[str]) -> int:
    """At least one, so that there is something to see."""
    rest = "\n".join([_line(problem, lines)[problem.column - 1 :], *lines[problem.line :]])
    return max(1, _units(rest[: problem.length]))


def _line(problem: ConditionProblem, lines: Sequence[str]) -> str:
    return lines[problem.line - 1] if problem.line <= len(lines) else ""


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
