"""Operations on contracts."""

from typing import Any

from django.http import HttpRequest
from ninja import Query, Router, Status

from orchestrator import contract_queries as queries
from orchestrator.actions.contracts import record
from orchestrator.api.auth import Bearer, actor_of
from orchestrator.api.contract_schemas import (
    ContractIn,
    ContractLineOut,
    ContractName,
    ContractPageOut,
    ContractsIn,
    ContractVersionOut,
    IncompatibleOut,
    Kind,
    Number,
)
from orchestrator.api.parameters import refuse_unknown
from orchestrator.api.schemas import DefinitionProblemOut, ProblemOut
from orchestrator.core.errors import NotFound
from orchestrator.models import ContractVersion

router = Router(tags=["contracts"])
# Whoever sends something has to be able to read what it should look like.
_READERS = Bearer("read", "propose", "events", "runs", "admin")
_READ_PROBLEMS: dict[Any, Any] = {frozenset({401, 403, 404, 422}): ProblemOut}


@router.put(
    "/contracts/{kind}/{name}",
    auth=Bearer("admin"),
    response={
        frozenset({200, 201}): ContractVersionOut,
        409: IncompatibleOut,
        422: DefinitionProblemOut,
        frozenset({400, 401, 403, 413, 415}): ProblemOut,
    },
    by_alias=True,
    summary="Save a contract",
)
def put(request: HttpRequest, kind: Kind, name: ContractName, wording: ContractIn) -> Status[Any]:
    """201 for a new version; 200 with the newest one when that says the same already."""
    given = wording.model_dump(exclude={"schema_"})
    saved = record(actor_of(request), kind=kind, name=name, schema=wording.schema_, **given)
    return Status(201 if saved.is_new else 200, _render(saved.version))


@router.get(
    "/contracts",
    auth=_READERS,
    response={200: ContractPageOut, **_READ_PROBLEMS},
    summary="List contracts",
)
def browse(request: HttpRequest, query: Query[ContractsIn]) -> ContractPageOut:
    """By kind and name, each with the version in force."""
    refuse_unknown(request, ContractsIn)
    found = queries.contract_lines(
        kind=query.kind or "", after=query.after, at_most=query.limit + 1
    )
    shown = found[: query.limit]
    following = queries.key_of(shown[-1].contract) if len(found) > query.limit else None
    return ContractPageOut(contracts=[_line(version) for version in shown], next=following)


@router.get(
    "/contracts/{kind}/{name}",
    auth=_READERS,
    response={200: ContractVersionOut, **_READ_PROBLEMS},
    by_alias=True,
    summary="Read the version in force",
)
def read(request: HttpRequest, kind: Kind, name: ContractName) -> ContractVersionOut:
    return _render(_known(queries.contract_version(kind, name), f"{kind} {name}"))


@router.get(
    "/contracts/{kind}/{name}/versions/{number}",
    auth=_READERS,
    response={200: ContractVersionOut, **_READ_PROBLEMS},
    by_alias=True,
    summary="Read one version of a contract",
)
def read_version(
    request: HttpRequest, kind: Kind, name: ContractName, number: Number
) -> ContractVersionOut:
    found = queries.contract_version(kind, name, number)
    return _render(_known(found, f"{kind} {name} v{number}"))


def _known(version: ContractVersion | None, key: str) -> ContractVersion:
    if version is None:
        raise NotFound("contract", key[:100])
    return version


def _line(version: ContractVersion) -> ContractLineOut:
    return ContractLineOut(
        kind=version.contract.kind,
        name=version.contract.name,
        version=version.number,
        description=version.description,
        owner=version.owner,
        tier=version.tier,
        timeout_s=version.timeout_s,
        idempotency=version.idempotency,
        masked=version.masked,
        error_budget_bp=version.error_budget_bp,
        review=version.review,
        content_hash=version.content_hash,
        note=version.note,
        created_at=version.created_at,
        created_by=version.created_by.get_username() if version.created_by else None,
    )


def _render(version: ContractVersion) -> ContractVersionOut:
    return ContractVersionOut(**_line(version).model_dump(), schema_=version.parsed)
