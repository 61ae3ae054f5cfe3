from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from review import reads
from review.access import requires
from review.forms import AuditFilter


@require_safe
@requires("audit.view")
def audit_log(request: HttpRequest) -> HttpResponse:
    form = AuditFilter(request.GET, verbs=reads.recent_verbs(), people=reads.usernames())
    chosen = form.cleaned_data if form.is_valid() else {}
    page = reads.audit_page(
        **chosen, before=request.GET.get("before", ""), after=request.GET.get("after", "")
    )
    facts = {"form": form, "rows": page, "is_filtered": any(chosen.values())}
    return render(request, "review/audit_log.html", facts)
