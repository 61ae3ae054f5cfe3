"""What an approval rests on, in bytes that anybody can check again."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from orchestrator import certificate_queries
from review.access import requires


@require_safe
@requires("proposals.view")
def certificate(request: HttpRequest, pk: str) -> HttpResponse:
    """Checked while the page is made, so that it says what holds now."""
    found = certificate_queries.find(pk)
    if found is None:
        raise Http404
    findings = certificate_queries.check(found.text)
    facts = {
        "section": "proposals",
        "certificate": found,
        "decision": found.decision,
        "proposal": found.decision.item.proposal,
        "findings": findings,
        "is_good": all(finding.ok for finding in findings),
    }
    return render(request, "review/certificate.html", facts)
