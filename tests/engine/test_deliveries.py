"""What leaves Countersign arrives, also when the other side, the worker or the database falters."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connections, transaction
from django.utils import timezone

from orchestrator.actions import notices as actions
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import BadInput, NotAllowed, NotFound
from orchestrator.engine import deliveries, outbox
from orchestrator.engine.background import Background
from orchestrator.engine.webhooks import secret_of, sign
from orchestrator.models import AuditEntry, Delivery, Notice, WebhookEndpoint
from tests.conftest import Cast
from tests.engine.listener import Listener
from tests.engine.mail_server import MailServer

MESSAGE = {"kind": "item_opened", "item": None, "sentence": "Something waits.", "link": "http://x/"}


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "WEBHOOK_HOSTS_TRUSTED", ["127.0.0.1"])
    monkeypatch.setattr(deliveries, "_post_office", deliveries._PostOffice())


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as one:
        yield one


@pytest.fixture
def endpoint(cast: Cast, listener: Listener) -> WebhookEndpoint:
    return added(cast, f"{listener.url}/hook?key=s3cret")


def added(cast: Cast, url: str) -> WebhookEndpoint:
    return actions.add_endpoint(
        Actor(cast.ada), name="Chat", url=url, kinds=["item_opened"]
    ).endpoint


def send(endpoint: WebhookEndpoint, **changes: Any) -> Delivery:
    delivery = outbox.call_of(endpoint.pk, endpoint.host, MESSAGE)
    for name, value in changes.items():
        setattr(delivery, name, value)
    outbox.send_later([delivery])
    return delivery


def work() -> bool:
    return deliveries.work_one(lambda: False)


def work_off() -> int:
    count = 0
    while work():
        count += 1
    return count


def hurry(endpoint: WebhookEndpoint) -> None:
    """As if the time of every rest had passed."""
    now = timezone.now()
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(rests_until=now)
    Delivery.objects.filter(status="pending").update(not_before=now)


# Webhooks ---------------------------------------------------------------------------------------


def test_a_message_arrives_signed(endpoint: WebhookEndpoint, listener: Listener) -> None:
    delivery = send(endpoint)
    assert work_off() == 1
    (request,) = listener.requests
    assert request.line == "POST /hook?key=s3cret HTTP/1.1"
    assert json.loads(request.body) == {"id": delivery.pk, **MESSAGE}
    headers = request.headers
    assert headers["webhook-id"] == delivery.pk
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 10
    # Worked out anew, as the other side would.
    key = base64.b64decode(secret_of(endpoint).removeprefix("whsec_"))
    signed = f"{delivery.pk}.{headers['webhook-timestamp']}.".encode() + request.body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    delivery.refresh_from_db()
    assert (delivery.status, delivery.tries, delivery.error) == ("done", 1, "")
    assert delivery.finished_at is not None


def test_the_signature_is_the_one_of_standard_webhooks() -> None:
    """The example of the specification."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    found = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_secret_is_not_in_the_database(endpoint: WebhookEndpoint) -> None:
    secret = base64.b64decode(secret_of(endpoint).removeprefix("whsec_"))
    assert len(secret) == 32
    assert endpoint.salt not in secret_of(endpoint)
    assert secret.hex() != endpoint.salt
    other = WebhookEndpoint(pk=endpoint.pk, salt="0" * 64)
    assert secret_of(other) != secret_of(endpoint)


@pytest.mark.parametrize("status", [301, 400, 404, 429, 500, 503])
def test_what_is_not_taken_is_sent_again_later(
    endpoint: WebhookEndpoint, listener: Listener, status: int
) -> None:
    delivery = send(endpoint)
    listener.answers = [(status, {}, b"")]
    assert work_off() == 1
    delivery.refresh_from_db()
    endpoint.refresh_from_db()
    assert (delivery.status, delivery.error) == ("pending", f"It answered {status}, and not 2xx.")
    assert endpoint.last_error == delivery.error
    hurry(endpoint)
    assert work_off() == 1
    first, second = listener.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    delivery.refresh_from_db()
    endpoint.refresh_from_db()
    assert (delivery.status, delivery.tries) == ("done", 2)
    assert (endpoint.last_error, endpoint.failures, endpoint.rests_until) == ("", 0, None)


