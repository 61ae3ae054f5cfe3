"""What the queue page shows for one reader and one address."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.http import HttpRequest, QueryDict
from django.urls import reverse
from django.utils import timezone

from orchestrator.models import SavedView
from review import queue_reads
from review.access import may
from review.forms import QueueFilter
from review.paging import Page
from review.presentation.counts import counted
from review.queue_filter import FIELDS, VIEWS, Wanted, overlaid
from review.queue_reads import Nothing
from review.queue_rows import Row

QUERY_LENGTH_MAX = 2_000


@dataclass(frozen=True, slots=True)
class Asked:
    """An address of the queue, read."""

    wanted: Wanted
    form: QueueFilter
    saved: SavedView | None
    # A view that is gone, or not for this reader.
    missing: str
    # As it stands in the address, so that every link leads back to it.
    query: str


def read_address(address: QueryDict, reader: User) -> Asked:
    name = address.get("view", "")
    is_saved = "/" in name
    saved = queue_reads.saved_view(reader, name) if is_saved else None
    data = overlaid(address, saved)
    form = QueueFilter(
        {**data, "view": name if saved else data["view"]},
        actions=queue_reads.waiting_actions(),
        teams={team.slug: team.name for team in queue_reads.teams()},
    )
    form.is_valid()
    # What is wrong filters nothing, and says so beside its field.
    chosen = {field: form.cleaned_data.get(field, "") for field in FIELDS}
    kept = {part: address[part] for part in ("view", *FIELDS) if part in address}
    return Asked(
        wanted=Wanted(view=data["view"], **chosen),
        form=form,
        saved=saved,
        missing=name if is_saved and saved is None else "",
        query=urlencode({part: text for part, text in kept.items() if text or saved}),
    )


@dataclass(frozen=True, slots=True)
class Tab:
    label: str
    query: str
    count: int
    is_current: bool


def tabs(asked: Asked, reader: User) -> list[Tab]:
    """The views that everybody has, each with how much is in it."""
    current = None if asked.saved else asked.wanted.view
    return [
        Tab(VIEWS[view], "" if view == "all" else f"view={view}", count, view == current)
        for view, count in queue_reads.counts(reader).items()
    ]


def saved_tabs(asked: Asked, reader: User) -> list[Tab]:
    """One's own by their names; what others share is named after them as well."""
    return [
        Tab(
            label=view.name if view.owner_id == reader.pk else f"{view.owner}: {view.name}",
            query=query_of(view),
            count=0,
            is_current=view == asked.saved,
        )
        for view in queue_reads.saved_views(reader)
    ]


def query_of(view: SavedView) -> str:
    return urlencode({"view": f"{view.owner.get_username()}/{view.name}"})


def list_facts(asked: Asked, rows: Page[Row], request: HttpRequest, new: int = 0) -> dict[str, Any]:
    """What the live part of the page needs, whether it comes alone or with the page."""
    shown = [row.item.pk for row in rows.rows]
    return {
        "rows": rows,
        "shown": " ".join(shown),
        "new": new,
        "gone": sum(row.is_over for row in rows.rows),
        "query": asked.query,
        "wanted": asked.wanted,
        "after": request.GET.get("after", ""),
        "list_url": queue_url(asked.query),
        "may_decide": may(request.user, "queue.decide"),
    }


def queue_url(query: str) -> str:
    """Back to the same part of the queue; `query` may come from a form."""
    kept = QueryDict(query[:QUERY_LENGTH_MAX])
    parts = {part: kept[part] for part in ("view", *FIELDS) if part in kept}
    return f"{reverse('queue')}?{urlencode(parts)}" if parts else reverse("queue")


def why_nothing(found: Nothing, wanted: Wanted) -> str:
    """One honest sentence for whoever asks for the next item and gets none."""
    if found.held:
        return (
            f"Nothing for you. {counted(found.held)} held by others, "
            f"the first comes back in {_minutes_until(found.back_at)} min."
        )
    if found.own:
        return f"Nothing else for you. You hold {counted(found.own)} already."
    if found.others:
        return "Nothing for you. What waits is for other people or teams to decide."
    if wanted.is_narrow:
        return "Nothing fits this filter. Other items may be waiting."
    return f"Nothing waiting. {counted(found.decided_today)} decided today."


def _minutes_until(moment: datetime | None) -> int:
    seconds = (moment - timezone.now()).total_seconds() if moment else 0
    return max(1, math.ceil(seconds / 60))
