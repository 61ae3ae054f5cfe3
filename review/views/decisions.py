"""The one form that matters: a person's decision."""

from http import HTTPStatus
from typing import cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from orchestrator.actions import reviews
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import BadInput, Conflict, CountersignError, NotAllowed
from review import reads
from review.access import requires
from review.case import case_page
from review.forms import DecisionForm
from review.htmx import aim, is_partial

MORE_NEEDED = "Your approval is recorded. Another person must approve before anything runs."
DONE = {"approve": "Approved.", "reject": "Rejected. Nothing runs."}


@require_POST
@requires("queue.decide")
def decide(request: HttpRequest, pk: str) -> HttpResponse:
    """Decide, then show the page again; a refusal keeps what was written."""
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return _refuse(request, pk, form, _first_problem(form))
    given = form.cleaned_data
    if not reads.is_item_of(given["item"], pk):
        return _refuse(request, pk, form, BadInput("item", "it belongs to another proposal."))
    try:
        reviews.decide(Actor(cast(User, request.user)), given.pop("item"), **given)
    except CountersignError as error:
        return _refuse(request, pk, form, error)
    case = reads.case(pk)
    news = MORE_NEEDED if case.is_waiting else DONE[given["verdict"]]
    if not is_partial(request):
        messages.success(request, news)
        return redirect("proposal", pk)
    facts = case_page(request, case) | {"announce": news}
    return render(request, "review/proposal.html#decided", facts)


def _first_problem(form: DecisionForm) -> BadInput:
    """Only a broken or hand-made form gets here; the page itself always sends these fields."""
    name, errors = next(iter(form.errors.items()))
    return BadInput(str(name), str(errors[0]))


def _refuse(
    request: HttpRequest, pk: str, form: DecisionForm, error: CountersignError
) -> HttpResponse:
    facts = case_page(request, reads.case(pk)) | {
        "error": error,
        "sent": form.data,
        "status": _status(error),
    }
    template = "review/proposal.html"
    if is_partial(request):
        template = f"{template}#conflict" if isinstance(error, Conflict) else f"{template}#decide"
    response = render(request, template, facts, status=_status(error))
    return aim(response, "#decide", "outerHTML")


def _status(error: CountersignError) -> HTTPStatus:
    if isinstance(error, Conflict):
        return HTTPStatus.CONFLICT
    if isinstance(error, NotAllowed):
        return HTTPStatus.FORBIDDEN
    return HTTPStatus.UNPROCESSABLE_ENTITY
