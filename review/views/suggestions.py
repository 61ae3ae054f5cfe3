"""Rules that verdicts suggest: looked for when somebody asks, never written or activated by themselves."""

from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from orchestrator import suggestion_queries
from orchestrator.actions import suggestions as actions
from orchestrator.core.errors import CountersignError
from review.access import actor_of, may, requires
from review.statuses import status_of
from review.suggestion_page import ActionForm, answer_of

DRAFTED = "A draft that decides nothing. Its backtest has begun, over what was proposed since it was found."


@require_safe
@requires("audit.view")
def suggestions(request: HttpRequest) -> HttpResponse:
    return _show(request, request.GET.get("action", ""))


@require_POST
@requires("rules.edit")
def draft_suggestion(request: HttpRequest) -> HttpResponse:
    """What was shown, or nothing: verdicts that came in meanwhile may suggest something else."""
    action = request.POST.get("action", "")
    try:
        actor = actor_of(request)
        version = actions.draft(actor, action, seal=request.POST.get("seal", ""))
    except CountersignError as error:
        return _show(request, action, status=status_of(error), error=error)
    messages.success(request, DRAFTED)
    return redirect("rule_version", version.rule.slug, version.number)


def _show(
    request: HttpRequest, action: str, *, status: HTTPStatus = HTTPStatus.OK, **more: Any
) -> HttpResponse:
    known = suggestion_queries.actions()
    form = ActionForm({"action": action} if action else None, known)
    found = suggestion_queries.suggested_for(action) if action in known else None
    facts = {
        "form": form,
        "has_actions": bool(known),
        "is_unknown": bool(action) and found is None,
        "answer": answer_of(found) if found else None,
        "may_edit": may(request.user, "rules.edit"),
    }
    return render(request, "review/suggestions.html", facts | more, status=status)
