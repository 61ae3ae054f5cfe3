from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from review import reads
from review.access import requires
from review.audit_reads import hidden_from
from review.case import case_page
from review.htmx import is_unchanged, not_modified, with_tag
from review.proposal_filter import ProposalFilterForm


@require_safe
@requires("proposals.view")
def proposals(request: HttpRequest) -> HttpResponse:
    form = ProposalFilterForm(
        request.GET, actions=reads.recent_names("action"), agents=reads.recent_names("agent")
    )
    wanted = form.wanted
    hidden = hidden_from(request.user)
    window = {name: request.GET.get(name, "") for name in ("before", "after")}
    page = reads.proposals_page(wanted, **window, hidden=hidden)
    facts = {
        "form": form,
        "rows": page,
        "is_filtered": wanted.is_narrow,
        "led_to": form.led_to(request.GET.dict()),
        "is_short": bool(hidden),
    }
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
    facts["is_lost"] = "held" in request.GET and facts["hold"] != "mine"
    if is_unchanged(request, facts["tag"]):
        return not_modified(facts["tag"])
    return with_tag(render(request, "review/proposal.html#news", facts), facts["tag"])
