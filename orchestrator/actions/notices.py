"""What people do about notices: read them, choose how they hear, and set up webhooks."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from orchestrator.actions.actor import Actor, audit, require
from orchestrator.core.errors import BadInput, NotAllowed, NotFound
from orchestrator.engine import outbox
from orchestrator.engine.webhooks import secret_of
from orchestrator.models import (
    AuditEntry,
    Delivery,
    Notice,
    NoticeAddress,
    NoticeChoice,
    NoticeKind,
    Team,
    WebhookEndpoint,
    WeeklyReport,
)
from orchestrator.outside import Refused, place_of

NAME_LENGTH_MAX = 100
# Nobody presses a button more often, and somebody's mailbox is at the other end.
TESTS_WAITING_MAX = 5
# Each new address is sent a mail, and may be that of somebody who never asked for one.
ADDRESS_CHANGES_PER_HOUR = 5
ADDRESS_CHANGED = "notices.address_changed"


class Ways(NamedTuple):
    """How one kind of notice reaches a person."""

    in_app: bool
    email: bool


# What counts for whoever chose nothing: whatever is addressed to them, where they look anyway.
DEFAULTS: dict[str, Ways] = {
    kind: Ways(in_app=kind != NoticeKind.ITEM_OPENED, email=False) for kind in NoticeKind.values
}


def read(actor: Actor, notice: int) -> Notice:
    """Mark one of their own as read. Doing so twice does no harm."""
    rows = Notice.objects.filter(user=_person(actor), pk=notice)
    rows.unread().update(read_at=Now())
    found = rows.select_related("item").first()
    if found is None:
        raise NotFound("notice", str(notice))
    return found


def read_all(actor: Actor, until: int) -> int:
    """Those that were on the page: what came in since stays unread."""
    rows = Notice.objects.filter(user=_person(actor), pk__lte=until)
    return rows.unread().update(read_at=Now())


@transaction.atomic
def choose(
    actor: Actor,
    choices: Mapping[str, Ways],
    *,
    address: str,
    weekly_report: bool | None = None,
) -> None:
    """How they want to hear of each kind, where mail for them goes, and whether a report comes with it.

    None leaves the report as it was.
    """
    user = _person(actor)
    unknown = set(choices) - set(NoticeKind.values)
    if unknown:
        raise BadInput("kind", f"choose among {', '.join(NoticeKind.values)}.")
    if weekly_report:
        require(actor, "audit.view", "get the weekly report")
    has_mail = bool(weekly_report) or any(ways.email for ways in choices.values())
    _check_address(address, is_needed=has_mail)
    NoticeChoice.objects.bulk_create(
        (NoticeChoice(user=user, kind=kind, **ways._asdict()) for kind, ways in choices.items()),
        update_conflicts=True,
        unique_fields=["user", "kind"],
        update_fields=["in_app", "email"],
    )
    if weekly_report is not None:
        WeeklyReport.objects.update_or_create(user=user, defaults={"is_wanted": weekly_report})
    _set_address(actor, user, address)


def _check_address(address: str, *, is_needed: bool) -> None:
    if not address and is_needed:
        raise BadInput("address", "say where mail for you goes, or choose none.")
    try:
        if address:
            validate_email(address)
    except ValidationError as error:
        raise BadInput("address", "it is no mail address.") from error


def _set_address(actor: Actor, user: User, address: str) -> None:
    before = NoticeAddress.objects.select_for_update().filter(user=user).first()
    if address == (before.address if before else ""):
        return
    if address:
        _check_rate(user, address)
        NoticeAddress.objects.update_or_create(user=user, defaults={"address": address})
        _welcome(address)
    else:
        NoticeAddress.objects.filter(user=user).delete()
    audit(actor, ADDRESS_CHANGED, f"user/{user.get_username()}")


def _check_rate(user: User, address: str) -> None:
    waiting = Delivery.objects.filter(
        channel=Delivery.Channel.EMAIL,
        address=address,
        kind=Delivery.TEST,
        status=Delivery.Status.PENDING,
    )
    if waiting.exists():
        raise BadInput("address", "a mail to it waits already; see whether that arrives.")
    changes = AuditEntry.objects.filter(
        user=user, verb=ADDRESS_CHANGED, at__gt=Now() - timedelta(hours=1)
    )
    if changes.count() >= ADDRESS_CHANGES_PER_HOUR:
        raise BadInput("address", "it was changed several times just now. Try again in an hour.")


def _welcome(address: str) -> None:
    """So that whoever typed it sees that mail arrives; and whoever it belongs to, that it does."""
    if settings.EMAIL_URL:
        sentence = "Notices of Countersign go to this address from now on."
        outbox.send_later([outbox.mail_to(address, _message(sentence, "/me/notices/"))])


def _person(actor: Actor) -> User:
    if actor.user is None or actor.token is not None:
        raise NotAllowed(actor.name, "have notices", "Only a person can.")
    return actor.user


# Webhooks -------------------------------------------------------------------------------------


class Added(NamedTuple):
    endpoint: WebhookEndpoint
    # Told this once.
    secret: str


@transaction.atomic
def add_endpoint(
    actor: Actor, *, name: str, url: str, kinds: Sequence[str], team: str = ""
) -> Added:
    """Another system that is told. Whether it can be reached, a test says."""
    require(actor, "webhooks.edit", "add webhooks")
    user = _person(actor)
    _check_endpoint(name, url, kinds)
    endpoint = WebhookEndpoint.objects.create(
        name=name.strip(),
        url=url,
        kinds=sorted(set(kinds)),
        team=_team(team),
        created_by=user,
    )
    audit(actor, "webhook.added", _named(endpoint), host=endpoint.host, kinds=list(endpoint.kinds))
    return Added(endpoint, secret_of(endpoint))


@transaction.atomic
def disable_endpoint(actor: Actor, pk: str) -> WebhookEndpoint:
    """For good: what waits for it is not sent any more. Another one can be added at any time."""
    require(actor, "webhooks.edit", "disable webhooks")
    endpoint = _hold(pk)
    if endpoint.disabled_at is not None:
        return endpoint
    WebhookEndpoint.objects.filter(pk=pk).update(disabled_at=Now())
    Delivery.objects.filter(endpoint=pk, status=Delivery.Status.PENDING).update(
        status=Delivery.Status.FAILED, error="The endpoint was disabled.", finished_at=Now()
    )
    audit(actor, "webhook.disabled", _named(endpoint))
    endpoint.refresh_from_db()
    return endpoint


@transaction.atomic
def test_endpoint(actor: Actor, pk: str) -> Delivery:
    """Send a message that says nothing, at once even if the endpoint rests."""
    require(actor, "webhooks.edit", "test webhooks")
    endpoint = _hold_open(pk)
    waiting = endpoint.deliveries.filter(kind=Delivery.TEST, status=Delivery.Status.PENDING)
    if waiting.count() >= TESTS_WAITING_MAX:
        raise BadInput("endpoint", "several tests wait already; see what becomes of those.")
    sentence = "This is a test of Countersign. Nothing waits for you."
    delivery = outbox.call_of(pk, endpoint.host, _message(sentence, "/settings/webhooks/"))
    _wake(pk)
    outbox.send_later([delivery])
    audit(actor, "webhook.tested", _named(endpoint), delivery=delivery.pk)
    return delivery


@transaction.atomic
def retry(actor: Actor, endpoint_id: str, pk: str) -> Delivery:
    """Once more, now, and for as long as a new one would be tried."""
    require(actor, "webhooks.edit", "send messages again")
    endpoint = _hold_open(endpoint_id)
    rows = Delivery.objects.select_for_update(of=("self",))
    delivery = rows.filter(pk=pk, endpoint=endpoint).first()
    if delivery is None:
        raise NotFound("delivery", pk)
    if delivery.status == Delivery.Status.DONE:
        raise BadInput("delivery", "it has arrived already.")
    Delivery.objects.filter(pk=pk).update(
        status=Delivery.Status.PENDING,
        finished_at=None,
        not_before=Now(),
        ends_at=timezone.now() + outbox.lifetime(),
    )
    _wake(endpoint.pk)
    outbox.ring()
    audit(actor, "webhook.sent_again", _named(endpoint), delivery=pk)
    delivery.refresh_from_db()
    return delivery


def _check_endpoint(name: str, url: str, kinds: Sequence[str]) -> None:
    if not 0 < len(name.strip()) <= NAME_LENGTH_MAX or "\x00" in name:
        raise BadInput("name", f"give it a name of 1 to {NAME_LENGTH_MAX} characters.")
    try:
        place_of(url, settings.WEBHOOK_HOSTS_TRUSTED)
    except Refused as refusal:
        raise BadInput("url", str(refusal)) from refusal
    if not kinds or set(kinds) - set(NoticeKind.values):
        raise BadInput("kinds", f"choose among {', '.join(NoticeKind.values)}.")
    if WebhookEndpoint.objects.filter(disabled_at=None).count() >= settings.WEBHOOKS_MAX:
        raise BadInput("name", f"there are {settings.WEBHOOKS_MAX} already; disable one first.")


def _team(slug: str) -> Team | None:
    if not slug:
        return None
    team = Team.objects.in_use().filter(slug=slug).first()
    if team is None:
        raise BadInput("team", "there is no such team.")
    return team


def _hold(pk: str) -> WebhookEndpoint:
    endpoint = WebhookEndpoint.objects.select_for_update(of=("self",)).filter(pk=pk).first()
    if endpoint is None:
        raise NotFound("webhook", pk)
    return endpoint


def _hold_open(pk: str) -> WebhookEndpoint:
    endpoint = _hold(pk)
    if endpoint.disabled_at is not None:
        raise BadInput("endpoint", "it is disabled; add another one.")
    return endpoint


def _wake(pk: str) -> None:
    WebhookEndpoint.objects.filter(pk=pk).update(rests_until=None)


def _named(endpoint: WebhookEndpoint) -> str:
    return f"webhook/{endpoint.name}"


def _message(sentence: str, path: str) -> outbox.Message:
    link = settings.BASE_URL + path
    at = timezone.now().isoformat(timespec="seconds")
    return {
        "kind": Delivery.TEST,
        "item": None,
        "sentence": sentence,
        "link": link,
        "deadline": None,
        "at": at,
        "text": f"{sentence} {link}",
    }
