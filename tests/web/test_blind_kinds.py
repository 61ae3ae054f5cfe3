"""Second reviews and gold items: before the verdict they are audits like any, and nothing tells of them."""

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from orchestrator.actions import gold, users
from orchestrator.actions.actor import Actor
from orchestrator.models import Decision, GoldItem, Proposal, ReviewItem
from tests.conftest import SYSTEM, Cast
from tests.deciding import decide
from tests.web.conftest import HTMX
from tests.web.test_audits import TELLING, begin, judge
from tests.work import work_all

Propose = Callable[..., Proposal]
SignIn = Callable[..., Client]
HARMLESS = {"amount_minor": 1_990, "currency": "EUR"}
WHY = "The parcel was nine days late."


@pytest.fixture
def uma(cast: Cast) -> User:
    return users.create(SYSTEM, username="uma", password="x", role="reviewer")


@pytest.fixture
def approved(cast: Cast, propose: Propose) -> Proposal:
    """By Rita, and it ran."""
    proposal = propose(args=HARMLESS, confidence=0.1)
    decide(cast.rita, proposal.review_items.get(), note="As the letter says.")
    work_all()
    proposal.refresh_from_db()
    return proposal


@pytest.fixture
def second(settings: Settings, request: pytest.FixtureRequest) -> ReviewItem:
    settings.SECOND_REVIEW_SHARE = 1.0
    proposal: Proposal = request.getfixturevalue("approved")
    return proposal.review_items.get(kind="second_review")


@pytest.fixture
def golden(settings: Settings, cast: Cast, approved: Proposal, propose: Propose) -> GoldItem:
    """With an audit in whose place it comes."""
    settings.AUDIT_SHARE = settings.GOLD_SHARE = 1.0
    propose(args=HARMLESS, target="order/B-1")
    return gold.add(Actor(cast.ada), approved.pk, why=WHY)


@pytest.fixture(params=["second", "golden"])
def blind(request: pytest.FixtureRequest, approved: Proposal) -> Proposal:
    """Something that Rolf is handed next, though it was decided long before."""
    if request.param == "second":
        request.getfixturevalue("settings").SECOND_REVIEW_SHARE = 1.0
        decided = request.getfixturevalue("propose")(
            args=HARMLESS, confidence=0.1, target="order/C"
        )
        decide(request.getfixturevalue("cast").rita, decided.review_items.get(), note="As told.")
        work_all()
        return Proposal.objects.get(pk=decided.pk)
    return request.getfixturevalue("golden").proposal


def main_of(client: Client, address: str) -> str:
    page = client.get(address).text
    return page[page.index("<main") :]


def test_nothing_is_told_before_the_verdict(rolf: Client, blind: Proposal) -> None:
    main = main_of(rolf, begin(rolf))
    assert "Should this run?" in main
    words = (
        *TELLING,
        "rita",
        "0.1",
        "As the letter says.",
        "As told.",
        WHY,
        "gold",
        "Gold",
        "second",
        "Second",
    )
    assert [word for word in words if word in main] == []
    assert blind.pk not in main


def test_all_kinds_look_alike(
    settings: Settings, sign_in: SignIn, golden: GoldItem, propose: Propose
) -> None:
    """A gold item, an audit and a second review of the same words, each in somebody's hands."""
    settings.SECOND_REVIEW_SHARE = 1.0
    pages = {}
    for name in ("gold", "audit", "second_review"):
        settings.GOLD_SHARE = float(name == "gold")
        if name == "second_review":
            ReviewItem.objects.waiting().filter(kind="audit").update(priority=-1)
            made = propose(args=HARMLESS, confidence=0.1)
            decide(User.objects.get(username="rita"), made.review_items.get())
        client = sign_in(
            users.create(SYSTEM, username=f"p-{name[0]}", password="x", role="reviewer")
        )
        address = begin(client)
        item = ReviewItem.objects.select_related("proposal").get(pk=address.split("/")[2])
        assert item.kind == name
        pages[name] = plain(main_of(client, address), item)
    assert pages["gold"] == pages["audit"] == pages["second_review"]


