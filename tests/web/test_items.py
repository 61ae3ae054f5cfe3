"""Items that are not about a proposal alone: a run asks, an effect got lost, work is stuck."""

from collections.abc import Callable

import pytest
from django.test import Client

from orchestrator.actions.actor import Actor
from orchestrator.models import ApiToken, Command, Decision, Proposal, ReviewItem
from tests import runs
from tests.conftest import Cast
from tests.web.conftest import HTMX, item_form
from tests.work import work_all

Propose = Callable[..., Proposal]
NOTE = "Seen in the list of transfers."


def url_of(item: ReviewItem) -> str:
    return f"/proposals/{item.proposal_id}/" if item.proposal_id else f"/items/{item.pk}/"


def answer(
    item: ReviewItem, verdict: str, who: str = "rita", **changes: object
) -> dict[str, object]:
    """What the page of the item sends."""
    return item_form(item, verdict, who, note=NOTE) | changes


def look(client: Client, item: ReviewItem) -> None:
    """Take it, to see what only its holder is asked."""
    client.post(f"{url_of(item)}claim/", {"item": item.pk})


def let_go(item: ReviewItem) -> None:
    """As if the lease had run out."""
    ReviewItem.objects.filter(pk=item.pk).update(lease_until=None)


@pytest.fixture
def asked(db: None) -> ReviewItem:
    return runs.asked()


@pytest.fixture
def lost(propose: Propose) -> ReviewItem:
    return runs.lose(propose(target="order/B-777"))


@pytest.fixture
def stuck(db: None) -> ReviewItem:
    return runs.stick(runs.start("invoices", work=False))


@pytest.fixture(params=["asked", "lost", "stuck"])
def item(request: pytest.FixtureRequest) -> ReviewItem:
    found: ReviewItem = request.getfixturevalue(request.param)
    return found


# Any of them


def test_the_queue_says_what_each_is_and_leads_there(
    rita: Client, asked: ReviewItem, lost: ReviewItem, stuck: ReviewItem
) -> None:
    page = rita.get("/queue/").text
    assert runs.QUESTION in page
    assert "Did this happen? Refund €1,840.00 for" in page
    assert "The call of an agent stops its workers: " in page
    for chip in ("A run asks", "Outcome unknown", "Stuck work"):
        assert chip in page
    for found in (asked, lost, stuck):
        assert f'href="{url_of(found)}"' in page


def test_the_queue_filters_by_kind(rita: Client, asked: ReviewItem, stuck: ReviewItem) -> None:
    page = rita.get("/queue/?kind=stuck_command", headers=HTMX).text
    assert stuck.pk in page
    assert asked.pk not in page
    assert asked.pk not in rita.get("/queue/?action=refund.create", headers=HTMX).text


def test_its_id_opens_its_page(rita: Client, item: ReviewItem) -> None:
    assert rita.get("/find/", {"id": item.pk})["Location"] == url_of(item)
    page = rita.get(f"/items/{item.pk}/", follow=True)
    assert (page.redirect_chain or [(url_of(item), 302)]) == [(url_of(item), 302)]
    assert page.status_code == 200


def test_the_side_list_marks_it(rita: Client, item: ReviewItem) -> None:
    assert f'href="{url_of(item)}" data-row aria-current="page"' in rita.get(url_of(item)).text


VERDICTS = {
    "approval": ("approve", "reject"),
    "unknown_effect": ("happened", "not_happened", "retry"),
    "stuck_command": ("retry", "give_up"),
}


def test_verdicts_of_other_kinds_are_refused(rita: Client, item: ReviewItem) -> None:
    for verdict in Decision.Verdict.values:
        if verdict not in VERDICTS[item.kind]:
            form = answer(item, verdict, reason="other")
            response = rita.post(f"{url_of(item)}decide/", form, headers=HTMX)
            assert response.status_code == 422
            assert "verdict: choose among" in response.text or verdict == "edit"
    assert not Decision.objects.filter(item=item).exists()


