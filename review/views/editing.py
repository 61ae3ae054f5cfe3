"""Changing what is proposed: a form made from its contract, for whoever holds the item."""

from http import HTTPStatus

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from orchestrator.actions import revisions
from orchestrator.core.codec import Json
from orchestrator.core.errors import ArgumentsInvalid, CountersignError
from orchestrator.models import Proposal
from review import reads
from review.access import actor_of, requires
from review.came_from import back_to
from review.case import case_page
from review.desk import Desk, first_problem
from review.edit_form import EditForm, edit_form_of
from review.forms import SeenForm
from review.statuses import status_of

TEMPLATE = "review/edit.html"
NEWS = "Edited. Nothing has run: the rules looked at it again, and it waits for an approval."


@require_http_methods(["GET", "HEAD", "POST"])
@requires("queue.decide")
def edit(request: HttpRequest, pk: str) -> HttpResponse:
    """The form, or what was sent with it: as a new proposal in the place of this one."""
    case = reads.case(pk)
    if request.method != "POST":
        return _open(request, case)
    form = edit_form_of(case.proposal, request.POST)
    args = form.parse()
    if form.is_adding or args is None:
        return _again(request, case, form)
    return _send(request, case, form, args)


def _open(request: HttpRequest, case: reads.Case) -> HttpResponse:
    facts = case_page(request, case)
    if facts["hold"] != "mine" or "edit" not in facts["verbs"]:
        messages.warning(request, "Take it first; then you can edit it, where its action allows.")
        return redirect(back_to(facts["page_url"], request))
    return render(request, TEMPLATE, facts | {"form": edit_form_of(case.proposal)})


def _send(
    request: HttpRequest, case: reads.Case, form: EditForm, args: dict[str, Json]
) -> HttpResponse:
    try:
        revision = _edit(request, case, args)
    except ArgumentsInvalid as error:
        form.add_problems(error.problems)
        return _again(request, case, form)
    except CountersignError as error:
        return _again(request, case, form, error)
    messages.success(request, NEWS)
    return redirect(back_to(Desk("proposal", revision.pk).url, request))


def _edit(request: HttpRequest, case: reads.Case, args: dict[str, Json]) -> Proposal:
    sent = SeenForm(request.POST)
    if not sent.is_valid():
        raise first_problem(sent)
    said = sent.cleaned_data
    return revisions.edit(
        actor_of(request),
        Desk("proposal", case.proposal.pk).item_of(request),
        args=args,
        seen=sent.seen,
        idempotency_key=said["idempotency_key"],
        reason=said["reason"],
        note=said["note"],
    )


def _again(
    request: HttpRequest, case: reads.Case, form: EditForm, error: CountersignError | None = None
) -> HttpResponse:
    """With everything that was typed. Whoever lost their hold keeps it too, and is told who has it."""
    facts = case_page(request, case) | {"form": form, "error": error, "sent": request.POST}
    return render(request, TEMPLATE, facts, status=_status(form, error))


def _status(form: EditForm, error: CountersignError | None) -> HTTPStatus:
    if error is not None:
        return status_of(error)
    return HTTPStatus.OK if form.is_adding else HTTPStatus.UNPROCESSABLE_ENTITY
