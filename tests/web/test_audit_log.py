from django.test import Client
from pytest_django import Settings

from orchestrator.actions.actor import Actor, audit
from orchestrator.models import Proposal
from tests.conftest import Cast
from tests.web.conftest import form_for


def test_it_tells_who_did_what(max_: Client, rita: Client, held: Proposal) -> None:
    rita.post(f"/proposals/{held.pk}/decide/", form_for(held, note="seen <it>"))
    page = max_.get("/audit-log/").text
    assert "review_item.approved" in page
    assert "rita" in page
    assert "seen &lt;it&gt;" in page
    assert f'href="/proposals/{held.pk}/"' in page


def test_it_filters_by_verb_and_person(max_: Client, rita: Client, held: Proposal) -> None:
    rita.post(f"/proposals/{held.pk}/decide/", form_for(held))
    rows = max_.get("/audit-log/?verb=review_item.approved&who=rita").context["rows"].rows
    assert [(row.verb, row.actor) for row in rows] == [("review_item.approved", "rita")]
    assert (
        "No entry fits this filter" in max_.get("/audit-log/?verb=proposal.submitted&who=rita").text
    )


def test_it_pages_by_key(cast: Cast, max_: Client, settings: Settings) -> None:
    settings.PAGE_SIZE = 5
    for number in range(12):
        audit(Actor(cast.ada), "rule.drafted", f"rule/{number}")
    first = max_.get("/audit-log/?verb=rule.drafted").context["rows"]
    second = max_.get(f"/audit-log/?verb=rule.drafted&before={first.older}").context["rows"]
    names = [row.object_id for row in (*first.rows, *second.rows)]
    assert names == [f"rule/{number}" for number in range(11, 1, -1)]
    assert max_.get("/audit-log/?before=nonsense&after=9999999999999999999999").status_code == 200
