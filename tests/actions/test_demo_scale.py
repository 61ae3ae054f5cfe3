"""A large demo, made small: what set-based SQL stores is what the product would have stored."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.backends.utils import CursorWrapper
from pytest_django import Settings

from orchestrator import journal
from orchestrator.actions import demo_scale
from orchestrator.actions.demo_scale_cast import AGENTS, REVIEWERS, TEAMS
from orchestrator.core import state
from orchestrator.core.codec import canonical, digest, read
from orchestrator.core.errors import BadInput
from orchestrator.core.policy import guardrails
from orchestrator.core.replay import first_divergence
from orchestrator.core.typeid import is_id
from orchestrator.engine.verify import find_sources, verify
from orchestrator.models import (
    Command,
    Decision,
    Effect,
    Event,
    LedgerEntry,
    PolicyCheck,
    Proposal,
    ReviewItem,
    Run,
    Snapshot,
    Team,
)
from tests.conftest import LoadDemo

COUNT = 400
Owner = Callable[[], AbstractContextManager[CursorWrapper]]


def load(as_owner: Owner, count: int = COUNT, **options: Any) -> int:
    with as_owner():
        return demo_scale.load(count, **options)


def is_whole(runs: int) -> bool:
    """As `manage.py verify` finds it, in the transaction of the test."""
    found = verify(find_sources(None, None), None)
    return not found.findings.in_order and found.runs == runs


def test_the_seed_tells_the_story(db: None, as_owner: Owner) -> None:
    def story() -> list[str]:
        return list(Proposal.objects.order_by("pk").values_list("payload", flat=True))

    class Undone(Exception):
        pass

    stories = []
    for seed in (1, 1, 2):
        with pytest.raises(Undone), as_owner():
            demo_scale.load(40, seed=seed)
            stories.append(story())
            raise Undone
    assert stories[0] == stories[1] != stories[2]


def test_an_interrupted_load_is_taken_up(
    db: None, as_owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_scale, "STRETCH", 150)

    class Stopped(Exception):
        pass

    def stop(progress: demo_scale.Progress) -> None:
        if progress.done >= 150 and progress.stage == "events":
            raise Stopped

    with as_owner(), pytest.raises(Stopped):
        demo_scale.load(COUNT, say=stop)
    assert Proposal.objects.count() == 150
    with pytest.raises(BadInput, match="was interrupted after 150"):
        load(as_owner, count=500)
    assert load(as_owner) == COUNT - 150
    assert Proposal.objects.count() == COUNT
    assert is_whole(COUNT)


def test_it_refuses_to_add_to_a_log(propose: Callable[..., Proposal], as_owner: Owner) -> None:
    propose()
    with pytest.raises(BadInput, match="has a log already"):
        load(as_owner)
    assert Event.objects.values("run").distinct().count() == 1
    assert load(as_owner, add=True) == COUNT


def test_the_command_loads_both_and_lets_the_demo_decide(
    db: None, as_owner: Owner, settings: Settings, tmp_path: Path
) -> None:
    settings.VAR_DIR = tmp_path
    out, err = StringIO(), StringIO()
    with as_owner():
        call_command("demo", scale=40, stdout=out, stderr=err)
    assert "40 proposals over 180 days are loaded." in out.getvalue()
    assert "reviewer" in json.loads((tmp_path / "demo-credentials.json").read_text())["users"]
    for team in Team.objects.filter(name__in=TEAMS):
        members = set(team.members.values_list("username", flat=True))
        assert {"reviewer", "reviewer2"} <= members
        assert len(members & set(REVIEWERS)) == 5
    assert is_whole(Run.objects.count())
    with as_owner(), pytest.raises(CommandError, match="is loaded already"):
        call_command("demo", scale=40, stdout=out, stderr=err)


@pytest.fixture(scope="class")
def loaded(load_demo: LoadDemo) -> int:
    return load_demo(COUNT)


class TestLoaded:
    """What they read is loaded once."""

    def test_it_stores_what_was_asked_for(self, loaded: int) -> None:
        assert loaded == COUNT == Proposal.objects.count() == Run.objects.count()
        assert Snapshot.objects.count() == PolicyCheck.objects.count() == COUNT
        first, last = Proposal.objects.earliest("pk"), Proposal.objects.latest("pk")
        assert 178 <= (last.created_at - first.created_at).days < 180
        assert set(Proposal.objects.values_list("agent", flat=True)) == set(AGENTS)
        assert set(Proposal.objects.values_list("agent_version", flat=True)) == {"1", "2", "3"}
        assert Proposal.objects.values("action").distinct().count() == 12
        assert set(Team.objects.values_list("name", flat=True)) == set(TEAMS)
        statuses = set(Proposal.objects.values_list("status", flat=True))
        assert statuses >= {"executed", "failed", "rejected", "blocked", "expired", "in_review"}

    def test_one_in_twenty_waits_for_a_person(self, loaded: int) -> None:
        waiting = ReviewItem.objects.waiting()
        assert COUNT / 35 < waiting.count() < COUNT / 10
        assert (
            Proposal.objects.filter(status="in_review").count()
            == waiting.filter(kind__in=["guardrail_failure", "escalation"]).count()
        )
        for item in ReviewItem.objects.select_related("proposal"):
            assert item.proposal
            assert (item.action, item.target) == (item.proposal.action, item.proposal.target)
            assert item.priority == sum(points for points, _ in item.priority_because)

    def test_its_log_verifies_and_replays(self, loaded: int) -> None:
        assert is_whole(COUNT)
        for run in Run.objects.select_related("workflow_version"):
            assert run.state == canonical(state.to_json(journal.replay(run)))
            assert first_divergence(journal.history(run)) is None

    def test_every_effect_was_allowed_and_is_in_the_ledger(self, loaded: int) -> None:
        effects = Effect.objects.select_related("proposal", "decision")
        assert {effect.status for effect in effects} >= {"done", "failed"}
        for effect in effects:
            assert (
                effect.payload_digest == effect.proposal.digest == digest(effect.proposal.payload)
            )
            assert effect.proposal.disposition == "accept" or effect.decision
        assert Command.objects.count() == effects.count()
        done = effects.filter(status="done").values_list("idempotency_key", flat=True)
        assert set(LedgerEntry.objects.values_list("key", flat=True)) == set(done)

    def test_ids_are_ids(self, loaded: int) -> None:
        for model, prefix in ((Run, "run"), (Proposal, "prp"), (Effect, "eff"), (Decision, "dec")):
            for row in model.objects.all():
                assert is_id(row.pk, prefix)

    def test_rules_say_of_its_snapshots_what_it_says_they_said(self, loaded: int) -> None:
        """So that a backtest over it finds what was recorded."""
        checks = PolicyCheck.objects.select_related("rule_version__rule", "snapshot")
        assert {check.result for check in checks} == {"pass", "fail"}
        for check in checks:
            inputs = read(check.snapshot.inputs)
            assert isinstance(inputs, dict)
            (said,) = guardrails.check_all([check.rule_version.as_rule], inputs)
            assert (said.result, said.reason) == (check.result, check.reason)
            assert list(said.explain) == check.explain

    def test_two_people_are_two(self, loaded: int) -> None:
        both = ReviewItem.objects.filter(approvals_needed=2, status="decided")
        assert both.exists()
        for item in both:
            assert item.decisions.values("reviewer").distinct().count() == 2
            assert item.version == 3