def test_the_second_is_told_who_won_and_keeps_the_text(
    rita: Client, rolf: Client, item: ReviewItem
) -> None:
    first, *_, last = VERDICTS[item.kind]
    late = answer(item, last, "rolf", reason="other", note="my <b>long</b> note")
    let_go(item)
    assert rita.post(f"{url_of(item)}decide/", answer(item, first)).status_code == 302
    for headers in (HTMX, {}):
        response = rolf.post(f"{url_of(item)}decide/", late, headers=headers)
        assert response.status_code == 409
        assert "rita was first" in response.text
        assert "my &lt;b&gt;long&lt;/b&gt; note" in response.text
    assert Decision.objects.filter(item=item).count() == 1


def test_an_older_version_is_refused(rita: Client, item: ReviewItem) -> None:
    ReviewItem.objects.filter(pk=item.pk).update(version=4)
    form = answer(item, VERDICTS[item.kind][0], version=3)
    response = rita.post(f"{url_of(item)}decide/", form, headers=HTMX)
    assert response.status_code == 409
    assert "you saw version 3, it is now 4" in response.text


def test_the_same_click_twice_is_one_decision(rita: Client, item: ReviewItem) -> None:
    form = answer(item, VERDICTS[item.kind][0])
    for _ in range(2):
        assert rita.post(f"{url_of(item)}decide/", form, headers=HTMX).status_code == 200
    assert Decision.objects.filter(item=item).count() == 1


def test_managers_look_but_do_not_decide(max_: Client, item: ReviewItem) -> None:
    page = max_.get(url_of(item)).text
    assert "Deciding needs the role reviewer or admin." in page
    form = answer(item, VERDICTS[item.kind][0])
    assert max_.post(f"{url_of(item)}decide/", form).status_code == 403
    assert not Decision.objects.filter(item=item).exists()


def test_strangers_are_asked_to_sign_in(client: Client, item: ReviewItem) -> None:
    assert client.get(url_of(item)).status_code == 302
    for act in ("decide", "claim"):
        assert client.post(f"{url_of(item)}{act}/", {"item": item.pk}).status_code == 302


def test_an_item_is_decided_on_its_own_page_only(
    rita: Client, asked: ReviewItem, lost: ReviewItem, stuck: ReviewItem
) -> None:
    for here, other in ((asked, stuck), (stuck, lost), (lost, asked)):
        form = answer(other, VERDICTS[other.kind][0])
        response = rita.post(f"{url_of(here)}decide/", form, headers=HTMX)
        assert response.status_code == 422
        assert "item: it belongs to another page." in response.text
    assert rita.post(f"/items/{lost.pk}/decide/", answer(lost, "happened")).status_code == 404
    assert not Decision.objects.exists()


def test_forms_refuse_to_be_opened_and_pages_to_be_posted_to(
    rita: Client, asked: ReviewItem
) -> None:
    assert rita.get(f"/items/{asked.pk}/decide/").status_code == 405
    assert rita.post(f"/items/{asked.pk}/").status_code == 405
    assert rita.post(f"/items/{asked.pk}/news/").status_code == 405


@pytest.mark.parametrize("pk", ["rev_01m7y6s13re5jaj1bm3y35bmxv", "rev_nope", "%00"])
def test_an_unknown_one_is_not_found(rita: Client, asked: ReviewItem, pk: str) -> None:
    assert rita.get(f"/items/{pk}/").status_code == 404
    assert rita.get(f"/items/{pk}/news/").status_code == 404
    assert rita.post(f"/items/{pk}/decide/", answer(asked, "approve")).status_code == 404


# A run asks


def test_it_shows_what_the_reader_can_judge_by(rita: Client, asked: ReviewItem) -> None:
    page = rita.get(url_of(asked)).text
    assert runs.QUESTION in page
    assert "the intent of the run" in page
    assert "Done by" in page
    assert "damaged" in page
    assert f'href="/runs/{asked.run_id}/"' in page
    assert "then it is a no" in page


