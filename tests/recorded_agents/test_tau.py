"""A published policy, written as rules, against what recorded agents proposed.

What was expected of each call was said by others. Neither facts nor rules know it, nor how a call ended.
"""

import sys
from collections import Counter
from functools import cache
from typing import Any, NamedTuple

import pytest

from orchestrator.actions import contracts, proposals
from orchestrator.actions.actor import Actor
from orchestrator.actions.proposals import Suggestion
from orchestrator.core.policy.evaluation import Disposition
from orchestrator.core.policy.guardrails import compile_condition
from tests.conftest import Cast
from tests.recorded_agents.airline import Airline
from tests.recorded_agents.recordings import (
    activate,
    as_rules,
    judge,
    read_json,
    read_lines,
    read_policy,
    runs_of,
    spread,
    suggestion,
)
from tests.recorded_agents.retail import Shop

DOMAINS: dict[str, Any] = {"airline": Airline, "retail": Shop}
EXPECTED = {"accept": "accept", "escalate": "hold", "block": "block"}
AGREEMENT_MIN = 0.98
SUBMITTED = 30


class Judged(NamedTuple):
    """A recorded call, and what the rules say about it."""

    call: Suggestion
    # Nothing is expected of reading and of handing over to people.
    expected: str | None
    found: Disposition


@cache
def judged(domain: str) -> list[Judged]:
    database = read_json(f"tau/tau1_{domain}_db.json.gz")
    rules = as_rules(read_policy(f"{domain}.yaml"))
    result = []
    for run in runs_of(read_lines(f"tau/tau_{domain}.jsonl.gz")):
        world = DOMAINS[domain](database)
        for record in run:
            said = {name: record["ctx"][name] for name in ("user", "confirmed")}
            call = suggestion(record, {**said, **world.facts(record["tool"], record["args"])})
            expected = EXPECTED.get(record.get("expect", ""))
            result.append(Judged(call, expected, judge(rules, call)))
            world.call(record["tool"], record["args"])
    return result


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_rules_compile(domain: str) -> None:
    for document in read_policy(f"{domain}.yaml"):
        compile_condition(document.require)


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_rules_say_what_the_policy_says(
    domain: str, capsys: pytest.CaptureFixture[str]
) -> None:
    compared = [one for one in judged(domain) if one.expected]
    differing = [one for one in compared if one.expected != one.found.verdict]
    share = 1 - len(differing) / len(compared)
    with capsys.disabled():
        sys.stdout.write(report(domain, compared, differing))
    let_through = [one for one in differing if one.expected == "block" and not stopped(one)]
    assert let_through == []
    assert share >= AGREEMENT_MIN


@pytest.mark.parametrize("domain", DOMAINS)
def test_what_changes_nothing_is_not_held(domain: str) -> None:
    others = [one for one in judged(domain) if not one.expected]
    assert len(others) > 400
    assert {one.found.verdict for one in others} == {"accept"}


@pytest.mark.django_db
@pytest.mark.parametrize("domain", DOMAINS)
def test_the_same_comes_of_submitting_them(domain: str, cast: Cast, agent: Actor) -> None:
    """With the tools' own schemas as contracts of their arguments."""
    sample = spread([one for one in judged(domain) if one.expected], SUBMITTED)
    for tool in read_json(f"tau/tau1_{domain}_tools.json"):
        contracts.save(Actor(cast.ada), **contract(tool["function"]))
    activate(read_policy(f"{domain}.yaml"), Actor(cast.ada))
    for one in sample:
        proposal = proposals.submit(agent, one.call)
        assert proposal.disposition == one.found.verdict, one.call.external_id
        assert proposal.contract_version is not None


def contract(tool: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": "action",
        "name": tool["name"],
        "description": tool["description"][:500],
        "schema": {**tool["parameters"], "additionalProperties": False},
        "timeout_s": 60,
    }


def stopped(one: Judged) -> bool:
    return one.found.verdict in {"block", "hold"}


def report(domain: str, compared: list[Judged], differing: list[Judged]) -> str:
    counted = Counter(str(one.expected) for one in compared)
    lines = [
        f"\n{domain}: {len(compared) - len(differing)} of {len(compared)} as expected"
        f" ({', '.join(f'{count} {verdict}' for verdict, count in sorted(counted.items()))})",
        *(
            f"  {one.call.external_id}: {one.found.verdict} instead of {one.expected}:"
            f" {'; '.join(one.found.reasons)}"
            for one in differing
        ),
    ]
    return "\n".join(lines) + "\n"
