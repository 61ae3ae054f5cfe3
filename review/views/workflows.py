from django.conf import settings
from django.core.validators import slug_re
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from orchestrator import queries
from review.access import requires
from review.workflow_page import workflow_page


@require_safe
@requires("runs.view")
def workflows(request: HttpRequest) -> HttpResponse:
    size = settings.PAGE_SIZE
    after = request.GET.get("after", "")
    found = queries.workflow_lines(after=after if slug_re.match(after) else "", at_most=size + 1)
    rows = [(version, queries.content_of(version)) for version in found[:size]]
    following = found[size - 1].workflow.slug if found[size:] else ""
    return render(request, "review/workflows.html", {"rows": rows, "following": following})


@require_safe
@requires("runs.view")
def workflow(request: HttpRequest, slug: str, number: int | None = None) -> HttpResponse:
    version = queries.workflow_version(slug, number)
    if version is None:
        raise Http404
    return render(request, "review/workflow.html", workflow_page(version))
