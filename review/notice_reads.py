"""What the bell, the list of notices and the pages of webhooks read."""

from collections.abc import Sequence
from typing import Any

from orchestrator.models import (
    Delivery,
    Notice,
    NoticeAddress,
    NoticeChoice,
    Team,
    WebhookEndpoint,
    WeeklyReport,
)
from review.paging import Page, newest_first

# Nobody needs to know of how many more.
UNREAD_MAX = 100
DELIVERIES_SHOWN = 50


def unread_count(user: Any) -> int:
    """At most UNREAD_MAX, whatever there is."""
    return Notice.objects.unread().filter(user=user).order_by()[:UNREAD_MAX].count()


def notices_page(user: Any, *, before: int | None, after: int | None) -> Page[Notice]:
    rows = Notice.objects.filter(user=user).select_related("item__proposal", "item__command")
    return newest_first(rows, before=before, after=after)


def choices_of(user: Any) -> dict[str, NoticeChoice]:
    return {choice.kind: choice for choice in NoticeChoice.objects.filter(user=user)}


def address_of(user: Any) -> str:
    found = NoticeAddress.objects.filter(user=user).values_list("address", flat=True).first()
    return found or ""


def wants_report(user: Any) -> bool:
    return WeeklyReport.objects.filter(user=user, is_wanted=True).exists()


def endpoints() -> Sequence[WebhookEndpoint]:
    """Those in use first, each newest first."""
    rows = WebhookEndpoint.objects.select_related("team", "created_by")
    found = list(rows.order_by("-pk"))
    return sorted(found, key=lambda one: one.disabled_at is not None)


def endpoint(pk: str) -> WebhookEndpoint | None:
    return WebhookEndpoint.objects.select_related("team", "created_by").filter(pk=pk).first()


def deliveries_of(endpoint: WebhookEndpoint) -> Sequence[Delivery]:
    return list(endpoint.deliveries.order_by("-pk")[:DELIVERIES_SHOWN])


def waiting_deliveries(endpoint: WebhookEndpoint) -> int:
    rows = endpoint.deliveries.filter(status=Delivery.Status.PENDING)
    return rows.order_by()[:UNREAD_MAX].count()


def team_choices() -> list[tuple[str, str]]:
    return list(Team.objects.in_use().order_by("name").values_list("slug", "name"))
