"""The bell, the list behind it, what reaches whom, and the pages of webhooks."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from orchestrator.actions import notices as actions
from orchestrator.actions.actor import Actor
from orchestrator.engine import deliveries, notices
from orchestrator.engine.sweep import sweep
from orchestrator.engine.webhooks import secret_of
from orchestrator.models import (
    Delivery,
    Notice,
    NoticeAddress,
    NoticeChoice,
    NoticeKind,
    Proposal,
    ReviewItem,
    Team,
    WebhookEndpoint,
    WeeklyReport,
)
from tests.conftest import Cast
from tests.engine.listener import Listener
from tests.web.conftest import HTMX


@pytest.fixture
def item(held: Proposal) -> ReviewItem:
    return held.review_items.get()


def tell(person: Any, text: str = "max assigned an action to you.", **more: Any) -> Notice:
    return Notice.objects.create(user=person, kind="item_assigned", text=text, **more)


def text_of(client: Client, path: str) -> str:
    return client.get(path).content.decode()


# The bell ---------------------------------------------------------------------------------------


def test_the_bell_counts_what_is_unread_and_ones_own(rita: Client, cast: Cast) -> None:
    assert 'aria-label="Notices"' in text_of(rita, "/queue/")
    tell(cast.rolf)
    for _ in range(3):
        tell(cast.rita)
    tell(cast.rita, read_at=timezone.now())
    assert 'aria-label="Notices, 3 unread"' in text_of(rita, "/queue/")


def test_the_bell_stops_counting(rita: Client, cast: Cast) -> None:
    Notice.objects.bulk_create(
        Notice(user=cast.rita, kind="mentioned", text="x") for _ in range(150)
    )
    assert "99+ unread" in text_of(rita, "/queue/")


def test_the_pulse_brings_the_bell_only_when_it_changed(rita: Client, cast: Cast) -> None:
    first = rita.get("/pulse/", headers=HTMX)
    tag = first["HX-PTag"]
    assert rita.get("/pulse/", headers={**HTMX, "HX-PTag": tag}).status_code == 304
    tell(cast.rolf)
    assert rita.get("/pulse/", headers={**HTMX, "HX-PTag": tag}).status_code == 304
    tell(cast.rita)
    changed = rita.get("/pulse/", headers={**HTMX, "HX-PTag": tag})
    assert changed.status_code == 200
    assert 'hx-target="#bell"' in changed.content.decode()


# The list ---------------------------------------------------------------------------------------


def test_an_empty_list_says_so(rita: Client) -> None:
    page = text_of(rita, "/notices/")
    assert "Nothing for you yet" in page
    assert "Mark all as read" not in page


def test_the_list_shows_ones_own_newest_first(rita: Client, cast: Cast, item: ReviewItem) -> None:
    tell(cast.rita, "the older one", item=item)
    tell(cast.rita, "the newer one", item=item)
    tell(cast.rolf, "rolf’s own")
    page = text_of(rita, "/notices/")
    assert page.index("the newer one") < page.index("the older one")
    assert "rolf’s own" not in page
    assert "due in" in page


def test_a_quote_is_inert(rita: Client, cast: Cast, item: ReviewItem) -> None:
    notices.mentioned(item, cast.rolf, [cast.rita], "<script>alert(1)</script>")
    page = text_of(rita, "/notices/")
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page


def test_opening_one_marks_it_and_leads_to_its_item(
    rita: Client, cast: Cast, item: ReviewItem
) -> None:
    notice = tell(cast.rita, item=item)
    answer = rita.post(f"/notices/{notice.pk}/open/")
    assert (answer.status_code, answer["Location"]) == (302, f"/proposals/{item.proposal_id}/")
    notice.refresh_from_db()
    read_at = notice.read_at
    assert read_at is not None
    rita.post(f"/notices/{notice.pk}/open/")
    notice.refresh_from_db()
    assert notice.read_at == read_at
    assert "open/" not in text_of(rita, "/notices/")


def test_looking_marks_nothing(rita: Client, cast: Cast, item: ReviewItem) -> None:
    notice = tell(cast.rita, item=item)
    rita.get("/notices/")
    assert rita.get(f"/notices/{notice.pk}/open/").status_code == 405
    notice.refresh_from_db()
    assert notice.read_at is None


def test_those_of_others_do_not_exist(rolf: Client, cast: Cast) -> None:
    notice = tell(cast.rita)
    assert rolf.post(f"/notices/{notice.pk}/open/").status_code == 404
    rolf.post("/notices/read/", {"until": notice.pk})
    notice.refresh_from_db()
    assert notice.read_at is None


def test_marking_all_leaves_what_came_in_since(rita: Client, cast: Cast) -> None:
    for _ in range(3):
        seen = tell(cast.rita)
    since = tell(cast.rita)
    answer = rita.post("/notices/read/", {"until": seen.pk}, follow=True)
    assert "3 marked as read." in answer.content.decode()
    assert list(Notice.objects.unread()) == [since]
    rita.post("/notices/read/", {"until": "all"})
    assert list(Notice.objects.unread()) == [since]


def test_the_list_is_paged_by_key(
    rita: Client, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "PAGE_SIZE", 5)
    rows = [tell(cast.rita, f"number {number}.") for number in range(12)]
    first = text_of(rita, "/notices/")
    assert "number 11." in first
    assert "number 6." not in first
    second = text_of(rita, f"/notices/?before={rows[7].pk}")
    assert "number 6." in second
    assert "number 7." not in second
    for odd in ("x", "-1", "9" * 40, ""):
        assert rita.get(f"/notices/?before={odd}&after={odd}").status_code == 200


def test_the_link_in_a_message_leads_to_the_item(
    rita: Client, cast: Cast, item: ReviewItem
) -> None:
    actions.add_endpoint(
        Actor(cast.ada), name="Chat", url="https://chat.example/", kinds=["item_opened"]
    )
    notices.opened([item])
    link = json.loads(Delivery.objects.get().body)["link"]
    path = link.removeprefix(settings.BASE_URL)
    answer = rita.get(path, follow=True)
    assert answer.status_code == 200
    assert answer.redirect_chain == [(f"/proposals/{item.proposal_id}/", 302)]
    item.refresh_from_db()
    assert item.is_waiting


# What reaches whom ------------------------------------------------------------------------------


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "EMAIL_URL", "smtp://mail.test")


def test_without_a_mail_server_the_page_says_so(rita: Client) -> None:
    page = text_of(rita, "/me/notices/")
    assert "no mail server" in page
    rita.post("/me/notices/", {"mentioned-in_app": "on", "mentioned-email": "on", "address": "x"})
    assert NoticeChoice.objects.filter(in_app=True).count() == 1
    assert not NoticeChoice.objects.filter(email=True).exists()
    assert not NoticeAddress.objects.exists()


def test_choices_are_kept(rita: Client, cast: Cast, mail: None) -> None:
    assert "no mail server" not in text_of(rita, "/me/notices/")
    sent = {"item_opened-email": "on", "mentioned-in_app": "on", "address": "rita@example.com"}
    answer = rita.post("/me/notices/", sent, follow=True)
    assert "Saved." in answer.content.decode()
    chosen = {choice.kind: choice for choice in NoticeChoice.objects.filter(user=cast.rita)}
    assert set(chosen) == set(NoticeKind.values)
    assert (chosen["item_opened"].in_app, chosen["item_opened"].email) == (False, True)
    assert (chosen["mentioned"].in_app, chosen["mentioned"].email) == (True, False)
    assert not chosen["decided"].in_app
    page = answer.content.decode()
    assert 'value="rita@example.com"' in page
    welcome = json.loads(Delivery.objects.get(kind="test").body)
    assert welcome["sentence"].startswith("Notices of Countersign go to this address")


def test_what_is_not_changed_sends_no_mail(rita: Client, mail: None) -> None:
    for _ in range(2):
        rita.post("/me/notices/", {"address": "rita@example.com"})
    assert Delivery.objects.count() == 1
    rita.post("/me/notices/", {"address": ""})
    assert not NoticeAddress.objects.exists()


def test_nobody_is_sent_mail_again_and_again(rita: Client, mail: None) -> None:
    def change(address: str) -> str:
        return rita.post("/me/notices/", {"address": address}, follow=True).text

    for number in range(actions.ADDRESS_CHANGES_PER_HOUR - 1):
        change(f"a{number}@example.com")
    assert "waits already" in change("a0@example.com")
    change("last@example.com")
    assert "several times just now" in change("other@example.com")
    assert Delivery.objects.count() == actions.ADDRESS_CHANGES_PER_HOUR
    change("")
    assert not NoticeAddress.objects.exists()


def test_who_may_see_reports_can_have_one_each_week(
    max_: Client, rita: Client, cast: Cast, mail: None
) -> None:
    assert 'name="weekly_report"' in text_of(max_, "/me/notices/")
    assert 'name="weekly_report"' not in text_of(rita, "/me/notices/")
    rita.post("/me/notices/", {"weekly_report": "on", "address": "rita@example.com"})
    assert not WeeklyReport.objects.exists()
    refused = max_.post("/me/notices/", {"weekly_report": "on", "address": ""})
    assert refused.status_code == 422
    assert "say where mail for you goes" in refused.text
    page = max_.post(
        "/me/notices/", {"weekly_report": "on", "address": "max@example.com"}, follow=True
    ).text
    assert WeeklyReport.objects.get(user=cast.max).is_wanted
    assert re.search(r'name="weekly_report"[^>]* checked', page)
    max_.post("/me/notices/", {"address": "max@example.com"})
    assert not WeeklyReport.objects.get(user=cast.max).is_wanted


@pytest.mark.parametrize("address", ["", "nobody", "a@b\nBcc: c@d.example", "a@b.c" * 200])
def test_an_address_that_is_none_is_refused_and_kept_to_be_mended(
    rita: Client, mail: None, address: str
) -> None:
    answer = rita.post("/me/notices/", {"mentioned-email": "on", "address": address})
    assert answer.status_code == 422
    assert not NoticeChoice.objects.exists()
    assert 'name="mentioned-email"' in answer.content.decode()


# Webhooks ---------------------------------------------------------------------------------------


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    monkeypatch.setattr(settings, "WEBHOOK_HOSTS_TRUSTED", ["127.0.0.1"])
    with Listener() as one:
        yield one


@pytest.fixture
def endpoint(cast: Cast, listener: Listener) -> WebhookEndpoint:
    url = f"{listener.url}/hooks/s3cret"
    return actions.add_endpoint(
        Actor(cast.ada), name="Payments channel", url=url, kinds=["item_opened"]
    ).endpoint


def new(**changes: Any) -> dict[str, Any]:
    wanted = {"name": "Chat", "url": "https://chat.example/hooks/s3cret", "kinds": ["decided"]}
    return {**wanted, "team": "", **changes}


def test_an_empty_list_of_webhooks_says_what_they_are_for(ada: Client) -> None:
    assert "Nobody outside is told" in text_of(ada, "/settings/webhooks/")


def test_a_webhook_is_added_and_its_secret_shown_once(ada: Client) -> None:
    team = Team.objects.create(slug="payments", name="Payments")
    assert "Payments" in text_of(ada, "/settings/webhooks/new/")
    answer = ada.post("/settings/webhooks/new/", new(team="payments"))
    endpoint = WebhookEndpoint.objects.get()
    assert endpoint.team == team
    page = answer.content.decode()
    assert secret_of(endpoint) in page
    assert "no-store" in answer["Cache-Control"]
    pages = [
        text_of(ada, path)
        for path in ("/settings/webhooks/", f"/settings/webhooks/{endpoint.pk}/", "/audit-log/")
    ]
    for page in pages:
        assert secret_of(endpoint) not in page
        assert "s3cret" not in page
        assert endpoint.salt not in page


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "http://chat.example/"},
        {"url": "https://a:b@chat.example/"},
        {"url": "file:///etc/passwd"},
        {"name": ""},
        {"name": "x\x00"},
        {"kinds": []},
        {"kinds": ["nothing"]},
        {"team": "nobody"},
    ],
)
def test_what_cannot_work_is_refused_and_kept(ada: Client, changes: dict[str, Any]) -> None:
    answer = ada.post("/settings/webhooks/new/", new(**changes))
    assert answer.status_code == 422
    assert not WebhookEndpoint.objects.exists()
    assert "<title>Error:" in answer.content.decode()


def test_a_test_is_sent_and_its_end_appears(
    ada: Client, endpoint: WebhookEndpoint, listener: Listener
) -> None:
    path = f"/settings/webhooks/{endpoint.pk}/"
    page = ada.post(f"{path}test/", follow=True).content.decode()
    assert "On its way" in page
    tag = ada.get(f"{path}news/", headers=HTMX)["HX-PTag"]
    same = {**HTMX, "HX-PTag": tag}
    assert ada.get(f"{path}news/", headers=same).status_code == 304
    deliveries.work_one(lambda: False)
    news = ada.get(f"{path}news/", headers=same)
    assert "Arrived" in news.content.decode()
    assert len(listener.requests) == 1


def test_what_failed_says_why_and_can_be_sent_again(
    ada: Client, endpoint: WebhookEndpoint, listener: Listener
) -> None:
    path = f"/settings/webhooks/{endpoint.pk}/"
    listener.answers = [(500, {}, b"")]
    ada.post(f"{path}test/")
    deliveries.work_one(lambda: False)
    page = text_of(ada, path)
    assert "It answered 500, and not 2xx." in page
    assert "Tried again later" in page
    assert "left alone for a while" in page
    assert "Fails" in text_of(ada, "/settings/webhooks/")
    delivery = Delivery.objects.get()
    page = ada.post(f"{path}deliveries/{delivery.pk}/", follow=True).content.decode()
    assert "It is on its way again." in page
    deliveries.work_one(lambda: False)
    assert "Arrived" in text_of(ada, path)
    page = ada.post(f"{path}deliveries/{delivery.pk}/", follow=True).content.decode()
    assert "it has arrived already" in page


def test_a_webhook_is_disabled_for_good(ada: Client, endpoint: WebhookEndpoint) -> None:
    path = f"/settings/webhooks/{endpoint.pk}/"
    page = ada.post(f"{path}disable/", follow=True).content.decode()
    assert "Disabled" in page
    assert "Send a test" not in page
    assert "No test was sent" in ada.post(f"{path}test/", follow=True).content.decode()


def test_a_delivery_is_only_sent_again_from_where_it_is(
    ada: Client, endpoint: WebhookEndpoint, cast: Cast
) -> None:
    nothing = "dlv_01m7y6s13re5jaj1bm3y35bmxv"
    path = f"/settings/webhooks/{endpoint.pk}/deliveries/{nothing}/"
    assert ada.post(path).status_code == 404
    another = actions.add_endpoint(
        Actor(cast.ada), name="Another", url="https://chat.example/", kinds=["decided"]
    ).endpoint
    theirs = actions.test_endpoint(Actor(cast.ada), another.pk)
    path = f"/settings/webhooks/{endpoint.pk}/deliveries/{theirs.pk}/"
    assert ada.post(path).status_code == 404
    other = "whk_01m7y6s13re5jaj1bm3y35bmxv"
    assert ada.get(f"/settings/webhooks/{other}/").status_code == 404
    assert ada.post(f"/settings/webhooks/{other}/test/").status_code == 404


def test_an_expired_item_is_told(rita: Client, cast: Cast, item: ReviewItem) -> None:
    ReviewItem.objects.filter(pk=item.pk).update(
        due_at=timezone.now() - timedelta(seconds=1), holder=cast.rita
    )
    sweep()
    assert "Nobody decided about an action in time, so the answer was no." in text_of(
        rita, "/notices/"
    )
    assert "Expired" in text_of(rita, "/notices/")
