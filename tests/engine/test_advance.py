from collections.abc import Callable

import pytest
from django.db import IntegrityError, transaction
from pytest_django import DjangoAssertNumQueries

from orchestrator.core import events as ev
from orchestrator.core.errors import IllegalTransition, NotFound
from orchestrator.engine import sql
from orchestrator.engine.advance import Step, advance
from orchestrator.models import Event, Proposal, Run

Propose = Callable[..., Proposal]


def expired(proposal: Proposal) -> Step:
    return Step(proposal.run_id, ev.ProposalExpired(proposal=proposal.pk))


def test_a_batch_moves_many_runs_at_once(propose: Propose) -> None:
    made = [propose(confidence=0.7) for _ in range(5)]
    advance([expired(proposal) for proposal in made])
    assert set(Proposal.objects.values_list("status", flat=True)) == {"expired"}
    assert set(Run.objects.values_list("status", "seq")) == {("completed", 4)}


def test_the_cost_of_a_batch_is_not_its_length(
    propose: Propose,
    django_assert_num_queries: DjangoAssertNumQueries,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Lock and append go past the ORM; the statuses of proposals are one UPDATE through it."""
    made = [propose(confidence=0.7) for _ in range(5)]
    statements = []
    execute = sql.execute
    monkeypatch.setattr(sql, "execute", lambda *said: statements.append(said[0]) or execute(*said))
    with django_assert_num_queries(1):
        advance([expired(proposal) for proposal in made])
    assert len(statements) == 2


def test_all_or_none(propose: Propose) -> None:
    fine, settled = propose(confidence=0.7), propose()
    with pytest.raises(IllegalTransition), transaction.atomic():
        advance([expired(fine), expired(settled)])
    assert Proposal.objects.get(pk=fine.pk).status == "revision_requested"
    assert Event.objects.filter(kind="proposal_expired").count() == 0


def test_an_unknown_run_is_an_error(db: None) -> None:
    with pytest.raises(NotFound), transaction.atomic():
        advance([Step("run_nope", ev.ProposalExpired(proposal="p"))])


def test_a_key_is_said_once(propose: Propose) -> None:
    one, other = propose(confidence=0.7), propose(confidence=0.7)
    advance([Step(one.run_id, ev.ProposalExpired(proposal=one.pk), key="said")])
    with pytest.raises(IntegrityError), transaction.atomic():
        advance([Step(other.run_id, ev.ProposalExpired(proposal=other.pk), key="said")])
