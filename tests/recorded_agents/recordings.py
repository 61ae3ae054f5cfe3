"""Proposals of real agents, recorded and published by others. They are not part of this repository.

Without them the tests that need them are skipped.
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from orchestrator.actions import rules
from orchestrator.actions.actor import Actor
from orchestrator.actions.proposals import Suggestion
from orchestrator.core import yaml_text
from orchestrator.core.policy.evaluation import Bands, Disposition, dispose
from orchestrator.core.policy.guardrails import Rule, check_all
from orchestrator.core.policy.rule_text import Document, from_json, problems_of

HERE = Path(__file__).resolve().parent
RECORDINGS = HERE.parents[2] / "shared" / "data"
# Over the line above which a proposal without objections is accepted, so that rules alone decide.
CONFIDENCE = 0.95
BANDS = Bands(accept_above=0.9, escalate_at_or_below=0.6)

type Record = dict[str, Any]


def read_lines(name: str) -> list[Record]:
    with _open(name) as lines:
        return [json.loads(line) for line in lines]


def read_json(name: str) -> Any:
    with _open(name) as text:
        return json.load(text)


def _open(name: str) -> Any:
    path = RECORDINGS / name
    if not path.exists():
        pytest.skip(f"the recorded proposals {name} are not here")
    return gzip.open(path, "rt") if path.suffix == ".gz" else path.open()


def runs_of(records: list[Record]) -> Iterator[list[Record]]:
    """The calls of each run, in the order in which they were made."""

    def run(record: Record) -> str:
        return str(record["id"]).rpartition("/")[0]

    for _, calls in groupby(sorted(records, key=lambda one: (run(one), one["n"])), run):
        yield list(calls)


def read_policy(name: str) -> list[Document]:
    """Rules in the form in which rules are imported."""
    sheets, faults = yaml_text.read((HERE / "policies" / name).read_bytes())
    assert faults == []
    found = []
    for sheet in sheets:
        assert isinstance(sheet.value, dict)
        assert problems_of(sheet.value) == [], sheet.value
        found.append(from_json(sheet.value))
    return found


def as_rules(policy: list[Document]) -> list[Rule]:
    return [
        Rule(
            version_id=number,
            slug=document.slug,
            number=1,
            effect=document.effect,
            condition=document.require,
            message=document.message,
            actions=tuple(document.applies_to.get("actions", ["*"])),
        )
        for number, document in enumerate(policy)
    ]


def judge(rules: list[Rule], call: Suggestion) -> Disposition:
    """The rules that apply and the bands, as when it is submitted."""
    asked = [
        rule
        for rule in rules
        if rule.applies_to(action=call.action, agent=call.agent, workflow="default")
    ]
    inputs = {
        "proposal": {
            "action": call.action,
            "target": call.target,
            "args": call.args,
            "confidence": call.confidence,
            "rationale": "",
            "tainted": call.tainted,
            "tier": "normal",
        },
        "agent": {"name": call.agent, "version": "", "model": call.model},
        "run": {"id": "", "workflow": "default"},
        "context": call.context,
        "history": {},
    }
    return dispose(call.confidence, BANDS, check_all(asked, inputs))


def suggestion(record: Record, context: Record, tainted: Sequence[str] = ()) -> Suggestion:
    return Suggestion(
        agent=record["agent"],
        model=record["model"],
        action=record["tool"],
        target=record["target"] or "",
        args=record["args"],
        external_id=record["id"],
        confidence=CONFIDENCE,
        context=context,
        tainted=list(tainted),
    )


def activate(policy: list[Document], admin: Actor) -> None:
    for document in policy:
        version = rules.draft(
            admin,
            slug=document.slug,
            title=document.title,
            effect=document.effect,
            condition=document.require,
            message=document.message,
            applies_to=document.applies_to,
        )
        rules.activate(admin, version)


def spread(found: list[Any], count: int) -> list[Any]:
    """So many of them, evenly from the first to the last."""
    return [found[place * len(found) // count] for place in range(min(count, len(found)))]