def test_an_endpoint_that_says_when_is_left_until_then(
    endpoint: WebhookEndpoint, listener: Listener
) -> None:
    send(endpoint)
    listener.answers = [(429, {"Retry-After": "900"}, b"")]
    work_off()
    endpoint.refresh_from_db()
    assert endpoint.rests_until
    assert endpoint.rests_until - timezone.now() > timedelta(seconds=890)


def test_an_endpoint_that_fails_rests_as_a_whole(
    cast: Cast, endpoint: WebhookEndpoint, listener: Listener
) -> None:
    """One attempt for all that wait, and nobody else waits with them."""
    for _ in range(5):
        send(endpoint)
    with Listener() as other_listener:
        other = added(cast, other_listener.url)
        listener.answers = [(500, {}, b"")] * 5
        send(other)
        assert work_off() == 2
        assert len(listener.requests) == len(other_listener.requests) == 1
    send(endpoint)
    assert work_off() == 0
    listener.answers.clear()
    hurry(endpoint)
    assert work_off() == 6
    assert set(Delivery.objects.values_list("status", flat=True)) == {"done"}


def test_rests_grow_up_to_an_hour() -> None:
    assert [deliveries.rest_s(n) for n in (1, 2, 3, 4, 5, 6, 50)] == [
        5,
        20,
        80,
        320,
        1280,
        3600,
        3600,
    ]


def test_a_message_that_one_endpoint_cannot_take_does_not_stop_the_next(
    endpoint: WebhookEndpoint, listener: Listener
) -> None:
    bad = send(endpoint)
    good = send(endpoint)
    listener.answers = [(500, {}, b"")]
    work_off()
    WebhookEndpoint.objects.update(rests_until=timezone.now())
    work_off()
    bad.refresh_from_db()
    good.refresh_from_db()
    assert (bad.status, good.status) == ("pending", "done")


def test_it_ends_as_failed_when_its_time_is_over(
    endpoint: WebhookEndpoint, listener: Listener
) -> None:
    past = timezone.now() - timedelta(minutes=1)
    late = [send(endpoint, ends_at=past) for _ in range(3)]
    listener.answers = [(500, {}, b"")]
    assert work_off() == 1
    for delivery in late:
        delivery.refresh_from_db()
        assert (delivery.status, delivery.error) == ("failed", "It answered 500, and not 2xx.")
        assert delivery.finished_at is not None


def test_whoever_is_gone_is_not_called_again(endpoint: WebhookEndpoint, listener: Listener) -> None:
    send(endpoint)
    send(endpoint)
    listener.answers = [(410, {}, b"")]
    work_off()
    endpoint.refresh_from_db()
    assert endpoint.disabled_at is not None
    assert len(listener.requests) == 1
    assert set(Delivery.objects.values_list("status", flat=True)) == {"failed"}


def test_an_address_inside_is_refused_for_good(
    cast: Cast, endpoint: WebhookEndpoint, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = send(endpoint)
    monkeypatch.setattr(settings, "WEBHOOK_HOSTS_TRUSTED", [])
    work_off()
    delivery.refresh_from_db()
    assert delivery.status == "failed"
    assert delivery.error == "It was not called: it has to begin with https://."
    assert listener.requests == []


# Workers that die or are late -------------------------------------------------------------------


def test_what_a_dead_worker_held_is_sent_under_the_same_id(
    endpoint: WebhookEndpoint, listener: Listener
) -> None:
    delivery = send(endpoint)
    (held,) = deliveries.claim()
    assert deliveries.claim() == []
    Delivery.objects.update(lease_until=timezone.now())
    assert work_off() == 1
    assert listener.requests[0].headers["webhook-id"] == delivery.pk
    # The one that was thought dead comes back, and changes nothing.
    deliveries.settle([held], deliveries.Outcome("too late"))
    delivery.refresh_from_db()
    assert (delivery.status, delivery.error, delivery.tries) == ("done", "", 2)


@pytest.mark.django_db(transaction=True)
def test_many_workers_send_each_once(cast: Cast, listener: Listener) -> None:
    endpoint = added(cast, listener.url)
    sent = {send(endpoint).pk for _ in range(60)}

    def worker() -> None:
        work_off()
        connections.close_all()

    threads = [threading.Thread(target=worker) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    called = [request.headers["webhook-id"] for request in listener.requests]
    assert sorted(called) == sorted(sent)
    assert set(Delivery.objects.values_list("status", "tries")) == {("done", 1)}


@pytest.mark.django_db(transaction=True)
def test_the_background_worker_sends_what_it_hears_of(cast: Cast, listener: Listener) -> None:
    endpoint = added(cast, listener.url)
    background = Background()
    thread = threading.Thread(target=background.work)
    thread.start()
    try:
        time.sleep(0.2)
        with transaction.atomic():
            send(endpoint)
        background.wake()
        until(lambda: len(listener.requests) == 1)
    finally:
        background.stop()
        thread.join(10)
    assert not thread.is_alive()


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# What admins do ---------------------------------------------------------------------------------


def test_an_endpoint_is_added_and_its_secret_told_once(cast: Cast, listener: Listener) -> None:
    found = actions.add_endpoint(
        Actor(cast.ada), name=" Chat ", url=f"{listener.url}/s3cret", kinds=["decided", "decided"]
    )
    assert found.secret == secret_of(found.endpoint)
    assert (found.endpoint.name, found.endpoint.kinds) == ("Chat", ["decided"])
    entry = AuditEntry.objects.get(verb="webhook.added")
    assert entry.detail == {"host": "127.0.0.1", "kinds": ["decided"]}
    assert "s3cret" not in json.dumps(entry.detail)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", " "),
        ("name", "x" * 101),
        ("url", "http://example.com/"),
        ("url", "https://user:pass@example.com/"),
        ("kinds", []),
        ("kinds", ["everything"]),
        ("team", "nobody"),
    ],
)
def test_what_cannot_work_is_refused(cast: Cast, field: str, value: Any) -> None:
    wanted = {"name": "Chat", "url": "https://chat.example/", "kinds": ["decided"]}
    with pytest.raises(BadInput) as refusal:
        actions.add_endpoint(Actor(cast.ada), **{**wanted, field: value})
    assert refusal.value.field == field


