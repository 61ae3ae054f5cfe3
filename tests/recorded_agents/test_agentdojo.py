"""Two rules against prompt injection, on calls of recorded agents, some of which had been injected."""

import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from orchestrator.actions import proposals
from orchestrator.actions.actor import Actor
from orchestrator.actions.proposals import Suggestion
from tests.conftest import Cast
from tests.recorded_agents.lineage import Lineage
from tests.recorded_agents.recordings import (
    Record,
    activate,
    as_rules,
    judge,
    read_lines,
    read_policy,
    runs_of,
    spread,
    suggestion,
)

TAINT, REQUEST = "untrusted_text.yaml", "not_in_request.yaml"
SUBMITTED = 30


def calls() -> Iterator[tuple[Record, Suggestion]]:
    """Each call with where its identifiers came from, which whoever runs the agent has seen."""
    for run in runs_of(read_lines("agentdojo/proposals.jsonl.gz")):
        lineage = Lineage()
        for record in run:
            source = record["prov"]
            tainted = lineage.tainted(record["args"], identifiers_from=source)
            yield record, suggestion(record, {"identifiers_from": source}, tainted)


def held(policy: str) -> Counter[str]:
    rules = as_rules(read_policy(policy))
    return Counter(
        record["label"] for record, call in calls() if judge(rules, call).verdict == "hold"
    )


def test_taint_catches_more_attacks_at_fewer_clean_holds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    all_of = Counter(record["label"] for record, _ in calls())
    taint, request = held(TAINT), held(REQUEST)
    direct = Counter(record["label"] for record, _ in calls() if record["prov"] == "tool")
    with capsys.disabled():
        sys.stdout.write(f"\nof {dict(all_of)} are held\n")
        for name, counted in (
            ("tainted arguments", taint),
            ("the same without lineage", direct),
            ("identifiers not in the request", request),
        ):
            sys.stdout.write(f"  by {name}: {dict(sorted(counted.items()))}\n")
    assert taint["attack"] > request["attack"]
    assert taint["benign"] < request["benign"]


@pytest.mark.django_db
def test_the_same_comes_of_submitting_them(cast: Cast, agent: Actor) -> None:
    policy = read_policy(TAINT)
    rules = as_rules(policy)
    activate(policy, Actor(cast.ada))
    verdicts = []
    for _, call in spread(list(calls()), SUBMITTED):
        proposal = proposals.submit(agent, call)
        assert proposal.disposition == judge(rules, call).verdict, call.external_id
        verdicts.append(proposal.disposition)
    assert set(verdicts) == {"accept", "hold"}


def test_a_name_is_tainted_by_what_it_came_with() -> None:
    lineage = Lineage()
    fred = {"user": "Fred", "user_email": "fred@example.com"}
    assert lineage.tainted({"user": "Fred"}, identifiers_from="no_id") == []
    assert lineage.tainted(fred, identifiers_from="tool") == ["/user", "/user_email"]
    later = {"user": "fred", "channel": "general", "body": "Fred"}
    assert lineage.tainted(later, identifiers_from="no_id") == ["/user"]
