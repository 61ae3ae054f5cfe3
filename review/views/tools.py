from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from orchestrator import tool_queries
from orchestrator.actions import tool_retirements as retirements
from orchestrator.actions import tools as actions
from orchestrator.actions.tools import approve, save_server
from orchestrator.core.errors import BadInput, CountersignError
from orchestrator.models import Tool, ToolServer
from review import step_up
from review.access import actor_of, person_of, requires
from review.forms import show_error
from review.tool_forms import ApproveForm, KindForm, RetireForm, ServerForm
from review.tool_page import server_page, tool_page, tools_page


@require_safe
@requires("tools.view")
def tools(request: HttpRequest) -> HttpResponse:
    after = request.GET.get("after", "").replace("\x00", "")
    return render(request, "review/tools.html", tools_page(request.user, after))


@require_safe
@requires("tools.view")
def tool(request: HttpRequest, name: str) -> HttpResponse:
    return render(request, "review/tool.html", tool_page(person_of(request), _tool_or_404(name)))


@require_POST
@requires("tools.edit")
def approve_tool(request: HttpRequest, name: str) -> HttpResponse:
    found, form = _tool_or_404(name), ApproveForm(request.POST)
    if not form.is_valid():
        raise Http404
    if not step_up.is_fresh(request):
        return step_up.ask(request, reverse("tool", args=[name]))
    try:
        version = approve(
            actor_of(request), name, form.cleaned_data["number"], form.cleaned_data["digest"]
        )
    except CountersignError as error:
        return _refused(request, found, error)
    messages.success(request, f"{version} is approved. Agents that name it are offered it now.")
    return redirect("tool", name)


@require_POST
@requires("tools.edit")
def change_tool(request: HttpRequest, name: str) -> HttpResponse:
    """What people say of it; what it says of itself stays."""
    found, form = _tool_or_404(name), KindForm(request.POST)
    if found.current is None or not form.is_valid():
        raise Http404
    try:
        saved = actions.say_kind(actor_of(request), name, **form.cleaned_data)
    except CountersignError as error:
        return _refused(request, found, error)
    waits = "" if saved.version.is_approved else " Another admin has to approve it."
    messages.success(request, f"{saved.version} is saved.{waits}")
    return redirect("tool", name)


@require_POST
@requires("tools.edit")
def retire_tool(request: HttpRequest, name: str) -> HttpResponse:
    found, form = _tool_or_404(name), RetireForm(request.POST)
    if not form.is_valid():
        facts = tool_page(person_of(request), found) | {"retire": form}
        return render(request, "review/tool.html", facts, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    retirements.retire(actor_of(request), name, form.cleaned_data["why"])
    messages.success(request, f"{name} is retired. Agents are not offered it any more.")
    return redirect("tool", name)


@require_POST
@requires("tools.edit")
def bring_back_tool(request: HttpRequest, name: str) -> HttpResponse:
    found = _tool_or_404(name)
    if not step_up.is_fresh(request):
        return step_up.ask(request, reverse("tool", args=[name]))
    try:
        retirements.bring_back(actor_of(request), name)
    except CountersignError as error:
        return _refused(request, found, error)
    messages.success(request, f"{name} is back, as it was.")
    return redirect("tool", name)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("tools.edit")
def new_tool_server(request: HttpRequest) -> HttpResponse:
    return _server_page(request, None)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("tools.edit")
def tool_server(request: HttpRequest, slug: str) -> HttpResponse:
    return _server_page(request, _server_or_404(slug))


def _server_page(request: HttpRequest, server: ToolServer | None) -> HttpResponse:
    form = ServerForm(request.POST if request.method == "POST" else None, server=server)
    if form.is_valid():
        try:
            saved = save_server(actor_of(request), **form.cleaned_data)
        except BadInput as error:
            show_error(form, error)
        else:
            messages.success(request, f"{saved} is saved. Next, read its tools.")
            return redirect("tools")
    return _show_server(request, server, form)


def _show_server(
    request: HttpRequest, server: ToolServer | None, form: ServerForm, **more: Any
) -> HttpResponse:
    facts = {"form": form} | (server_page(person_of(request), server) if server else {}) | more
    is_wrong = any(one.errors for one in (form, facts.get("retire")) if one)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if is_wrong else HTTPStatus.OK
    return render(request, "review/tool_server.html", facts, status=status)


@require_POST
@requires("tools.edit")
def retire_server(request: HttpRequest, slug: str) -> HttpResponse:
    server, form = _server_or_404(slug), RetireForm(request.POST)
    if not form.is_valid():
        return _show_server(request, server, ServerForm(server=server), retire=form)
    retirements.retire_server(actor_of(request), slug, form.cleaned_data["why"])
    messages.success(request, f"{slug} is retired, with all of its tools.")
    return redirect("tool_server", slug)


@require_POST
@requires("tools.edit")
def bring_back_server(request: HttpRequest, slug: str) -> HttpResponse:
    _server_or_404(slug)
    if not step_up.is_fresh(request):
        return step_up.ask(request, reverse("tool_server", args=[slug]))
    try:
        retirements.bring_back_server(actor_of(request), slug)
    except CountersignError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{slug} is back. Read its tools, to see what changed meanwhile.")
    return redirect("tool_server", slug)


@require_POST
@requires("tools.edit")
def sync_tools(request: HttpRequest, slug: str) -> HttpResponse:
    _server_or_404(slug)
    try:
        synced = actions.sync(actor_of(request), slug)
    except CountersignError as error:
        messages.error(request, str(error))
        return redirect("tools")
    staged = len(synced.new) + len(synced.changed)
    told = f"{staged} new or changed, {len(synced.gone)} gone, {len(synced.left_out)} left out."
    messages.success(request, f"{slug} was read: {told}")
    return redirect("tools")


def _refused(request: HttpRequest, found: Tool, error: CountersignError) -> HttpResponse:
    facts = tool_page(person_of(request), found) | {"refusal": str(error)}
    return render(request, "review/tool.html", facts, status=HTTPStatus.CONFLICT)


def _tool_or_404(name: str) -> Tool:
    found = tool_queries.tool(name)
    if found is None:
        raise Http404
    return found


def _server_or_404(slug: str) -> ToolServer:
    found = tool_queries.server(slug)
    if found is None:
        raise Http404
    return found