def test_there_is_a_limit(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "WEBHOOKS_MAX", 1)
    added(cast, "https://chat.example/")
    with pytest.raises(BadInput, match="there are 1 already"):
        added(cast, "https://chat.example/")


def test_only_admins_set_webhooks_up(cast: Cast, endpoint: WebhookEndpoint) -> None:
    delivery = send(endpoint)
    for person in (cast.rita, cast.max):
        actor = Actor(person)
        with pytest.raises(NotAllowed):
            actions.add_endpoint(actor, name="x", url="https://x.example", kinds=["decided"])
        with pytest.raises(NotAllowed):
            actions.disable_endpoint(actor, endpoint.pk)
        with pytest.raises(NotAllowed):
            actions.test_endpoint(actor, endpoint.pk)
        with pytest.raises(NotAllowed):
            actions.retry(actor, endpoint.pk, delivery.pk)


def test_a_test_is_sent_at_once_and_says_nothing(
    cast: Cast, endpoint: WebhookEndpoint, listener: Listener
) -> None:
    WebhookEndpoint.objects.update(rests_until=timezone.now() + timedelta(hours=1))
    actions.test_endpoint(Actor(cast.ada), endpoint.pk)
    assert work_off() == 1
    said = json.loads(listener.requests[0].body)
    assert (said["kind"], said["item"]) == ("test", None)
    for _ in range(5):
        actions.test_endpoint(Actor(cast.ada), endpoint.pk)
    with pytest.raises(BadInput):
        actions.test_endpoint(Actor(cast.ada), endpoint.pk)


def test_an_endpoint_that_is_disabled_is_sent_nothing_more(
    cast: Cast, endpoint: WebhookEndpoint, listener: Listener
) -> None:
    delivery = send(endpoint)
    actions.disable_endpoint(Actor(cast.ada), endpoint.pk)
    actions.disable_endpoint(Actor(cast.ada), endpoint.pk)
    assert work_off() == 0
    delivery.refresh_from_db()
    assert (delivery.status, delivery.error) == ("failed", "The endpoint was disabled.")
    for act in (
        actions.test_endpoint,
        lambda actor, _: actions.retry(actor, endpoint.pk, delivery.pk),
    ):
        with pytest.raises(BadInput, match="disabled"):
            act(Actor(cast.ada), endpoint.pk)
    assert AuditEntry.objects.filter(verb="webhook.disabled").count() == 1
    assert listener.requests == []


def test_what_failed_can_be_sent_again(
    cast: Cast, endpoint: WebhookEndpoint, listener: Listener
) -> None:
    delivery = send(endpoint, ends_at=timezone.now() - timedelta(minutes=1))
    listener.answers = [(500, {}, b"")]
    work_off()
    actions.retry(Actor(cast.ada), endpoint.pk, delivery.pk)
    assert work_off() == 1
    delivery.refresh_from_db()
    assert delivery.status == "done"
    with pytest.raises(BadInput, match="arrived already"):
        actions.retry(Actor(cast.ada), endpoint.pk, delivery.pk)
    with pytest.raises(NotFound):
        actions.retry(Actor(cast.ada), endpoint.pk, "dlv_nothing")


