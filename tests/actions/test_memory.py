"""Revoking what agents remember, and finding all that followed from it."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connections

from orchestrator import memory_queries
from orchestrator.actions import memory
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import BadInput, NotAllowed, NotFound, ObservationRevoked
from orchestrator.engine import inputs, perform
from orchestrator.engine.advance import advance
from orchestrator.engine.memory import Memory
from orchestrator.models import AuditEntry, Observation, ObservationRead, Proposal
from tests.conftest import Cast
from tests.memories import only, reader, relay, run_of, shared, wish, writer
from tests.runs import REFUND
from tests.work import claim_one

WHY = "a tool lied"


@pytest.fixture
def chain(cast: Cast) -> Observation:
    """Poison is read, and what was made of it is read again; beside it there is something harmless."""
    run_of(shared(writer("source", wish("poison", "evil"), wish("harmless", "good"))))
    run_of(shared(relay("first", wish("second-hand", 1))), writer("later", wish("in-the-run", 2)))
    run_of(
        shared(relay("second", wish("third-hand", 3), memory={"at_most": 1})),
        shared(relay("refund", output=REFUND, proposes=True, memory={"at_most": 2})),
    )
    return only("poison")


def keys(aftermath: memory_queries.Aftermath, *, sure: bool = False) -> set[str]:
    return {one.key for one in aftermath.observations(sure=sure)}


def test_all_that_followed_is_found(chain: Observation) -> None:
    aftermath = memory_queries.aftermath(chain)
    assert {one.work for one in aftermath.reads} == {"first", "second", "refund"}
    assert keys(aftermath) == {"second-hand", "in-the-run", "third-hand"}
    assert keys(aftermath, sure=True) == {"second-hand", "third-hand"}
    levels = {one.observation.key: one.level for one in aftermath.followed}
    assert levels["second-hand"] == 1
    assert levels["third-hand"] == 2
    (made,) = aftermath.proposals
    assert made.proposal.action == "refund.create"
    assert made.is_sure
    assert not aftermath.is_cut


def test_what_was_not_read_did_not_follow(chain: Observation) -> None:
    aftermath = memory_queries.aftermath(only("third-hand"))
    assert keys(aftermath) == set()
    assert [one.work for one in aftermath.reads] == ["refund"]
    assert memory_queries.aftermath(only("in-the-run")) == memory_queries.Aftermath(
        [], [], [], is_cut=False
    )


def test_it_is_handed_to_nobody_any_more(chain: Observation, cast: Cast) -> None:
    done = memory.revoke(Actor(cast.rita), chain.pk, reason=WHY)
    assert done.observations == [chain.pk]
    chain.refresh_from_db()
    assert (chain.revoked_by, chain.revoked_why) == (cast.rita, WHY)
    run_of(shared(reader("look")))
    assert "poison" not in ObservationRead.objects.filter(work="look").values_list(
        "observation__key", flat=True
    )
    entry = AuditEntry.objects.get(verb="memory.revoked")
    assert (entry.user, entry.object_id, entry.detail["reason"]) == (cast.rita, chain.pk, WHY)
    assert only("second-hand").revoked_at is None


@pytest.mark.parametrize(
    ("also", "gone"),
    [
        ("sure", {"second-hand", "third-hand"}),
        ("all", {"second-hand", "third-hand", "in-the-run"}),
    ],
)
def test_what_followed_is_revoked_with_it(
    chain: Observation, cast: Cast, also: str, gone: set[str]
) -> None:
    wanted = memory.revoke(Actor(cast.ada), chain.pk, reason=WHY, also=also, dry_run=True)
    assert wanted.is_dry_run
    assert not Observation.objects.exclude(revoked_at=None).exists()
    assert not AuditEntry.objects.filter(verb="memory.revoked").exists()
    done = memory.revoke(Actor(cast.ada), chain.pk, reason=WHY, also=also)
    assert set(done.observations) == set(wanted.observations)
    revoked = Observation.objects.exclude(revoked_at=None).values_list("key", flat=True)
    assert set(revoked) == gone | {"poison"}
    assert only("harmless").revoked_at is None
    assert chain.pk in only("third-hand").revoked_why
    assert AuditEntry.objects.filter(verb="memory.revoked").count() == len(gone) + 1


def test_nobody_revokes_twice_but_may_revoke_what_followed_later(
    chain: Observation, cast: Cast
) -> None:
    memory.revoke(Actor(cast.rita), chain.pk, reason=WHY)
    with pytest.raises(ObservationRevoked, match="rita"):
        memory.revoke(Actor(cast.rolf), chain.pk, reason=WHY)
    memory.revoke(Actor(cast.rolf), chain.pk, reason=WHY, also="sure")
    assert only("second-hand").revoked_by == cast.rolf
    chain.refresh_from_db()
    assert chain.revoked_by == cast.rita
    with pytest.raises(ObservationRevoked):
        memory.revoke(Actor(cast.rolf), chain.pk, reason=WHY, also="sure")


def test_only_reviewers_and_admins_with_a_reason(chain: Observation, cast: Cast) -> None:
    who: User
    for who in (cast.max, cast.agents):
        with pytest.raises(NotAllowed):
            memory.revoke(Actor(who), chain.pk, reason=WHY)
    for reason in ("", " ", "x" * 5_001, "nul\x00"):
        with pytest.raises(BadInput):
            memory.revoke(Actor(cast.ada), chain.pk, reason=reason)
    with pytest.raises(BadInput):
        memory.revoke(Actor(cast.ada), chain.pk, reason=WHY, also="everything")
    for dry_run in (True, False):
        with pytest.raises(NotFound):
            memory.revoke(Actor(cast.ada), "obs_none", reason=WHY, dry_run=dry_run)


def test_a_circle_ends(cast: Cast) -> None:
    """The log knows none; rows that claim one are walked once."""
    run = run_of(shared(writer("note", wish("a", 1))), shared(relay("back", wish("b", 2))))
    a, b = only("a"), only("b")
    ObservationRead.objects.create(observation=b, run=run, seq=a.seq, work="note", at=a.at)
    assert keys(memory_queries.aftermath(a)) == {"b"}
    assert keys(memory_queries.aftermath(b)) == {"a"}
    done = memory.revoke(Actor(cast.ada), a.pk, reason=WHY, also="all")
    assert set(done.observations) == {a.pk, b.pk}


def test_too_much_is_shown_in_part_and_revoked_not_at_all(
    chain: Observation, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "MEMORY_DERIVED_MAX", 2)
    aftermath = memory_queries.aftermath(chain)
    assert aftermath.is_cut
    assert len(aftermath.followed) == 2
    with pytest.raises(BadInput, match="MEMORY_DERIVED_MAX"):
        memory.revoke(Actor(cast.ada), chain.pk, reason=WHY, also="all")
    chain.refresh_from_db()
    assert chain.revoked_at is None


def test_what_a_call_writes_that_had_read_it_is_spoilt(cast: Cast) -> None:
    run_of(shared(writer("source", wish("poison", 1))))
    run_of(shared(relay("out", wish("late", 2))), work=False)
    claimed = claim_one("agents")
    assert claimed is not None
    given = inputs.load_for_agents([claimed], Memory())[claimed.id]
    ending = perform.call_agent(claimed, given, lambda intent: True)
    poison = only("poison")
    memory.revoke(Actor(cast.ada), poison.pk, reason=WHY)
    advance(endings=[ending])
    late = only("late")
    assert late.revoked_at is not None
    assert late.revoked_by is None
    assert poison.pk in late.revoked_why
    assert ObservationRead.objects.get().observation_id == poison.pk


@pytest.mark.django_db(transaction=True)
def test_revoking_races_with_whoever_had_read_it(cast: Cast) -> None:
    """Whichever comes first, nothing that followed is left standing."""
    run_of(shared(writer("source", wish("poison", 1))))
    endings = []
    for number in range(6):
        run_of(shared(relay("out", wish(f"late-{number}", 2))), work=False)
        claimed = claim_one("agents")
        assert claimed is not None
        given = inputs.load_for_agents([claimed], Memory())[claimed.id]
        endings.append(perform.call_agent(claimed, given, lambda intent: True))
    poison = only("poison")
    ready = threading.Barrier(len(endings) + 1)

    def do(act: Callable[[], Any]) -> None:
        try:
            ready.wait(10)
            act()
        finally:
            connections.close_all()

    acts: list[Callable[[], Any]] = [
        lambda ending=ending: advance(endings=[ending])  # type: ignore[misc]
        for ending in endings
    ]
    acts.append(lambda: memory.revoke(Actor(cast.ada), poison.pk, reason=WHY, also="all"))
    threads = [threading.Thread(target=do, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert Observation.objects.count() == len(endings) + 1
    assert not Observation.objects.live().exists()


def test_proposals_of_other_runs_are_not_listed(chain: Observation, propose: Any) -> None:
    propose()
    assert len(memory_queries.aftermath(chain).proposals) == 1
    assert Proposal.objects.count() == 2


def test_shared_memories_are_listed_by_name(cast: Cast) -> None:
    run_of(writer("own", wish("a", 1)))
    for space in ("desk", "alpha", "zoo", "runs", "run.1"):
        run_of(shared(writer("note", wish("a", 1)), space))
    assert memory_queries.shared_spaces() == ["alpha", "desk", "run.1", "runs", "zoo"]
