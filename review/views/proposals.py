from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from review import reads
from review.access import requires
from review.case import case_page
from review.forms import ProposalFilter
from review.htmx import is_unchanged, not_modified, with_tag


@require_safe
@requires("proposals.view")
def proposals(request: HttpRequest) -> HttpResponse:
    form = ProposalFilter(
        request.GET, actions=reads.recent_names("action"), agents=reads.recent_names("agent")
    )
    chosen = form.cleaned_data if form.is_valid() else {}
    page = reads.proposals_page(
        **chosen, before=request.GET.get("before", ""), after=request.GET.get("after", "")
    )
    facts = {"form": form, "rows": page, "is_filtered": any(chosen.values())}
    return render(request, "review/proposals.html", facts)


@require_safe
@requires("proposals.view")
def proposal(request: HttpRequest, pk: str) -> HttpResponse:
    return render(request, "review/proposal.html", case_page(request, reads.case(pk)))


@require_safe
@requires("proposals.view")
def outcome(request: HttpRequest, pk: str) -> HttpResponse:
    """The part of the review screen that keeps asking what became of the proposal."""
    facts = case_page(request, reads.case(pk))
    if is_unchanged(request, facts["tag"]):
        return not_modified(facts["tag"])
    return with_tag(render(request, "review/proposal.html#news", facts), facts["tag"])
