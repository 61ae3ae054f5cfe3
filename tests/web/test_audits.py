"""The pages of audits: blind before the verdict, open after it, and nothing leaks in between."""

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from orchestrator import audit_queries
from orchestrator.actions import audits, users
from orchestrator.actions.actor import Actor
from orchestrator.models import Decision, Proposal, ReviewItem
from tests.conftest import SYSTEM, Cast
from tests.web.conftest import HTMX
from tests.work import work_all

Propose = Callable[..., Proposal]
HARMLESS = {"amount_minor": 1_990, "currency": "EUR"}
# What would tell the auditor what was done, by whom, how sure the agent was, or who it was.
TELLING = ("refund-agent", "0.95", "Done", "Accept", "over 0.9", "evaluation policy", "Transaction")
QUERIES_MAX = 24


@pytest.fixture(autouse=True)
def _everything_is_drawn(settings: Settings) -> None:
    settings.AUDIT_SHARE = settings.LABEL_SHARE = 1.0


@pytest.fixture
def ran(propose: Propose) -> Proposal:
    proposal = propose(args=HARMLESS, rationale="Nine days late.", context={"days": 9})
    work_all()
    proposal.refresh_from_db()
    assert proposal.status == "executed"
    return proposal


@pytest.fixture
def uma(cast: Cast) -> User:
    return users.create(SYSTEM, username="uma", password="x", role="reviewer")


def begin(client: Client, path: str = "/audits/next/") -> str:
    """The page of the audit that was handed out."""
    response = client.post(path)
    assert response.status_code == 302
    return str(response["Location"])


def form_on(client: Client, address: str, verdict: str, **changes: str) -> dict[str, str]:
    """What the page's own form sends."""
    forms = re.findall(r"<form\b.*?</form>", client.get(address).text, re.DOTALL)
    form = next(one for one in forms if f'name="verdict" value="{verdict}"' in one)
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
    fields |= {"reason": "wrong_value"} if verdict == "reject" else {}
    return fields | changes


def judge(client: Client, address: str, verdict: str, **changes: str) -> str:
    sent = form_on(client, address, verdict, **changes)
    response = client.post(f"{address}judge/", sent, follow=True)
    assert response.status_code == 200
    return response.text


# The start --------------------------------------------------------------------------------------


def test_it_says_how_many_wait_and_starts(rita: Client, ran: Proposal) -> None:
    page = rita.get("/audits/").text
    assert "1 waiting" in page
    assert "1 for you, handed out one by one." in page
    assert ran.pk not in page
    assert begin(rita) == f"/audits/{ReviewItem.objects.get().pk}/"
    assert "Go on with yours" in rita.get("/audits/").text


def test_it_is_honest_when_there_is_nothing(rita: Client, cast: Cast) -> None:
    assert "Nothing to audit" in rita.get("/audits/").text


def test_it_is_honest_when_others_hold_the_rest(rita: Client, rolf: Client, ran: Proposal) -> None:
    begin(rita)
    page = rolf.get("/audits/").text
    assert "Others hold the rest" in page
    assert rolf.post("/audits/next/", follow=True).redirect_chain == [("/audits/", 302)]


def test_it_is_honest_when_the_rest_is_not_for_the_reader(rita: Client, ran: Proposal) -> None:
    address = begin(rita)
    lease = ReviewItem.objects.get().lease
    assert "Put back" in rita.post(f"{address}put-back/", {"lease": lease}, follow=True).text
    assert "What waits is for others" in rita.get("/audits/").text


def test_the_navigation_counts_what_waits(rita: Client, ran: Proposal) -> None:
    assert re.search(
        r'</svg>Audits<span class="count" id="audits-count">1</span>', rita.get("/queue/").text
    )


def test_managers_see_counts_and_no_items(max_: Client, rita: Client, ran: Proposal) -> None:
    address = begin(rita)
    judge(rita, address, "reject")
    page = max_.get("/audits/").text
    assert "Reviewers and admins judge them." in page
    assert "In dispute" in page
    assert "rita" not in page
    assert max_.get(address).status_code == 403
    assert max_.post("/audits/next/").status_code == 403
    assert "wrong_value" not in max_.get("/audit-log/").text


