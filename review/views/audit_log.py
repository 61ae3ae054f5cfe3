from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from orchestrator import calibration_queries
from review import reads
from review.access import person_of, requires
from review.audit_reads import hidden_from
from review.forms import AuditFilter
from review.queue_reads import half_decided


@require_safe
@requires("audit.view")
def audit_log(request: HttpRequest) -> HttpResponse:
    form = AuditFilter(request.GET, verbs=reads.recent_verbs(), people=reads.usernames())
    chosen = form.cleaned_data if form.is_valid() else {}
    reader = person_of(request)
    records = calibration_queries.veiled_records(reader)
    hidden = [*hidden_from(reader), *records, *half_decided(reader)]
    window = {name: request.GET.get(name, "") for name in ("before", "after")}
    page = reads.audit_page(**chosen, **window, hidden=hidden)
    facts = {
        "form": form,
        "rows": page,
        "is_filtered": any(chosen.values()),
        "is_short": bool(hidden),
    }
    return render(request, "review/audit_log.html", facts)
