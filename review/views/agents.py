"""Agents: what is in use of them, their versions, and asking for a change."""

from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.contrib import messages
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from orchestrator import agent_queries
from orchestrator.actions import agents, changes
from orchestrator.actions.agents import save
from orchestrator.agent_queries import AgentLine
from orchestrator.core.errors import CountersignError
from orchestrator.models import AgentVersion
from review.access import actor_of, closed_to_auditors, may, requires
from review.agent_forms import AgentForm, DeployForm, VersionForm, WayBackForm, initial_of
from review.agent_page import DAYS, agent_facts, lines_of, offered, version_facts
from review.forms import show_error
from review.reads import number_or_none
from review.sent import text_of
from review.version_way import ASKED, ASKED_ALONE

PAGE = "review/agent.html"


@require_safe
@requires("agents.view")
@closed_to_auditors
def agent_list(request: HttpRequest) -> HttpResponse:
    size = settings.PAGE_SIZE
    found = agent_queries.lines(after=text_of(request.GET, "after")[:100], at_most=size + 1)
    facts = {
        "lines": lines_of(found[:size]),
        "following": found[size - 1].agent.slug if found[size:] else "",
        "days": DAYS,
        "may_edit": may(request.user, "agents.edit"),
    }
    return render(request, "review/agents.html", facts)


@require_safe
@requires("agents.view")
@closed_to_auditors
def agent(request: HttpRequest, slug: str) -> HttpResponse:
    return render(request, PAGE, agent_facts(request, _line_or_404(slug)))


@require_http_methods(["GET", "HEAD", "POST"])
@requires("agents.edit")
def new_agent(request: HttpRequest) -> HttpResponse:
    form = AgentForm(request.POST if request.method == "POST" else None)
    slug = form.cleaned_data["slug"] if form.is_valid() else ""
    if slug and agent_queries.line(slug):
        form.add_error("slug", "There is an agent of that name already.")
    if (
        slug
        and form.is_valid()
        and _done(form, lambda: save(actor_of(request), **form.cleaned_data))
    ):
        return redirect("new_agent_version", slug)
    return _form(request, "review/agent_new.html", form)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("agents.edit")
def edit_agent(request: HttpRequest, slug: str) -> HttpResponse:
    found = _line_or_404(slug).agent
    known = {name: getattr(found, name) for name in ("title", "owner", "tier")}
    form = AgentForm(request.POST if request.method == "POST" else None, initial=known)
    del form.fields["slug"]
    if form.is_valid() and _done(form, lambda: save(actor_of(request), slug, **form.cleaned_data)):
        messages.success(request, "Saved.")
        return redirect("agent", slug)
    return _form(request, "review/agent_new.html", form, agent=found)


@require_safe
@requires("agents.view")
@closed_to_auditors
def agent_version(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Beside the version that is asked for, else the stable one, else the one before it."""
    version = _version_or_404(slug, number)
    beside = number_or_none(request.GET.get("beside", ""))
    other = agent_queries.version(slug, beside or _usual(slug, number))
    return render(request, "review/agent_version.html", version_facts(request, version, other))


@require_http_methods(["GET", "HEAD", "POST"])
@requires("agents.edit")
def new_agent_version(request: HttpRequest, slug: str) -> HttpResponse:
    line = _line_or_404(slug)
    base = number_or_none(request.GET.get("from", "")) or line.newest
    begun = initial_of(agent_queries.version(slug, base)) | {"base": line.newest}
    form = VersionForm(
        request.POST if request.method == "POST" else None,
        contracts=agent_queries.output_contracts(),
        initial=begun,
    )
    if form.is_valid():
        given = form.cleaned_data
        written: list[agents.Written] = []

        def write() -> None:
            more = {name: given[name] for name in ("label", "note", "base")}
            written.append(agents.write(actor_of(request), slug, form.wish, **more))

        if _done(form, write):
            if not written[0].is_new:
                messages.info(
                    request, "The newest version says exactly that; no other was written."
                )
            return redirect("agent_version", slug, written[0].version.number)
    facts = {
        "agent": line.agent,
        "newest": line.newest,
        "endpoints": agent_queries.endpoints(at_most=settings.ENDPOINTS_MAX),
    }
    return _form(request, "review/agent_version_edit.html", form, **facts)


@require_POST
@requires("agents.edit")
def deploy_agent(request: HttpRequest, slug: str) -> HttpResponse:
    line = _line_or_404(slug)
    form = DeployForm(request.POST, versions=offered(line))
    if form.is_valid() and _done(
        form,
        lambda: changes.propose_deployment(
            actor_of(request), slug, form.wanted, form.cleaned_data["note"]
        ),
    ):
        return _asked(request, slug)
    return _refused(request, line, form, "form")


@require_POST
@requires("agents.edit")
def roll_back_agent(request: HttpRequest, slug: str) -> HttpResponse:
    line = _line_or_404(slug)
    form = WayBackForm(request.POST)
    if form.is_valid() and _done(
        form,
        lambda: changes.propose_way_back(actor_of(request), slug, form.cleaned_data["back_note"]),
    ):
        return _asked(request, slug)
    return _refused(request, line, form, "back_form")


def _asked(request: HttpRequest, slug: str) -> HttpResponse:
    messages.success(request, ASKED if settings.RULES_FOUR_EYES else ASKED_ALONE)
    return redirect("agent", slug)


def _refused(request: HttpRequest, line: AgentLine, form: Form, name: str) -> HttpResponse:
    """Nothing was asked for; what was written is kept."""
    facts = agent_facts(request, line) | {name: form, "refused": form}
    return render(request, PAGE, facts, status=HTTPStatus.UNPROCESSABLE_ENTITY)


def _form(request: HttpRequest, page: str, form: Form, **facts: object) -> HttpResponse:
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render(request, page, {"form": form, **facts}, status=status)


def _done(form: Form, act: Callable[[], object]) -> bool:
    """Whether it was; else the form says why not, beside the field that it is about."""
    try:
        act()
    except CountersignError as error:
        show_error(form, error)
    return not form.errors


def _usual(slug: str, number: int) -> int:
    line = agent_queries.line(slug)
    stable = line.deployment.stable.number if line and line.deployment else 0
    return stable if stable not in {0, number} else number - 1


def _line_or_404(slug: str) -> AgentLine:
    found = agent_queries.line(slug)
    if found is None:
        raise Http404
    return found


def _version_or_404(slug: str, number: int) -> AgentVersion:
    found = agent_queries.version(slug, number)
    if found is None:
        raise Http404
    return found