def plain(page: str, item: ReviewItem) -> str:
    assert item.proposal is not None
    for varying in (item.pk, item.lease, item.pk[-6:], item.proposal.digest, item.proposal.target):
        page = page.replace(varying, "")
    page = re.sub(r"order/?[-\w]*|<time.*?</time>", "", page)
    return re.sub(r'(confirmation|idempotency_key|csrf\w*)" value="[^"]*"', "", page)


@pytest.mark.parametrize(
    "path", ["/proposals/{0.pk}/", "/runs/{0.run_id}/", "/runs/{0.run_id}/events/2/"]
)
def test_it_shows_itself_nowhere_else(rolf: Client, blind: Proposal, path: str) -> None:
    address = begin(rolf)
    response = rolf.get(path.format(blind))
    assert (response.status_code, response["Location"]) == (302, address)
    assert rolf.get(path.format(blind), headers=HTMX).status_code == 403
    decision = Decision.objects.filter(item__proposal=blind).earliest("pk")
    for pk in (blind.pk, decision.pk, decision.item_id):
        assert rolf.get(f"/find/?id={pk}", follow=True).redirect_chain[-1][0] == address
    for name in ("/proposals/", "/runs/", "/queue/"):
        assert blind.pk not in rolf.get(name).text
    judge(rolf, address, "approve")
    assert rolf.get(path.format(blind)).status_code == 200


def test_counts_tell_no_gold_item_from_an_audit(rolf: Client, golden: GoldItem) -> None:
    def waiting() -> list[str]:
        return re.findall(r'id="audits-count">(\d*)<|(\d+) waiting', rolf.get("/audits/").text)

    before = waiting()
    begin(rolf)
    assert waiting() == before
    assert "Go on with yours" in rolf.get("/audits/").text


@pytest.mark.parametrize("kind", ["second", "golden"])
def test_the_api_tells_of_neither(
    client: Client,
    token: Callable[..., str],
    request: pytest.FixtureRequest,
    rolf: Client,
    kind: str,
) -> None:
    request.getfixturevalue(kind)
    address = begin(rolf)
    item = ReviewItem.objects.select_related("proposal").get(pk=address.split("/")[2])
    assert item.proposal is not None
    headers = {"Authorization": f"Bearer {token('read')}"}
    for path in (f"/api/v1/proposals/{item.proposal.pk}", f"/api/v1/runs/{item.run_id}/events"):
        text = client.get(path, headers=headers).text
        assert item.pk not in text
        assert not re.search(r"gold|second_review|draw_chance", text)


def test_nobody_else_is_told_of_it(
    ada: Client, max_: Client, rolf: Client, second: ReviewItem, approved: Proposal
) -> None:
    begin(rolf)
    for client in (ada, max_):
        assert second.pk not in client.get(f"/proposals/{approved.pk}/").text
        assert "second_review" not in client.get("/audit-log/").text


# After the verdict -----------------------------------------------------------------------------------


def test_a_second_review_shows_the_first(rolf: Client, second: ReviewItem) -> None:
    page = judge(rolf, begin(rolf), "approve")
    assert "You agree with what was done." in page
    assert "rita: approved" in page


def test_a_gold_item_shows_the_known_answer(rolf: Client, golden: GoldItem) -> None:
    page = judge(rolf, begin(rolf), "reject")
    assert "You disagree with the known answer." in page
    assert WHY in page
    assert "It should run, as settled by review." in page
    assert "A third person is asked" not in page


def test_a_disagreement_is_shown_once_it_is_settled(
    sign_in: SignIn, uma: User, rita: Client, rolf: Client, second: ReviewItem
) -> None:
    address = f"/proposals/{second.proposal_id}/"
    judge(rolf, begin(rolf), "reject")
    assert "both say otherwise" not in rita.get(address).text
    third = sign_in(uma)
    page = judge(third, begin(third, "/audits/adjudicate/next/"), "reject")
    assert "rolf" in page
    assert "both say otherwise" in rita.get(address).text