# Mail -------------------------------------------------------------------------------------------


def letter(address: str = "rita@example.com") -> Delivery:
    delivery = outbox.mail_to(address, MESSAGE)
    outbox.send_later([delivery])
    return delivery


@pytest.mark.django_db
def test_a_mail_arrives(post: MailServer) -> None:
    delivery = letter()
    assert work_off() == 1
    (found,) = post.letters
    assert (found["To"], found["From"]) == ("rita@example.com", "countersign@example.com")
    assert found["Subject"] == "Something waits."
    assert found["Message-ID"].startswith(f"<{delivery.pk}@")
    assert found["Auto-Submitted"] == "auto-generated"
    body = found.get_payload()
    assert "http://x/" in body
    assert "/me/notices/" in body
    delivery.refresh_from_db()
    assert delivery.status == "done"


@pytest.mark.django_db
def test_what_waits_for_one_person_goes_together(post: MailServer) -> None:
    for _ in range(7):
        letter()
    letter("rolf@example.com")
    assert work_off() == 2
    assert [found["Subject"] for found in post.letters] == [
        "7 notices from Countersign",
        "Something waits.",
    ]
    assert post.recipients == ["rita@example.com", "rolf@example.com"]
    assert set(Delivery.objects.values_list("status", flat=True)) == {"done"}


@pytest.mark.django_db
def test_a_mail_waits_for_company(post: MailServer) -> None:
    waiting = [outbox.mail_to("rita@example.com", MESSAGE, wait_s=60) for _ in range(3)]
    outbox.send_later(waiting)
    assert work_off() == 0
    Delivery.objects.filter(pk=waiting[0].pk).update(not_before=timezone.now())
    assert work_off() == 1
    assert [found["Subject"] for found in post.letters] == ["3 notices from Countersign"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("said", "status"), [("550 no such person", "failed"), ("451 later", "pending")]
)
def test_a_recipient_that_is_refused_holds_nobody_up(
    post: MailServer, said: str, status: str
) -> None:
    post.refusals = {"RCPT": said}
    refused = letter()
    assert work_off() == 1
    refused.refresh_from_db()
    assert refused.status == status
    assert refused.error == f"The mail server said {said[:3]}: {said[4:]}"
    post.refusals = {}
    letter("rolf@example.com")
    assert work_off() == 1
    assert len(post.letters) == 1


@pytest.mark.django_db
def test_a_mail_server_that_is_away_is_left_alone(
    post: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.__exit__()
    for address in ("rita@example.com", "rolf@example.com"):
        letter(address)
    assert work_off() == 1
    assert set(Delivery.objects.values_list("status", flat=True)) == {"pending"}
    assert "cannot be reached" in Delivery.objects.exclude(error="").get().error


@pytest.mark.django_db
def test_a_mail_server_that_fails_every_time_is_left_alone(post: MailServer) -> None:
    post.refusals = {"MAIL": "421 too busy"}
    delivery = letter()
    letter("rolf@example.com")
    assert work_off() == 1
    delivery.refresh_from_db()
    assert (delivery.status, delivery.error) == ("pending", "The mail server said 421: too busy")


@pytest.mark.django_db
def test_without_a_mail_server_what_waits_fails_with_the_reason() -> None:
    delivery = letter()
    work_off()
    delivery.refresh_from_db()
    assert delivery.status == "failed"
    assert "EMAIL_URL" in delivery.error


# Forgetting -------------------------------------------------------------------------------------


def test_what_is_old_is_forgotten(cast: Cast, endpoint: WebhookEndpoint) -> None:
    old = timezone.now() - timedelta(days=settings.NOTICE_KEEP_DAYS, hours=1)
    for at in (old, timezone.now()):
        Notice.objects.create(user=cast.rita, kind="mentioned", text="x", created_at=at)
        send(endpoint, status="done", finished_at=at)
    waiting = send(endpoint, created_at=old)
    assert deliveries.forget() == 2
    assert Notice.objects.count() == 1
    assert Delivery.objects.count() == 2
    assert Delivery.objects.filter(pk=waiting.pk).exists()
