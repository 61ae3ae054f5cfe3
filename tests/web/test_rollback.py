"""Rolling back from the page of a proposal."""

from collections.abc import Callable

import pytest
from django.test import Client

from orchestrator.models import Effect, Proposal
from tests.work import work_all


@pytest.fixture
def done(propose: Callable[..., Proposal]) -> Proposal:
    proposal = propose()
    work_all()
    return proposal


def test_an_admin_has_it_undone(ada: Client, done: Proposal) -> None:
    page = f"/proposals/{done.pk}/"
    assert "Roll back what was done" in ada.get(page).text
    sent = ada.post(f"{page}roll-back/", {"reason": "The wrong customer."}, follow=True)
    assert "It is being rolled back." in sent.text
    assert "Roll back what was done" not in sent.text
    work_all()
    text = ada.get(page).text
    assert "Rolled back" in text
    assert "Receipt of undoing it" in text
    assert Effect.objects.get().status == "undone"


def test_it_takes_a_reason(ada: Client, done: Proposal) -> None:
    sent = ada.post(f"/proposals/{done.pk}/roll-back/", {"reason": " "}, follow=True)
    assert "Not rolled back." in sent.text
    assert Effect.objects.get().status == "done"


def test_reviewers_are_not_offered_it(rita: Client, done: Proposal) -> None:
    assert "Roll back what was done" not in rita.get(f"/proposals/{done.pk}/").text
    assert rita.post(f"/proposals/{done.pk}/roll-back/", {"reason": "x"}).status_code == 403


def test_what_does_not_exist(ada: Client, db: None) -> None:
    path = "/proposals/prp_01m7x1mws9e008000000000000/roll-back/"
    assert ada.post(path, {"reason": "x"}).status_code == 404