# Keeping gold items ------------------------------------------------------------------------------------


def test_an_admin_marks_a_settled_proposal(ada: Client, approved: Proposal) -> None:
    page = ada.get(f"/proposals/{approved.pk}/").text
    assert "The known answer is that it should run." in page
    sent = {"proposal": approved.pk, "why": WHY}
    page = ada.post("/audits/gold/", sent, follow=True).text
    assert "Auditors are handed it now and then" in page
    assert WHY in page
    assert "Should run" in page
    assert "nobody yet" in page
    page = ada.get(f"/proposals/{approved.pk}/").text
    assert "auditors are handed it as if it were new" in page
    assert "Make it a gold item" not in page


@pytest.mark.parametrize("who", ["rita", "max_"])
def test_nobody_else_sees_which_they_are(
    request: pytest.FixtureRequest, golden: GoldItem, who: str
) -> None:
    client: Client = request.getfixturevalue(who)
    assert client.get("/audits/gold/").status_code == 403
    assert "Gold items" not in client.get("/audits/").text
    page = client.get(f"/proposals/{golden.proposal_id}/").text
    assert "gold item" not in page[page.index("<main") :].replace("gold.added", "")


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({"proposal": "", "why": WHY}, "This field is required."),
        ({"proposal": "no such", "why": WHY}, "there is none with this id."),
        ({"proposal": "a\x00b", "why": WHY}, "Null characters are not allowed."),
        ({"proposal": "{pk}", "why": " "}, "This field is required."),
        ({"proposal": "{open}", "why": WHY}, "people have not settled yet"),
    ],
)
def test_a_refusal_says_why_and_keeps_what_was_written(
    ada: Client, approved: Proposal, propose: Propose, sent: dict[str, str], says: str
) -> None:
    waiting = propose(confidence=0.1, target="order/2")
    filled = {name: text.format(pk=approved.pk, open=waiting.pk) for name, text in sent.items()}
    response = ada.post("/audits/gold/", filled)
    assert response.status_code == 422
    assert says in response.text
    assert filled["why"].strip() in response.text
    assert not GoldItem.objects.exists()


def test_it_is_taken_back_with_a_reason(ada: Client, golden: GoldItem) -> None:
    path = f"/audits/gold/{golden.pk}/retire/"
    assert "Not taken back." in ada.post(path, {"why": ""}, follow=True).text
    page = ada.post(path, {"why": "<b>Wrong parcel</b>"}, follow=True).text
    assert "taken back by ada" in page
    assert "&lt;b&gt;Wrong parcel" in page
    assert "Not taken back. Another admin" in ada.post(path, {"why": "Again."}, follow=True).text
    assert ada.post("/audits/gold/999/retire/", {"why": "x"}).status_code == 404


def test_the_list_says_how_auditors_did(ada: Client, rolf: Client, golden: GoldItem) -> None:
    judge(rolf, begin(rolf), "approve")
    assert "1 of 1" in ada.get("/audits/gold/").text


# How sure it is ------------------------------------------------------------------------------------------


def test_the_first_sentence_is_the_assurance(
    settings: Settings, rita: Client, propose: Propose
) -> None:
    assert "Nothing ran without a person in 30 days" in rita.get("/audits/").text
    settings.AUDIT_SHARE = 1.0
    for number in range(3):
        propose(args=HARMLESS, target=f"order/{number}")
    judge(rita, begin(rita), "approve")
    page = rita.get("/audits/").text
    main = page[page.index("<main") :]
    assert "Of 3 auto-accepts 1 were examined, 0 were wrong; too few to say more." in main
    assert main.index("auto-accepts") < main.index("Blind audits")