def test_the_run_goes_on_when_it_is_approved(rita: Client, asked: ReviewItem) -> None:
    response = rita.post(f"{url_of(asked)}decide/", answer(asked, "approve"), headers=HTMX)
    assert response.text.lstrip().startswith('<section id="outcome"')
    assert 'data-announce="Approved."' in response.text
    assert NOTE in rita.get(url_of(asked)).text
    work_all()
    assert Proposal.objects.get(run=asked.run_id).action == "refund.create"


def test_a_rejection_ends_the_run_and_needs_a_reason(rita: Client, asked: ReviewItem) -> None:
    response = rita.post(f"{url_of(asked)}decide/", answer(asked, "reject"), headers=HTMX)
    assert response.status_code == 422
    assert NOTE in response.text
    form = answer(asked, "reject", reason="wrong_value")
    assert "Rejected" in rita.post(f"{url_of(asked)}decide/", form, headers=HTMX).text
    asked.run.refresh_from_db()
    assert asked.run.status == "failed"


def test_two_people_approve_without_knowing_of_each_other(rita: Client, rolf: Client) -> None:
    item = runs.asked(approvals=2)
    first = rita.post(f"{url_of(item)}decide/", answer(item, "approve"), headers=HTMX)
    assert "Another person must approve" in first.text
    assert "another person must as well" in rita.get(url_of(item)).text
    page = rolf.get(url_of(item)).text
    assert "1 of 2 approvals" in page
    assert "rita" not in page
    again = {"item": item.pk}
    assert rita.post(f"{url_of(item)}claim/", again, headers=HTMX).status_code == 403
    stale = answer(item, "approve", "rolf", version=1)
    assert rolf.post(f"{url_of(item)}decide/", stale, headers=HTMX).status_code == 409
    fresh = answer(item, "approve", "rolf")
    assert rolf.post(f"{url_of(item)}decide/", fresh, headers=HTMX).status_code == 200
    assert "rita" in rolf.get(url_of(item)).text
    work_all()
    assert Proposal.objects.filter(run=item.run_id).exists()


def test_nobody_approves_their_own_run(cast: Cast, rita: Client, rolf: Client) -> None:
    item = runs.asked(Actor(cast.rita))
    assert "somebody else must decide" in rita.get(url_of(item)).text
    response = rita.post(f"{url_of(item)}claim/", {"item": item.pk}, headers=HTMX)
    assert response.status_code == 403
    assert rita.post(f"{url_of(item)}decide/", answer(item, "approve")).status_code == 422
    assert not Decision.objects.exists()
    assert rolf.post(f"{url_of(item)}decide/", answer(item, "approve", "rolf")).status_code == 302


def test_nobody_approves_what_their_own_token_started(
    cast: Cast, rita: Client, token: Callable[..., str]
) -> None:
    token("runs", owner=cast.rita)
    item = runs.asked(Actor(cast.agents, ApiToken.objects.get(owner=cast.rita)))
    assert "somebody else must decide" in rita.get(url_of(item)).text
    response = rita.post(f"{url_of(item)}claim/", {"item": item.pk}, headers=HTMX)
    assert response.status_code == 403
    assert rita.post(f"{url_of(item)}decide/", answer(item, "approve")).status_code == 422


def test_the_page_notices_that_somebody_was_faster(
    rita: Client, rolf: Client, asked: ReviewItem
) -> None:
    first = rolf.get(f"/items/{asked.pk}/news/", headers=HTMX)
    poll = HTMX | {"HX-PTag": first["HX-PTag"]}
    assert rolf.get(f"/items/{asked.pk}/news/", headers=poll).status_code == 304
    rita.post(f"{url_of(asked)}decide/", answer(asked, "approve"))
    news = rolf.get(f"/items/{asked.pk}/news/", headers=poll)
    assert "Approved by" in news.text
    assert 'hx-target="#decide"' in news.text
    assert f"/items/{asked.pk}/news/" not in news.text


def test_a_hostile_question_is_inert(rita: Client) -> None:
    hostile = "<script>alert(1)</script> pay \u202e100"
    item = runs.asked(question=hostile)
    for path in (url_of(item), "/queue/", f"/runs/{item.run_id}/"):
        page = rita.get(path).text
        assert "<script>alert" not in page
        assert "\u202e" not in page


