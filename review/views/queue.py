from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from orchestrator.actions import claims
from orchestrator.actions.actor import Actor
from review import queue_reads
from review.access import person_of, requires
from review.addresses import page_of
from review.htmx import is_partial, is_unchanged, not_modified, tag_of, with_tag
from review.paging import Page
from review.queue_page import (
    list_facts,
    queue_url,
    read_address,
    saved_tabs,
    tabs,
    why_nothing,
)
from review.sent import ids_in

SHOWN_MAX = 500


@require_safe
@requires("queue.view")
def queue(request: HttpRequest) -> HttpResponse:
    """Everything that waits for a person, or the part of it that the address names."""
    reader = person_of(request)
    asked = read_address(request.GET, reader)
    items = queue_reads.fitting(asked.wanted, reader)
    rows = queue_reads.first_page(items, reader, request.GET.get("after", ""))
    tag = tag_of([row.facts for row in rows.rows], 0)
    facts = list_facts(asked, rows, request) | {"tag": tag}
    if is_partial(request):
        return with_tag(render(request, "review/queue.html#rows", facts), tag)
    facts |= {"form": asked.form, "saved": asked.saved, "missing": asked.missing}
    facts |= {"tabs": tabs(asked, reader), "saved_tabs": saved_tabs(asked, reader)}
    return with_tag(render(request, "review/queue.html", facts), tag)


@require_safe
@requires("queue.view")
def news(request: HttpRequest) -> HttpResponse:
    """The rows that are shown, as they are now and where they are, and how many new ones there would be.

    The open page asks this again and again. Mostly nothing is new.
    """
    reader = person_of(request)
    asked = read_address(request.GET, reader)
    shown = ids_in(request.GET.get("shown", "").split()[:SHOWN_MAX])
    after, until = request.GET.get("after", ""), request.GET.get("until", "")
    items = queue_reads.fitting(asked.wanted, reader)
    new = queue_reads.count_new(items, after=after, until=until, shown=shown)
    rows = Page(queue_reads.rows_of(shown, reader), older=until)
    tag = tag_of([row.facts for row in rows.rows], new)
    if is_unchanged(request, tag):
        return not_modified(tag)
    facts = list_facts(asked, rows, request, new=new) | {"tag": tag}
    return with_tag(render(request, "review/queue.html#rows", facts), tag)


@require_POST
@requires("queue.decide")
def take_next(request: HttpRequest) -> HttpResponse:
    """Hold the most urgent item of this part of the queue, and open it."""
    reader = person_of(request)
    asked = read_address(QueryDict(request.POST.get("queue", "")), reader)
    items = queue_reads.fitting(asked.wanted.awake, reader)
    item = claims.take_next(Actor(reader), among=items)
    if item is not None:
        back = urlencode({"queue": asked.query})
        return redirect(f"{page_of(item)}?{back}" if asked.query else page_of(item))
    found = queue_reads.nothing_for(items, reader)
    messages.info(request, why_nothing(found, asked.wanted.awake))
    return redirect(queue_url(asked.query))
