"""Writing evaluation policies: the editor, and what its terms would do while they are chosen."""

from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from orchestrator import policy_queries
from orchestrator.actions import policies
from orchestrator.core.errors import BadInput, CountersignError, PolicyChanged
from orchestrator.core.policy.terms import Scope, Terms
from orchestrator.models import EvaluationPolicy
from review import validator_rows
from review.access import actor_of, closed_to_auditors, requires
from review.findings import verdict_words
from review.htmx import is_partial
from review.policy_forms import DAYS, DAYS_SHOWN, SCOPE, PolicyForm, ScopeForm, initial_of, kept
from review.policy_page import comparison_of, scope_words
from review.validator_rows import ValidatorRow
from review.views.policies import policy_or_404

SAVED = "Saved as a draft. It decides nothing yet: backtest it next."
UNCHANGED = "The newest version says exactly that already, so no other was made."
# What the form calls the fields that the action names.
FIELDS = {"target_error": "target_percent"}


@require_http_methods(["GET", "HEAD", "POST"])
@requires("policies.edit")
@closed_to_auditors
def new_policy(request: HttpRequest) -> HttpResponse:
    """Begun with the terms that decide about its scope so far."""
    if request.method == "POST":
        return _answer(request, None)
    asked = ScopeForm(request.GET)
    scope = asked.scope if asked.is_valid() else Scope()
    base = policies.starting_terms(scope)
    form = PolicyForm(initial=initial_of(scope, base, 0))
    return _show(request, form, validator_rows.shown_rows(base.validators), None, (scope, base))


@require_http_methods(["GET", "HEAD", "POST"])
@requires("policies.edit")
@closed_to_auditors
def edit_policy(request: HttpRequest, number: int) -> HttpResponse:
    """A new version for its scope, begun with what this one says."""
    version = policy_or_404(number)
    if request.method == "POST":
        return _answer(request, version)
    scope, terms = version.scope, version.terms
    form = PolicyForm(initial=initial_of(scope, terms, policy_queries.newest_number(scope)))
    return _show(
        request, form, validator_rows.shown_rows(terms.validators), version, (scope, terms)
    )


def _answer(request: HttpRequest, version: EvaluationPolicy | None) -> HttpResponse:
    """What was pressed: to save it, to see what it does, or something that only changes the form."""
    sent = {name: [str(value) for value in values] for name, values in request.POST.lists()}
    button = sent.get("do", ["preview"])[0]
    rows = validator_rows.pressed(validator_rows.sent_rows(sent), button)
    form = PolicyForm(_data(sent, version))
    validators, problems = validator_rows.read_rows(rows)
    if button == "save":
        for problem in problems:
            form.add_error(None, problem)
        if form.is_valid():
            return _save(request, form, rows, version)
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return _show(request, form, rows, version, None, status=status)
    said = (form.scope, replace(form.terms, validators=validators)) if form.is_valid() else None
    # Nobody is told of mistakes before they have said that they are done.
    shown = PolicyForm(initial=kept(sent))
    return _show(request, shown, rows, version, said, why_not=_first_problem(form))


def _data(sent: dict[str, list[str]], version: EvaluationPolicy | None) -> dict[str, Any]:
    """A version of a scope is for that scope, whatever is sent."""
    found = kept(sent)
    if version is not None:
        found |= {name: getattr(version.scope, name) for name in SCOPE}
    return found


def _save(
    request: HttpRequest,
    form: PolicyForm,
    rows: list[ValidatorRow],
    version: EvaluationPolicy | None,
) -> HttpResponse:
    scope = form.scope
    validators, _ = validator_rows.read_rows(rows)
    terms = replace(form.terms, validators=validators)
    newest = policy_queries.newest_number(scope)
    try:
        saved = policies.draft(
            actor_of(request),
            scope,
            terms,
            note=form.cleaned_data["note"],
            base=form.cleaned_data["base"] or 0,
        )
    except PolicyChanged as error:
        return _clash(request, form, rows, version, error)
    except BadInput as error:
        name = FIELDS.get(error.field, error.field)
        form.add_error(name if name in form.fields else None, _sentence(error, name in form.fields))
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return _show(request, form, rows, version, (scope, terms), status=status)
    messages.success(request, SAVED if saved.number > newest else UNCHANGED)
    return redirect("policy", saved.number)


def _sentence(error: BadInput, is_beside_it: bool) -> str:
    return error.reason if is_beside_it else str(error)


def _clash(
    request: HttpRequest,
    form: PolicyForm,
    rows: list[ValidatorRow],
    version: EvaluationPolicy | None,
    error: CountersignError,
) -> HttpResponse:
    """Somebody wrote meanwhile: theirs is shown, what was written is kept, and saving again is allowed."""
    newest = policy_or_404(policy_queries.newest_number(form.scope))
    seen = policy_queries.policy(form.cleaned_data["base"] or 0)
    again = PolicyForm(initial=form.cleaned_data | {"base": newest.number})
    return _show(
        request,
        again,
        rows,
        version,
        (form.scope, form.terms),
        conflict=error,
        theirs=newest if seen else None,
        their_changes=comparison_of(seen, newest) if seen else None,
        status=HTTPStatus.CONFLICT,
    )


def _first_problem(form: PolicyForm) -> str:
    return next((str(problems[0]) for problems in form.errors.values()), "")


def _show(
    request: HttpRequest,
    form: PolicyForm,
    rows: list[ValidatorRow],
    version: EvaluationPolicy | None,
    said: tuple[Scope, Terms] | None,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    **more: Any,
) -> HttpResponse:
    facts: dict[str, Any] = {
        "form": form,
        "rows": rows,
        "version": version,
        "scope": scope_words(version.scope) if version else [],
        "agents": policies.validator_agents(),
    }
    facts |= _effect(form, *said) if said else {"why_not": _first_problem(form)}
    template = "review/policy_edit.html"
    button = request.POST.get("do", "preview")
    if is_partial(request) and button == "preview":
        template += "#effect"
    return render(request, template, facts | more, status=status)


def _effect(form: PolicyForm, scope: Scope, terms: Terms) -> dict[str, Any]:
    """What `policy_effect.html` needs."""
    wanted = str(form["days"].value())
    days = int(wanted if wanted in dict(DAYS) else DAYS_SHOWN)
    until = timezone.now()
    asked = {one.asks for one in policies.starting_terms(scope).validators}
    # What others would have said nobody knows; they could only lower a score.
    known = tuple(one for one in terms.validators if one.asks in asked)
    found = policy_queries.preview(
        scope, replace(terms, validators=known), until - timedelta(days=days), until
    )
    return {
        "preview": found,
        "bands": terms.bands,
        "days": days,
        "verdicts": verdict_words(found.effect),
        "has_target": terms.target_error is not None,
        "new_validators": len(terms.validators) - len(known),
    }
