"""What a version of a tool says, as lines, and what differs from another one."""

import json
from difflib import unified_diff

from orchestrator.models import ToolVersion
from review.presentation.contract_changes import CONTEXT_LINES, Line


def said(version: ToolVersion) -> list[str]:
    """All of it: what a model is told, and what is called.

    What the tool says itself stands further in, so that no line of it passes for one of ours.
    """
    terms = [
        f"kind: {version.get_kind_display()}",
        f"timeout: {version.timeout_s:g} s",
        f"action: {version.action or '(its own)'}",
        f"a second call does no harm: {'yes' if version.is_repeatable else 'no'}",
    ]
    return [
        "description:",
        *_within(version.description.splitlines()),
        "parameters:",
        *_within(_pretty(version.schema)),
        *terms,
        "backend:",
        *_within(_pretty(version.backend)),
    ]


def differences(old: ToolVersion, new: ToolVersion) -> list[Line]:
    diff = unified_diff(said(old), said(new), lineterm="", n=CONTEXT_LINES)
    return [Line(text[:1], text[1:] if text[:1] != "@" else text) for text in list(diff)[2:]]


def _within(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _pretty(value: object) -> list[str]:
    return json.dumps(value, indent=2, ensure_ascii=False).splitlines()