def test_more_audits_cost_no_more_queries(
    rita: Client, propose: Propose, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(6):
        propose(args=HARMLESS, target=f"order/{number}")
    with django_assert_max_num_queries(QUERIES_MAX):
        rita.get("/audits/")
    address = begin(rita)
    with django_assert_max_num_queries(QUERIES_MAX):
        rita.get(address)
    judge(rita, address, "approve")
    with django_assert_max_num_queries(QUERIES_MAX):
        rita.get(address)


# Before the verdict -------------------------------------------------------------------------------


def test_the_page_shows_the_matter_and_nothing_of_what_was_done(
    rita: Client, ran: Proposal
) -> None:
    page = rita.get(begin(rita)).text
    main = page[page.index("<main") :]
    assert "Should this run?" in main
    assert "Refund €19.90 for" in main
    assert "Nine days late." in main
    assert "Decisions here run nothing" in main
    assert [word for word in TELLING if word in main] == []
    assert ran.pk not in main
    assert ran.run_id not in main


def test_accepted_and_blocked_look_alike(
    rita: Client, propose: Propose, rule: Callable[..., None]
) -> None:
    pages = []
    for effect in ("flag", "block"):
        rule(slug=f"limit-{effect}", effect=effect)
        propose(target="order/A-1")
        address = begin(rita)
        item = ReviewItem.objects.get(pk=address.split("/")[2])
        page = rita.get(address).text
        for varying in (item.pk, item.lease, item.pk[-6:], item.proposal.digest):
            page = page.replace(varying, "")
        pages.append(
            re.sub(r'name="(confirmation|idempotency_key)" value="[^"]*"|<time.*?</time>', "", page)
        )
        judge(rita, address, "approve")
    kept = [re.sub(r"csrf\w*\" value=\"\w+\"", "", page) for page in pages]
    main = [page[page.index("<main") :] for page in kept]
    assert main[0] == main[1]


@pytest.mark.parametrize(
    "path",
    [
        "/proposals/{0.pk}/",
        "/proposals/{0.pk}/outcome/",
        "/runs/{0.run_id}/",
        "/runs/{0.run_id}/events/2/",
    ],
)
def test_what_is_audited_shows_itself_nowhere_else(
    rita: Client, rolf: Client, ran: Proposal, path: str
) -> None:
    address = begin(rita)
    response = rita.get(path.format(ran))
    assert (response.status_code, response["Location"]) == (302, address)
    line = rita.get(path.format(ran), headers=HTMX)
    assert line.status_code == 403
    assert "You are auditing this." in line.text
    assert rolf.get(path.format(ran)).status_code == 200
    judge(rita, address, "approve")
    assert rita.get(path.format(ran)).status_code == 200


def test_lists_leave_it_out_and_say_so(ada: Client, ran: Proposal) -> None:
    begin(ada)
    for path in ("/proposals/", "/runs/", "/audit-log/"):
        page = ada.get(path).text
        assert ran.pk not in page
        assert ran.run_id not in page
        assert "What you are auditing is left out" in page


def test_an_id_leads_to_the_audit(rita: Client, ran: Proposal) -> None:
    address = begin(rita)
    item = ReviewItem.objects.get()
    assert rita.get(f"/items/{item.pk}/", follow=True).redirect_chain[-1][0] == address
    assert rita.get(f"/find/?id={ran.pk}", follow=True).redirect_chain[-1][0] == address


def test_others_see_that_it_is_judged_blindly(rita: Client, rolf: Client, ran: Proposal) -> None:
    address = begin(rita)
    page = rolf.get(address).text
    assert "This is judged blindly" in page
    assert "Refund" not in page[page.index("<main") :]


def test_other_pages_do_not_tell_of_it(rolf: Client, ran: Proposal) -> None:
    item = ReviewItem.objects.get()
    for path in ("/queue/", f"/proposals/{ran.pk}/", f"/runs/{ran.run_id}/"):
        assert item.pk not in rolf.get(path).text


# The verdict --------------------------------------------------------------------------------------


def test_agreeing_reveals_what_was_done(rita: Client, ran: Proposal) -> None:
    address = begin(rita)
    page = judge(rita, address, "approve", note="As I would.")
    assert "You agree with what was done." in page
    for word in ("refund-agent", "0.95", "Done", "without a person", "As I would."):
        assert word in page
    assert f"/proposals/{ran.pk}/" in page


def test_the_fragment_carries_the_reveal(rita: Client, ran: Proposal) -> None:
    address = begin(rita)
    sent = form_on(rita, address, "approve")
    response = rita.post(f"{address}judge/", sent, headers=HTMX)
    assert response.status_code == 200
    assert "<html" not in response.text
    assert 'data-announce="Recorded. You agree' in response.text
    assert '<hx-partial hx-target="#audits-count"' in response.text


def test_disagreeing_asks_a_third_person_as_blindly(
    sign_in: Callable[..., Client], rita: Client, uma: User, ran: Proposal
) -> None:
    address = begin(rita)
    page = judge(rita, address, "reject", note="Too late to ask.")
    assert "A third person is asked" in page
    third = sign_in(uma)
    listed = third.get("/audits/adjudicate/").text
    assert "Refund €19.90 for" in listed
    assert "rita" not in listed
    dispute = begin(third, "/audits/adjudicate/next/")
    page = third.get(dispute).text
    assert "One says that it should run, the other that it should not." in page
    assert [word for word in (*TELLING, "rita", "Too late to ask.") if word in page] == []
    page = judge(third, dispute, "reject")
    assert "You side with the auditor" in page
    assert "rita" in page
    assert "Too late to ask." in page
    # And the auditor learns what became of it.
    assert "uma" in rita.get(address).text


def test_who_judged_is_not_handed_the_dispute(rita: Client, ran: Proposal) -> None:
    judge(rita, begin(rita), "reject")
    page = rita.post("/audits/adjudicate/next/", follow=True)
    assert page.redirect_chain == [("/audits/adjudicate/", 302)]
    assert "What waits is for others" in page.text


@pytest.mark.parametrize("name", ["version", "lease", "confirmation", "idempotency_key", "verdict"])
def test_what_is_missing_is_refused(rita: Client, ran: Proposal, name: str) -> None:
    address = begin(rita)
    sent = form_on(rita, address, "approve")
    del sent[name]
    assert rita.post(f"{address}judge/", sent).status_code == 422
    assert not Decision.objects.exists()


def test_a_refusal_keeps_what_was_written(rita: Client, ran: Proposal) -> None:
    address = begin(rita)
    sent = form_on(rita, address, "reject", reason="", note="I think so.")
    response = rita.post(f"{address}judge/", sent)
    assert response.status_code == 422
    assert "say why: choose one of the reasons." in response.text
    assert "I think so." in response.text


def test_somebody_else_was_faster(rita: Client, cast: Cast, ran: Proposal) -> None:
    address = begin(rita)
    sent = form_on(rita, address, "reject", note="Mine.")
    ReviewItem.objects.update(lease_until=timezone.now())
    audits.take_next(Actor(cast.rolf))
    response = rita.post(f"{address}judge/", sent)
    assert response.status_code == 409
    assert "Mine." in response.text
    assert "0.95" not in response.text


def test_a_sign_of_life_keeps_the_hold(rita: Client, cast: Cast, ran: Proposal) -> None:
    address = begin(rita)
    item = ReviewItem.objects.get()
    ReviewItem.objects.update(lease_until=timezone.now())
    assert rita.post(f"{address}keep/", {"lease": item.lease}).status_code == 204
    assert ReviewItem.objects.get().is_held
    ReviewItem.objects.update(lease_until=timezone.now())
    audits.take_next(Actor(cast.rolf))
    assert rita.post(f"{address}keep/", {"lease": item.lease}).status_code == 409


@pytest.mark.parametrize(("act", "status"), [("keep", 409), ("put-back", 302)])
def test_a_made_up_hold_is_none(rita: Client, ran: Proposal, act: str, status: int) -> None:
    address = begin(rita)
    assert rita.post(f"{address}{act}/", {"lease": "a\x00b"}).status_code == status
    assert ReviewItem.objects.get().is_held


def test_one_that_is_lost_at_this_very_moment_is_said_so(
    rita: Client, ran: Proposal, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(rita)
    known = audit_queries.held_by

    def held_by(person: User) -> ReviewItem | None:
        found = known(person)
        ReviewItem.objects.update(lease="of somebody else")
        return found

    monkeypatch.setattr(audit_queries, "held_by", held_by)
    page = rita.post("/audits/next/", follow=True)
    assert page.redirect_chain == [("/audits/", 302)]
    assert "Somebody else has taken the one that you held." in page.text


def test_what_is_no_audit_is_not_here(rita: Client, propose: Propose, cast: Cast) -> None:
    item = propose(confidence=0.1).review_items.get(kind="escalation")
    assert rita.get(f"/audits/{item.pk}/").status_code == 404
    assert rita.post(f"/audits/{item.pk}/judge/", {}).status_code == 404
