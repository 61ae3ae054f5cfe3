"""Writing rules: the editor, its buttons, and the check it asks for while somebody types."""

from dataclasses import replace
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from orchestrator import rule_queries
from orchestrator.actions import rules
from orchestrator.core.errors import Conflict, CountersignError
from orchestrator.core.policy.builder import OPERATORS
from orchestrator.models import RuleVersion
from review.access import actor_of, requires
from review.htmx import is_partial
from review.reads import number_or_none
from review.rule_editor import Wording, rule_of
from review.rule_fields import ACTIONS_READ_MAX
from review.rule_forms import RuleForm, initial_of
from review.rule_page import comparison_of, recent_of
from review.rule_problems import marks_of
from review.rule_trial import Trial, try_rule
from review.rule_windows import MEASURES, STATUS_LABELS
from review.views.rules import version_or_404

# Which part of the page a button asks for, where scripts run; without them it gets the whole page.
PARTS = {
    "add_row": "wording",
    "remove_row": "wording",
    "to_text": "wording",
    "to_rows": "wording",
    "check": "wording",
    "scope": "fields",
    "add_window": "windows_news",
    "remove_window": "windows_news",
    "try": "trial",
}
SAVED = "Saved as a draft. It decides nothing yet: backtest it next."
UNCHANGED = "The newest version says exactly that already, so no other was made."


