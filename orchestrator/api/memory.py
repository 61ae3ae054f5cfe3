"""Shared memory over the API: what agents remember, what followed from it, and revoking it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from orchestrator import memory_queries
from orchestrator.actions import memory
from orchestrator.api.auth import Bearer, actor_of
from orchestrator.api.blind import refuse_blind, shut_runs
from orchestrator.api.parameters import refuse_unknown
from orchestrator.api.schemas import ProblemOut, Strict, Word
from orchestrator.core.errors import BadInput, NotFound
from orchestrator.core.typeid import is_id
from orchestrator.memory_queries import Aftermath, MemoryFilter
from orchestrator.models import Observation

router = Router(tags=["memory"])
_READERS = Bearer("read", "admin")
_READ_PROBLEMS: dict[Any, Any] = {frozenset({401, 403, 404, 422}): ProblemOut}
_PROBLEMS: dict[Any, Any] = {frozenset({400, 401, 403, 404, 409, 413, 415, 422}): ProblemOut}


class MemoryIn(Schema):
    space: Word = Field(
        "", max_length=60, description="a shared memory by name, or the id of a run"
    )
    key: Word = ""
    tag: Word = ""
    status: Literal["", "live", "expired", "revoked"] = ""
    before: str = Field("", max_length=30, description="the `next` of the page before")
    limit: int = Field(50, ge=1, le=200)


class ObservationOut(Schema):
    id: str
    space: str
    key: str
    value: Any
    digest: str
    tags: list[str]
    status: str
    tainted: bool
    classes: list[str] = Field(description="of data, of whoever wrote it")
    at: datetime
    expires_at: datetime
    run: str
    event: int = Field(description="the number of the event of this run that carries it")
    work: str
    agent: str
    agent_version: str
    revoked_at: datetime | None
    revoked_by: str | None
    revoked_why: str


class PageOut(Schema):
    observations: list[ObservationOut]
    next: str | None


class ReadOut(Schema):
    """A call that was handed it, or what followed from it; its answer is the event of that number."""

    observation: str
    run: str
    event: int
    work: str
    index: int
    attempt: int
    at: datetime


class FollowedOut(Schema):
    id: str
    key: str
    space: str
    run: str
    event: int
    after: str = Field(description="the observation that whoever wrote it had read")
    level: int
    sure: bool = Field(description="by the very call that had read it; else by its run later")
    revoked: bool


class MadeOut(Schema):
    id: str
    action: str
    target: str
    status: str
    run: str
    sure: bool


class AftermathOut(Schema):
    reads: list[ReadOut]
    followed: list[FollowedOut]
    proposals: list[MadeOut]
    is_cut: bool = Field(description="there is more than MEMORY_DERIVED_MAX of something")


class ObservationWithAftermathOut(ObservationOut):
    aftermath: AftermathOut


class RevokeIn(Strict):
    reason: str = Field(min_length=1, max_length=memory.REASON_LENGTH_MAX)
    also: Literal["nothing", "sure", "all"] = Field(
        "nothing",
        description="what is revoked with it: what calls wrote that had read it (`sure`), or also what "
        "their runs wrote later (`all`)",
    )
    dry_run: bool = Field(True, description="only told, until this is false")


class RevokedOut(Schema):
    dry_run: bool
    revoked: list[str]
    aftermath: AftermathOut


@router.get(
    "/memory", auth=_READERS, response={200: PageOut, **_READ_PROBLEMS}, summary="List observations"
)
def browse(request: HttpRequest, query: Query[MemoryIn]) -> PageOut:
    """Newest first. Without those of runs that the owner judges blind."""
    refuse_unknown(request, MemoryIn)
    if query.before and not is_id(query.before, "obs"):
        raise BadInput("before", "send the `next` of the page before.")
    wanted = MemoryFilter(space=query.space, key=query.key, tag=query.tag, status=query.status)
    rows = memory_queries.browse(wanted, hidden=shut_runs(request))
    rows = rows.filter(pk__lt=query.before) if query.before else rows
    found = list(rows.order_by("-pk")[: query.limit + 1])
    shown = found[: query.limit]
    following = shown[-1].pk if len(found) > query.limit else None
    return PageOut(observations=[ObservationOut(**_facts(one)) for one in shown], next=following)


@router.get(
    "/memory/{observation_id}",
    auth=_READERS,
    response={200: ObservationWithAftermathOut, **_READ_PROBLEMS},
    summary="Read an observation",
)
def read(request: HttpRequest, observation_id: str) -> ObservationWithAftermathOut:
    """With everybody who read it and all that followed."""
    found = _find(request, observation_id)
    aftermath = memory_queries.aftermath(found).without(shut_runs(request))
    return ObservationWithAftermathOut(**_facts(found), aftermath=_aftermath(aftermath))


@router.post(
    "/memory/{observation_id}/revoke",
    auth=Bearer("admin"),
    response={200: RevokedOut, **_PROBLEMS},
    summary="Revoke an observation",
)
def revoke(request: HttpRequest, observation_id: str, wish: RevokeIn) -> RevokedOut:
    """It is handed to nobody any more. Only told, until `dry_run` is false."""
    _find(request, observation_id)
    done = memory.revoke(
        actor_of(request),
        observation_id,
        reason=wish.reason,
        also=wish.also,
        dry_run=wish.dry_run,
    )
    return RevokedOut(
        dry_run=done.is_dry_run,
        revoked=list(done.observations),
        aftermath=_aftermath(done.aftermath.without(shut_runs(request))),
    )


def _find(request: HttpRequest, key: str) -> Observation:
    found = memory_queries.observation(key) if is_id(key, "obs") else None
    if found is None:
        raise NotFound("observation", key[:60])
    refuse_blind(request, found.run_id, "this observation")
    return found


def _facts(one: Observation) -> Mapping[str, Any]:
    names = (
        "id",
        "space",
        "key",
        "digest",
        "tags",
        "tainted",
        "classes",
        "at",
        "expires_at",
        "work",
    )
    more = ("agent", "agent_version", "revoked_at", "revoked_why", "status")
    return {name: getattr(one, name) for name in (*names, *more)} | {
        "value": one.parsed,
        "run": one.run_id,
        "event": one.seq,
        "revoked_by": one.revoked_by.get_username() if one.revoked_by else None,
    }


def _aftermath(found: Aftermath) -> AftermathOut:
    return AftermathOut(
        reads=[
            ReadOut(
                observation=one.observation_id,
                run=one.run_id,
                event=one.seq,
                work=one.work,
                index=one.index,
                attempt=one.attempt,
                at=one.at,
            )
            for one in found.reads
        ],
        followed=[
            FollowedOut(
                id=one.observation.pk,
                key=one.observation.key,
                space=one.observation.space,
                run=one.observation.run_id,
                event=one.observation.seq,
                after=one.after,
                level=one.level,
                sure=one.is_sure,
                revoked=one.observation.revoked_at is not None,
            )
            for one in found.followed
        ],
        proposals=[
            MadeOut(
                id=one.proposal.pk,
                action=one.proposal.action,
                target=one.proposal.target,
                status=one.proposal.status,
                run=one.proposal.run_id,
                sure=one.is_sure,
            )
            for one in found.proposals
        ],
        is_cut=found.is_cut,
    )
