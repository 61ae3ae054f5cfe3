"""Several items with one click: the dry run, the click, what became of each, and taking it all back."""

from http import HTTPStatus

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from orchestrator.actions import bulk
from orchestrator.core.errors import BadInput, CountersignError, NotFound
from review.access import actor_of, requires
from review.bulk_page import batch_facts, preview_facts, read_run, undone_sentence
from review.htmx import is_partial, is_unchanged, not_modified, tag_of, with_tag
from review.queue_page import queue_url
from review.statuses import status_of
from review.views.errors import not_found


@require_POST
@requires("queue.decide")
def preview(request: HttpRequest) -> HttpResponse:
    """What would become of the selected items. Nothing is decided yet."""
    return _dry_run(request, request.POST.getlist("ids"))


@require_POST
@requires("queue.decide")
def run(request: HttpRequest) -> HttpResponse:
    sent = read_run(request.POST)
    try:
        batch = bulk.run(actor_of(request), **sent)
    except CountersignError as error:
        return _dry_run(request, list(sent["listed"]), error)
    return redirect("bulk_batch", batch.pk)


def _dry_run(
    request: HttpRequest, ids: list[str], error: CountersignError | None = None
) -> HttpResponse:
    """Shown again after a refusal, as things are by now."""
    actor = actor_of(request)
    try:
        found = bulk.preview(actor, ids, request.POST.get("verdict", ""))
    except BadInput as refusal:
        messages.warning(request, f"{refusal.reason[:1].upper()}{refusal.reason[1:]}")
        return redirect(queue_url(request.POST.get("queue", "")))
    facts = preview_facts(request, found) | {"error": error}
    return render(
        request, "review/bulk.html", facts, status=status_of(error) if error else HTTPStatus.OK
    )


@require_safe
@requires("queue.decide")
def batch(request: HttpRequest, pk: str) -> HttpResponse:
    """What became of each. Asks again for as long as something can be taken back."""
    try:
        found = bulk.of(actor_of(request), pk)
    except NotFound:
        return not_found(request)
    facts = batch_facts(found)
    tag = tag_of(facts["facts"])
    if is_partial(request) and is_unchanged(request, tag):
        return not_modified(tag)
    template = "review/bulk_batch.html"
    shown = f"{template}#outcome" if is_partial(request) else template
    return with_tag(render(request, shown, facts | {"tag": tag}), tag)


@require_POST
@requires("queue.decide")
def undo(request: HttpRequest, pk: str) -> HttpResponse:
    try:
        outcomes = bulk.undo(actor_of(request), pk)
    except NotFound:
        return not_found(request)
    if all(outcomes.values()):
        messages.warning(request, undone_sentence(outcomes))
    else:
        messages.success(request, undone_sentence(outcomes))
    return redirect("bulk_batch", pk)
