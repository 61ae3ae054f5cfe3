from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from review import reads
from review.access import requires
from review.htmx import is_unchanged, not_modified, with_tag
from review.item_page import matter, matter_page


@require_safe
@requires("proposals.view")
def item(request: HttpRequest, pk: str) -> HttpResponse:
    """What is about a proposal is shown on the page of the proposal."""
    if reads.is_blind(pk):
        return redirect("audit", pk)
    proposal = reads.proposal_of_item(pk)
    if proposal:
        return redirect("proposal", proposal)
    return render(request, "review/item.html", matter_page(request, matter(pk, request.user)))


@require_safe
@requires("proposals.view")
def news(request: HttpRequest, pk: str) -> HttpResponse:
    """The part of the page that keeps asking whether somebody else was faster."""
    facts = matter_page(request, matter(pk, request.user))
    facts["is_lost"] = "held" in request.GET and facts["hold"] != "mine"
    if is_unchanged(request, facts["tag"]):
        return not_modified(facts["tag"])
    return with_tag(render(request, "review/item.html#news", facts), facts["tag"])
