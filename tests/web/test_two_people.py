"""Two people decide independently: the second does not see what the first said."""

from collections.abc import Callable

import pytest
from django.test import Client

from orchestrator.models import Effect, Proposal
from tests.web.conftest import HTMX, form_for


@pytest.fixture
def big(rule: Callable[..., None], propose: Callable[..., Proposal]) -> Proposal:
    rule(effect="two_person", title="Large refunds need two people")
    return propose()


def test_the_first_name_stays_hidden_until_one_has_decided(
    rita: Client, rolf: Client, ada: Client, big: Proposal
) -> None:
    first = rita.post(f"/proposals/{big.pk}/decide/", form_for(big), headers=HTMX)
    assert "Another person must approve before anything runs." in first.text
    assert not Effect.objects.exists()

    for page in (rolf.get(f"/proposals/{big.pk}/").text, ada.get(f"/proposals/{big.pk}/").text):
        assert "1 of 2 approvals" in page
        assert "Approved by somebody" in page
        assert "rita" not in page

    rolf.post(f"/proposals/{big.pk}/decide/", form_for(big, who="rolf"), headers=HTMX)
    page = rolf.get(f"/proposals/{big.pk}/").text
    assert "rita" in page
    assert Effect.objects.count() == 1


def test_the_first_cannot_be_the_second(rita: Client, big: Proposal) -> None:
    again = form_for(big, idempotency_key="another")
    rita.post(f"/proposals/{big.pk}/decide/", form_for(big))
    assert "another person must as well" in rita.get(f"/proposals/{big.pk}/").text
    response = rita.post(f"/proposals/{big.pk}/decide/", again, headers=HTMX)
    assert response.status_code == 409
    assert rita.post(f"/proposals/{big.pk}/claim/", again, headers=HTMX).status_code == 403
    assert not Effect.objects.exists()
