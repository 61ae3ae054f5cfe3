"""The page of a decision certificate, checked while it is made."""

from django.test import Client

from orchestrator.models import Certificate, Proposal
from tests.web.conftest import HTMX, form_for


def test_an_approval_leads_to_its_certificate(rita: Client, held: Proposal) -> None:
    page = rita.post(f"/proposals/{held.pk}/decide/", form_for(held), headers=HTMX).text
    certificate = Certificate.objects.get()
    assert certificate.digest in page
    shown = rita.get(f"/certificates/{certificate.decision_id}/").text
    assert "everything holds" in shown
    assert "Not so" not in shown
    assert certificate.digest in shown
    assert "verify --certificate" in shown


def test_a_rejection_has_none(rita: Client, held: Proposal) -> None:
    form = form_for(held, "reject", reason="wrong_value")
    page = rita.post(f"/proposals/{held.pk}/decide/", form, headers=HTMX).text
    assert "Decision certificate" not in page


def test_an_unknown_one_is_not_found(rita: Client) -> None:
    assert rita.get("/certificates/dec_01m7y6s13re5jaj1bm3y35bmxv/").status_code == 404
