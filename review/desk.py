"""Where an item is dealt with: on the page of its proposal, or on one of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from orchestrator.actions.actor import Actor
from orchestrator.core.errors import (
    BadInput,
    Conflict,
    CountersignError,
    TargetChanged,
)
from review import item_reads, reads
from review.access import actor_of
from review.came_from import back_to
from review.case import case_page
from review.htmx import aim, is_partial
from review.item_page import matter, matter_page
from review.statuses import status_of
from review.target_state import told_changes

FOLLOWS_S = 0.25


def _case_facts(request: HttpRequest, pk: str) -> dict[str, Any]:
    return case_page(request, reads.case(pk))


def _matter_facts(request: HttpRequest, pk: str) -> dict[str, Any]:
    return matter_page(request, matter(pk, request.user))


FACTS: dict[str, Callable[[HttpRequest, str], dict[str, Any]]] = {
    "proposal": _case_facts,
    "item": _matter_facts,
}


@dataclass(frozen=True, slots=True)
class Desk:
    """`name` is that of the page's route, `pk` the id of what it is about."""

    name: str
    pk: str

    @property
    def url(self) -> str:
        return reverse(self.name, args=[self.pk])

    @property
    def template(self) -> str:
        return f"review/{self.name}.html"

    def facts(self, request: HttpRequest) -> dict[str, Any]:
        return FACTS[self.name](request, self.pk)

    def item_of(self, request: HttpRequest) -> str:
        """The item that the form names, which has to be one of this page."""
        item = request.POST.get("item", "").replace("\x00", "")
        if not item:
            raise BadInput("item", "it is missing; reload the page.")
        if not reads.is_item_at(item, self.pk):
            raise BadInput("item", "it belongs to another page.")
        return item


def first_problem(form: Form) -> BadInput:
    """Only a broken or hand-made form gets here; the page itself always sends these fields."""
    name, errors = next(iter(form.errors.items()))
    return BadInput(str(name), str(errors[0]))


def show(
    request: HttpRequest, desk: Desk, news: str, part: str = "acted", **changes: object
) -> HttpResponse:
    """The page as it is now, or the part that is named, with what was just done said once."""
    if not is_partial(request):
        messages.success(request, news)
        return redirect(back_to(desk.url, request))
    facts = desk.facts(request) | {"announce": news} | changes
    return render(request, f"{desk.template}#{part}", facts)


def show_decided(request: HttpRequest, desk: Desk, news: str) -> HttpResponse:
    """What was decided, at once; the page asks for all that follows from it a moment later."""
    return show(request, desk, news, "decided", is_live=True, poll_s=FOLLOWS_S, tag="")


def refuse(request: HttpRequest, desk: Desk, error: CountersignError) -> HttpResponse:
    """Nothing was recorded; whatever was written comes back with the answer."""
    facts = desk.facts(request) | {"error": error, "sent": request.POST}
    if isinstance(error, TargetChanged):
        facts["target_changes"] = told_changes(request.POST, facts["target"])
    template = desk.template
    if is_partial(request):
        template += "#conflict" if isinstance(error, Conflict) else "#decide"
    response = render(request, template, facts, status=status_of(error))
    return aim(response, "#decide", "outerHTML")


def carry_out(
    request: HttpRequest,
    desk: Desk,
    act: Callable[[Actor, str], object],
    news: str,
    part: str = "acted",
) -> HttpResponse:
    """One thing done to the item of this page, and the page afterwards."""
    if not item_reads.has_page(desk.name, desk.pk):
        raise Http404
    try:
        act(actor_of(request), desk.item_of(request))
    except CountersignError as error:
        return refuse(request, desk, error)
    return show(request, desk, news, part)