@require_http_methods(["GET", "HEAD", "POST"])
@requires("rules.edit")
def new_rule(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        return _answer(request, "", None)
    form = RuleForm(initial={"effect": "hold"}, is_new=True)
    return _show(request, form, Wording.blank())


@require_http_methods(["GET", "HEAD", "POST"])
@requires("rules.edit")
def edit_rule(request: HttpRequest, slug: str) -> HttpResponse:
    """A new version, beginning with what some version says."""
    chosen = request.GET.get("from", "")
    version = version_or_404(slug, number_or_none(chosen) if chosen else None)
    if request.method == "POST":
        return _answer(request, slug, version)
    base = rule_queries.newest_number(slug)
    form = RuleForm(initial=initial_of(version, base), is_new=False)
    return _show(request, form, Wording.stored(version), version=version)


@require_POST
@requires("rules.edit")
def check_rule(request: HttpRequest) -> JsonResponse:
    """Asked while somebody types: the text that rows make, and every mark in it."""
    wording = Wording.sent(_lists(request))
    found = wording.problems()
    facts: dict[str, Any] = {
        "text": wording.condition,
        "marks": marks_of(found, wording.condition),
        "is_whole": wording.catalogue.is_whole,
        "rows": [row.problem for row in wording.checked().rows.rows] if not wording.is_text else [],
    }
    is_wrong = any(one.severity == "error" for one in found) or any(facts["rows"])
    status = HTTPStatus.UNPROCESSABLE_ENTITY if is_wrong else HTTPStatus.OK
    return JsonResponse(facts, status=status)


def _answer(request: HttpRequest, slug: str, version: RuleVersion | None) -> HttpResponse:
    """What was pressed in the form: to save it, or something that only changes the form."""
    button = request.POST.get("do", "check")
    sent = _lists(request)
    wording = Wording.sent(sent).pressed(button)
    if button == "save":
        return _save(request, RuleForm(request.POST, is_new=not slug), wording, version)
    form = RuleForm(initial=_kept(sent), is_new=not slug)
    trial = _try(request, wording, sent) if button == "try" else Trial()
    name = button.partition(" ")[0]
    facts: dict[str, Any] = {"pressed": name, "version": version, "trial": trial}
    return _show(request, form, wording, part=PARTS.get(name, "wording"), **facts)


def _lists(request: HttpRequest) -> dict[str, list[str]]:
    return {name: [str(value) for value in values] for name, values in request.POST.lists()}


def _kept(sent: dict[str, list[str]]) -> dict[str, Any]:
    """What was typed so far, right or not."""
    return {name: values if name == "tiers" else values[0] for name, values in sent.items()}


def _try(request: HttpRequest, wording: Wording, sent: dict[str, list[str]]) -> Trial:
    chosen, typed = request.POST.get("proposal", ""), request.POST.get("proposal_id", "")
    if not wording.condition or any(one.severity == "error" for one in wording.problems()):
        return Trial(chosen, typed, "Its condition is not right yet.", is_new=True)
    if wording.window_problems():
        return Trial(chosen, typed, "Its numbers over the past are not right yet.", is_new=True)
    form = RuleForm(request.POST, is_new=False)
    form.is_valid()
    found = try_rule(rule_of(wording, form.cleaned_data), chosen=chosen, typed=typed)
    return replace(found, is_new=True)


def _save(
    request: HttpRequest, form: RuleForm, wording: Wording, version: RuleVersion | None
) -> HttpResponse:
    _check(form, wording)
    if not form.is_valid():
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return _show(request, form, wording.checked(), version=version, status=status)
    given = form.cleaned_data
    slug = version.rule.slug if version else given["slug"]
    newest = rule_queries.newest_number(slug)
    try:
        saved = rules.draft(
            actor_of(request),
            slug=slug,
            title=given["title"],
            effect=given["effect"],
            condition=wording.condition,
            message=given["message"],
            applies_to=form.scope,
            history=wording.history,
            owner=given["owner"],
            note=given["note"],
            base=given["base"] if version else 0,
        )
    except Conflict as error:
        if version:
            return _clash(request, form, wording, slug, error)
        # Somebody took the name since it was looked for.
        form.add_error("slug", _taken(slug))
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return _show(request, form, wording, status=status)
    except CountersignError as error:
        form.add_error(None, str(error))
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return _show(request, form, wording, version=version, status=status)
    messages.success(request, SAVED if saved.number > newest else UNCHANGED)
    return redirect("rule_version", slug, saved.number)


def _check(form: RuleForm, wording: Wording) -> None:
    """What the form itself cannot know."""
    form.is_valid()
    slug = form.cleaned_data.get("slug", "")
    if slug in rules.TAKEN:
        form.add_error("slug", "That is an address of this house; choose another name.")
    elif slug and rule_queries.exists(slug):
        form.add_error("slug", _taken(slug))
    if wording.condition:
        for problem in wording.problems():
            if problem.severity == "error":
                place = f"line {problem.line}, column {problem.column}"
                form.add_error("condition", f"{problem.reason} ({place}).")
    else:
        form.add_error("condition", "Say what has to be true.")
    for problem_text in wording.window_problems():
        form.add_error(None, f"History {problem_text}.")


def _taken(slug: str) -> str:
    return f"“{slug}” is taken; open that rule to write a new version of it."


def _clash(
    request: HttpRequest, form: RuleForm, wording: Wording, slug: str, error: Conflict
) -> HttpResponse:
    """Somebody saved meanwhile: their change is shown, what was written is kept, and saving again is allowed."""
    newest = version_or_404(slug, rule_queries.newest_number(slug))
    seen = rule_queries.rule_version(slug, form.cleaned_data["base"])
    kept = RuleForm(initial=_kept(_lists(request)) | {"base": newest.number}, is_new=False)
    return _show(
        request,
        kept,
        wording,
        version=newest,
        conflict=error,
        theirs=comparison_of(seen, newest) if seen else None,
        status=HTTPStatus.CONFLICT,
    )


def _show(
    request: HttpRequest,
    form: RuleForm,
    wording: Wording,
    *,
    part: str = "",
    status: HTTPStatus = HTTPStatus.OK,
    **more: Any,
) -> HttpResponse:
    facts: dict[str, Any] = {
        "form": form,
        "wording": wording,
        "marks": marks_of(wording.problems(), wording.condition),
        "window_problems": wording.window_problems(),
        "operators": OPERATORS,
        "measures": MEASURES,
        "statuses": STATUS_LABELS,
        "fields": wording.catalogue.offered,
        "recent": recent_of(wording.actions[:ACTIONS_READ_MAX]),
        "trial": Trial(),
        "version": None,
    } | more
    template = "review/rule_edit.html"
    if is_partial(request) and part:
        template += f"#{part}"
    return render(request, template, facts, status=status)
