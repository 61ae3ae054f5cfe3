"""The one form that matters: a person's decision, on the page of whatever it is about."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from orchestrator.actions import reviews
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import (
    BadInput,
    Conflict,
    CountersignError,
    IllegalTransition,
    NotAllowed,
)
from review import reads
from review.access import requires
from review.case import case_page
from review.forms import DecisionForm
from review.htmx import aim, is_partial
from review.item_page import matter, matter_page

MORE_NEEDED = "Your approval is recorded. Another person must approve before anything runs."
DONE = {
    "approve": "Approved.",
    "reject": "Rejected. Nothing runs.",
    "happened": "Recorded: it happened.",
    "not_happened": "Recorded: it did not happen. It is not run again.",
    "retry": "Recorded. It is run again.",
    "give_up": "Given up. It is not run again.",
}


@dataclass(frozen=True, slots=True)
class Page:
    """Where a decision is taken, and what is shown there afterwards."""

    name: str
    pk: str
    template: str
    facts: Callable[[HttpRequest, str], dict[str, Any]]


@require_POST
@requires("queue.decide")
def decide(request: HttpRequest, pk: str) -> HttpResponse:
    return _decide(request, Page("proposal", pk, "review/proposal.html", _case_facts))


@require_POST
@requires("queue.decide")
def decide_item(request: HttpRequest, pk: str) -> HttpResponse:
    return _decide(request, Page("item", pk, "review/item.html", _matter_facts))


@require_POST
@requires("queue.decide")
def reopen(request: HttpRequest, pk: str) -> HttpResponse:
    """What a rule blocked goes before two people."""
    try:
        reviews.reopen(Actor(cast(User, request.user)), pk, note=request.POST.get("note", ""))
    except IllegalTransition:
        messages.warning(request, "It is not blocked any more, or its run has gone another way.")
    except BadInput as error:
        messages.warning(request, f"Not reopened. {error}")
    else:
        messages.success(request, "Reopened. Two people must approve before anything runs.")
    return redirect("proposal", pk)


def _case_facts(request: HttpRequest, pk: str) -> dict[str, Any]:
    return case_page(request, reads.case(pk))


def _matter_facts(request: HttpRequest, pk: str) -> dict[str, Any]:
    return matter_page(request, matter(pk, request.user))


def _decide(request: HttpRequest, page: Page) -> HttpResponse:
    """Decide, then show the page again; a refusal keeps what was written."""
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return _refuse(request, page, form, _first_problem(form))
    given = form.cleaned_data
    if not reads.is_item_at(given["item"], page.pk):
        return _refuse(request, page, form, BadInput("item", "it belongs to another page."))
    try:
        reviews.decide(Actor(cast(User, request.user)), given.pop("item"), **given)
    except CountersignError as error:
        return _refuse(request, page, form, error)
    facts = page.facts(request, page.pk)
    news = MORE_NEEDED if facts["case"].is_waiting else DONE[given["verdict"]]
    if not is_partial(request):
        messages.success(request, news)
        return redirect(page.name, page.pk)
    return render(request, f"{page.template}#decided", facts | {"announce": news})


def _first_problem(form: DecisionForm) -> BadInput:
    """Only a broken or hand-made form gets here; the page itself always sends these fields."""
    name, errors = next(iter(form.errors.items()))
    return BadInput(str(name), str(errors[0]))


def _refuse(
    request: HttpRequest, page: Page, form: DecisionForm, error: CountersignError
) -> HttpResponse:
    facts = page.facts(request, page.pk) | {
        "error": error,
        "sent": form.data,
        "status": _status(error),
    }
    template = page.template
    if is_partial(request):
        template += "#conflict" if isinstance(error, Conflict) else "#decide"
    response = render(request, template, facts, status=_status(error))
    return aim(response, "#decide", "outerHTML")


def _status(error: CountersignError) -> HTTPStatus:
    if isinstance(error, Conflict):
        return HTTPStatus.CONFLICT
    if isinstance(error, NotAllowed):
        return HTTPStatus.FORBIDDEN
    return HTTPStatus.UNPROCESSABLE_ENTITY
