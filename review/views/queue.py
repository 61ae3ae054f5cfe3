from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from review import reads
from review.access import requires
from review.forms import QueueFilter
from review.htmx import is_partial, is_unchanged, not_modified, tag_of, with_tag


@require_safe
@requires("queue.view")
def queue(request: HttpRequest) -> HttpResponse:
    """Everything that waits for a person. The rows ask again by themselves; mostly nothing is new."""
    form = QueueFilter(request.GET, reads.waiting_actions())
    chosen = form.cleaned_data if form.is_valid() else {}
    page = reads.queue_page(reads.waiting_items(**chosen), request.GET.get("after", ""))
    tag = tag_of([(item.pk, item.version, item.priority) for item in page.rows], page.older)
    if is_partial(request) and is_unchanged(request, tag):
        return not_modified(tag)
    facts = {
        "form": form,
        "rows": page,
        "tag": tag,
        "is_filtered": any(chosen.values()) or "after" in request.GET,
    }
    template = "review/queue.html#rows" if is_partial(request) else "review/queue.html"
    return with_tag(render(request, template, facts), tag)
