from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from orchestrator import contract_queries as queries
from orchestrator.actions import contracts as actions
from orchestrator.core.errors import (
    BadInput,
    BadJson,
    ContractChanged,
    ContractIncompatible,
    ContractInvalid,
    CountersignError,
)
from orchestrator.models import ContractVersion
from review.access import actor_of, may, requires
from review.contract_forms import (
    BEGINNING,
    ContractFilter,
    ContractForm,
    NewContractForm,
    initial_of,
    schema_text,
)
from review.contract_page import contract_page
from review.forms import show_error
from review.presentation.contract_changes import pretty
from review.reads import number_or_none


@require_safe
@requires("contracts.view")
def contracts(request: HttpRequest) -> HttpResponse:
    form = ContractFilter(request.GET)
    kind = form.cleaned_data["kind"] if form.is_valid() else ""
    size = settings.PAGE_SIZE
    after = request.GET.get("after", "").replace("\x00", "")
    found = queries.contract_lines(kind=kind, after=after, at_most=size + 1)
    facts = {
        "form": form,
        "is_filtered": bool(kind),
        "versions": found[:size],
        "following": queries.key_of(found[size - 1].contract) if found[size:] else "",
        "may_edit": may(request.user, "contracts.edit"),
    }
    return render(request, "review/contracts.html", facts)


@require_safe
@requires("contracts.view")
def contract(request: HttpRequest, kind: str, name: str, number: int | None = None) -> HttpResponse:
    version = _version_or_404(kind, name, number)
    facts = contract_page(version, request.GET.dict())
    facts["may_edit"] = may(request.user, "contracts.edit")
    return render(request, "review/contract.html", facts)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("contracts.edit")
def new_contract(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        initial = {"schema": schema_text(BEGINNING), "based_on": 0, **request.GET.dict()}
        return _show(request, NewContractForm(initial=initial))
    form = NewContractForm(request.POST)
    return _save(request, form) if form.is_valid() else _show(request, form)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("contracts.edit")
def edit_contract(request: HttpRequest, kind: str, name: str) -> HttpResponse:
    """A new version, beginning with what some version says."""
    chosen = request.GET.get("from", "")
    version = _version_or_404(kind, name, number_or_none(chosen) if chosen else None)
    if request.method != "POST":
        newest = _version_or_404(kind, name, None)
        form = ContractForm(initial=initial_of(version, newest.number))
        return _show(request, form, version=version)
    form = ContractForm(request.POST)
    if not form.is_valid():
        return _show(request, form, version=version)
    return _save(request, form, version=version)


def _save(
    request: HttpRequest, form: ContractForm, version: ContractVersion | None = None
) -> HttpResponse:
    wording = form.wording() | _names_of(version)
    try:
        saved = actions.record(actor_of(request), **wording)
    except CountersignError as error:
        return _refuse(request, form, version, error)
    number = saved.version.number
    said = f"Version {number} is saved and in force."
    messages.success(request, said if saved.is_new else f"Version {number} says the same already.")
    return redirect("contract", saved.version.contract.kind, saved.version.contract.name)


def _refuse(
    request: HttpRequest,
    form: ContractForm,
    version: ContractVersion | None,
    error: CountersignError,
) -> HttpResponse:
    """Everything that was typed stays, with what is wrong beside it."""
    if isinstance(error, ContractInvalid):
        form.add_problems(error.problems)
        return _show(request, form, version=version)
    if isinstance(error, BadInput):
        show_error(form, error)
        return _show(request, form, version=version)
    if isinstance(error, BadJson):
        form.add_error("schema", error.reason)
        return _show(request, form, version=version)
    facts: dict[str, Any] = {"status": HTTPStatus.CONFLICT}
    if isinstance(error, ContractIncompatible):
        facts |= {"broken": error, "example": pretty(error.counterexample)}  # type: ignore[arg-type]
        return _show(request, form, version=version, **facts)
    if isinstance(error, ContractChanged):
        # Whoever has looked at the other version may then save over it.
        form.data = form.data.copy()  # type: ignore[attr-defined]
        form.data["based_on"] = str(error.current)  # type: ignore[index]
        wording = _names_of(version) or form.cleaned_data
        theirs = reverse("contract_version", args=[wording["kind"], wording["name"], error.current])
        return _show(request, form, version=version, changed=error, theirs=theirs, **facts)
    raise error


def _show(
    request: HttpRequest,
    form: ContractForm,
    *,
    version: ContractVersion | None = None,
    status: int = 0,
    **facts: Any,
) -> HttpResponse:
    found = {"form": form, "version": version, "marked": form.marked_lines(), **facts}
    refused = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render(request, "review/contract_edit.html", found, status=status or refused)


def _names_of(version: ContractVersion | None) -> dict[str, str]:
    """A new contract is named by its form, a new version by its address."""
    contract = version.contract if version else None
    return {"kind": contract.kind, "name": contract.name} if contract else {}


def _version_or_404(kind: str, name: str, number: int | None) -> ContractVersion:
    version = queries.contract_version(kind, name, number)
    if version is None:
        raise Http404
    return version
