"""Small things that every page offers: finding by id, the counts in the bar, the theme."""

from datetime import timedelta

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from review import notice_reads, queue_reads, reads
from review.access import person_of, public, requires
from review.addresses import page_of
from review.context import THEMES
from review.htmx import is_unchanged, not_modified, tag_of, with_tag
from review.queue_filter import VIEWS
from review.queue_page import query_of

YEAR = timedelta(days=365)


@require_safe
@requires("proposals.view")
def find(request: HttpRequest) -> HttpResponse:
    text = request.GET.get("id", "").strip()
    found = reads.find(text)
    if found is not None:
        return redirect(page_of(found))
    messages.warning(
        request, "No proposal, review item, effect, run, event or backtest has that id."
    )
    return redirect("proposals")


@require_safe
@requires("queue.view")
def pulse(request: HttpRequest) -> HttpResponse:
    """The counts of the bar and of the navigation, which every page asks for again."""
    tag = tag_of(queue_reads.pulse(), notice_reads.unread_count(request.user))
    if is_unchanged(request, tag):
        return not_modified(tag)
    return with_tag(render(request, "review/pulse.html#news"), tag)


@require_safe
@requires("queue.view")
def palette(request: HttpRequest) -> HttpResponse:
    """What the command palette offers beside what stands on the page: views of the queue."""
    saved = queue_reads.saved_views(person_of(request))
    facts = {"views": VIEWS, "saved": [(view, query_of(view)) for view in saved]}
    return render(request, "ui/palette.html#views", facts)


@public
@require_POST
def choose_theme(request: HttpRequest) -> HttpResponse:
    """Also works without JavaScript; with it, `app.js` writes the same cookie."""
    back = request.headers.get("Referer", "")
    safe = url_has_allowed_host_and_scheme(back, {request.get_host()}, request.is_secure())
    # Not redirect(): it would take a word for the name of a view.
    response = HttpResponseRedirect(back if back and safe else reverse("home"))
    theme = request.POST.get("theme", "")
    if theme in THEMES:
        secure = settings.SESSION_COOKIE_SECURE
        response.set_cookie("theme", theme, max_age=YEAR, samesite="Lax", secure=secure)
    return response