# An effect got lost


def test_it_says_what_was_called_with_which_key_and_what_is_known(
    rita: Client, lost: ReviewItem
) -> None:
    look(rita, lost)
    page = rita.get(url_of(lost)).text
    assert "Outcome unknown" in page
    assert "Look there and say" in page
    assert lost.proposal is not None
    assert page.count(lost.proposal.effect.idempotency_key) >= 2
    assert "connection reset" in page
    assert "What may have run" in page
    assert "it waits until somebody answers" in page
    assert "Approve" not in page.split('id="decide"')[1]


@pytest.mark.parametrize(
    ("verdict", "becomes", "said"),
    [
        ("happened", ("executed", "done"), "Recorded: it happened."),
        ("not_happened", ("failed", "failed"), "Recorded: it did not happen."),
        ("retry", ("accepted", "pending"), "Recorded. It is run again."),
    ],
)
def test_each_answer_settles_it(
    rita: Client, lost: ReviewItem, verdict: str, becomes: tuple[str, str], said: str
) -> None:
    page = rita.post(f"{url_of(lost)}decide/", answer(lost, verdict), headers=HTMX).text
    assert said in page
    proposal = Proposal.objects.get(pk=lost.proposal_id)
    assert (proposal.status, proposal.effect.status) == becomes
    assert NOTE in page
    assert "rita looked" in rita.get(url_of(lost)).text


def test_what_is_run_again_runs_once_more(rita: Client, lost: ReviewItem) -> None:
    rita.post(f"{url_of(lost)}decide/", answer(lost, "retry"))
    work_all()
    page = rita.get(url_of(lost)).text
    assert "What ran" in page
    assert "Receipt" in page


@pytest.mark.parametrize("note", ["", "   "])
def test_each_answer_needs_a_note(rita: Client, lost: ReviewItem, note: str) -> None:
    form = answer(lost, "happened", note=note)
    response = rita.post(f"{url_of(lost)}decide/", form, headers=HTMX)
    assert response.status_code == 422
    assert "note: say in a few words how you know." in response.text
    assert not Decision.objects.exists()


def test_who_approved_it_may_also_settle_it(
    rita: Client, rule: Callable[..., None], propose: Propose
) -> None:
    rule()
    held = propose()
    item = held.review_items.get()
    rita.post(f"/proposals/{held.pk}/decide/", answer(item, "approve"))
    lost = runs.lose(held)
    look(rita, lost)
    page = rita.get(url_of(lost)).text
    assert "Approved by" in page
    assert "Look there and say" in page
    form = answer(lost, "happened", idempotency_key="settled")
    assert rita.post(f"{url_of(lost)}decide/", form, headers=HTMX).status_code == 200


# Work is stuck


def test_it_says_what_is_stuck_and_how_often_it_was_tried(rita: Client, stuck: ReviewItem) -> None:
    page = rita.get(url_of(stuck)).text
    assert "run_agent" in page
    assert "3 times the worker did not come back" in page
    assert "host:4711" in page
    assert "the worker stopped" in page
    assert "run_agent:list:1:0:1" in page


def test_it_is_tried_again(rita: Client, stuck: ReviewItem) -> None:
    page = rita.post(f"{url_of(stuck)}decide/", answer(stuck, "retry"), headers=HTMX).text
    assert "Sent to run again" in page
    work_all()
    stuck.run.refresh_from_db()
    assert stuck.run.status == "completed"


def test_it_is_given_up_and_its_run_hears_of_it(rita: Client, stuck: ReviewItem) -> None:
    page = rita.post(f"{url_of(stuck)}decide/", answer(stuck, "give_up"), headers=HTMX).text
    assert "Given up" in page
    stuck.run.refresh_from_db()
    assert stuck.run.status == "failed"
    assert Command.objects.get(pk=stuck.command_id).status == "failed"
    assert "rita gave it up" in rita.get(f"/runs/{stuck.run_id}/").text
