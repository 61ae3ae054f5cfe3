"""Operations on agents and their versions. What is in use changes only when another admin approves it."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status

from orchestrator import agent_queries
from orchestrator.actions import agents, changes
from orchestrator.actions.agents import Wish
from orchestrator.actions.agents import save as save_agent
from orchestrator.agent_queries import AgentLine
from orchestrator.api.agent_schemas import (
    AgentIn,
    AgentOut,
    AgentPageOut,
    AgentVersionIn,
    AgentVersionOut,
    AgentVersionPageOut,
    DeployIn,
    DeploymentPageOut,
    InUseOut,
    NumberPageIn,
    SlugPageIn,
)
from orchestrator.api.auth import Bearer, actor_of
from orchestrator.api.idempotency import once
from orchestrator.api.parameters import refuse_unknown
from orchestrator.api.rule_schemas import ChangeIn, Number, ProposedOut
from orchestrator.api.schemas import ProblemOut
from orchestrator.core.errors import NotFound
from orchestrator.core.policy.agent_versions import Deployed
from orchestrator.models import AgentVersion, Deployment, Proposal

router = Router(tags=["agents"])
_READERS = Bearer("read", "admin")
_ADMINS = Bearer("admin")
_READ_PROBLEMS: dict[Any, Any] = {frozenset({401, 403, 404, 422}): ProblemOut}
_PROBLEMS: dict[Any, Any] = {frozenset({400, 401, 403, 404, 409, 413, 415, 422}): ProblemOut}


@router.get(
    "/agents",
    auth=_READERS,
    response={200: AgentPageOut, **_READ_PROBLEMS},
    summary="List agents",
)
def browse(request: HttpRequest, query: Query[SlugPageIn]) -> AgentPageOut:
    """By name, each with what is in use of it."""
    refuse_unknown(request, SlugPageIn)
    found = agent_queries.lines(after=query.after, at_most=query.limit + 1)
    shown = found[: query.limit]
    following = shown[-1].agent.slug if len(found) > query.limit else None
    return AgentPageOut(agents=[_render(line) for line in shown], next=following)


@router.get(
    "/agents/{slug}",
    auth=_READERS,
    response={200: AgentOut, **_READ_PROBLEMS},
    summary="Read one agent",
)
def read(request: HttpRequest, slug: str) -> AgentOut:
    return _render(_find(slug))


@router.put(
    "/agents/{slug}",
    auth=_ADMINS,
    response={frozenset({200, 201}): AgentOut, **_PROBLEMS},
    summary="Make an agent, or rename it",
)
def save(request: HttpRequest, slug: str, wish: AgentIn) -> Status[Any]:
    """201 for a new one. Lowering its tier counts at once; raising it gives nothing to versions it has."""
    is_new = agent_queries.line(slug) is None
    save_agent(actor_of(request), slug, title=wish.title, owner=wish.owner, tier=wish.tier)
    return Status(201 if is_new else 200, _render(_find(slug)))


@router.get(
    "/agents/{slug}/versions",
    auth=_READERS,
    response={200: AgentVersionPageOut, **_READ_PROBLEMS},
    summary="List versions of an agent",
)
def browse_versions(
    request: HttpRequest, slug: str, query: Query[NumberPageIn]
) -> AgentVersionPageOut:
    """The newest first."""
    refuse_unknown(request, NumberPageIn)
    agent = _find(slug).agent
    found = agent_queries.versions(agent, before=query.before, at_most=query.limit + 1)
    shown = found[: query.limit]
    following = shown[-1].number if len(found) > query.limit else None
    return AgentVersionPageOut(versions=[_version(one) for one in shown], next=following)


@router.get(
    "/agents/{slug}/versions/{number}",
    auth=_READERS,
    response={200: AgentVersionOut, **_READ_PROBLEMS},
    summary="Read one version of an agent",
)
def read_version(request: HttpRequest, slug: str, number: Number) -> AgentVersionOut:
    found = agent_queries.version(slug, number)
    if found is None:
        raise NotFound("version", f"{slug[:100]} v{number}")
    return _version(found)


@router.post(
    "/agents/{slug}/versions",
    auth=_ADMINS,
    response={frozenset({200, 201}): AgentVersionOut, **_PROBLEMS},
    summary="Write a version of an agent",
)
def write(request: HttpRequest, slug: str, wish: AgentVersionIn) -> Status[Any]:
    """201 for a new version; 200 with the newest one when that says the same. It is not in use yet."""
    said = wish.model_dump(exclude={"label", "note", "base", "settings"})
    written = agents.write(
        actor_of(request),
        slug,
        Wish(**said, parameters=wish.settings),
        label=wish.label,
        note=wish.note,
        base=wish.base,
    )
    found = agents.version_of(slug, written.version.number)
    return Status(201 if written.is_new else 200, _version(found))


@router.get(
    "/agents/{slug}/deployments",
    auth=_READERS,
    response={200: DeploymentPageOut, **_READ_PROBLEMS},
    summary="List what was in use of an agent",
)
def browse_deployments(
    request: HttpRequest, slug: str, query: Query[NumberPageIn]
) -> DeploymentPageOut:
    """The newest first. A run gets what was in use when it started, to its end."""
    refuse_unknown(request, NumberPageIn)
    agent = _find(slug).agent
    found = agent_queries.deployments(agent, before=query.before, at_most=query.limit + 1)
    shown = found[: query.limit]
    following = shown[-1].number if len(found) > query.limit else None
    return DeploymentPageOut(deployments=[_in_use(one) for one in shown], next=following)


@router.post(
    "/agents/{slug}/deploy",
    auth=_ADMINS,
    response={202: ProposedOut, **_PROBLEMS},
    summary="Propose which versions are in use",
)
def deploy(request: HttpRequest, slug: str, wish: DeployIn) -> HttpResponse:
    """202 with the proposal that another admin approves in the queue: to promote, to begin or change a canary, to add a shadow."""
    wanted = Deployed(wish.stable, wish.canary, wish.share, wish.shadow)
    return once(
        request,
        lambda: proposed(
            changes.propose_deployment(actor_of(request), slug, wanted, wish.note),
        ),
    )


@router.post(
    "/agents/{slug}/roll-back",
    auth=_ADMINS,
    response={202: ProposedOut, **_PROBLEMS},
    summary="Propose to go back",
)
def roll_back(request: HttpRequest, slug: str, wish: ChangeIn) -> HttpResponse:
    """202 with the proposal: without the canary, if there is one, else with the stable version before."""
    return once(
        request,
        lambda: proposed(changes.propose_way_back(actor_of(request), slug, wish.note)),
    )


def proposed(proposal: Proposal) -> HttpResponse:
    body = ProposedOut(proposal=proposal.pk, status=proposal.status).model_dump_json()
    return HttpResponse(body, status=202, content_type="application/json")


def _find(slug: str) -> AgentLine:
    found = agent_queries.line(slug)
    if found is None:
        raise NotFound("agent", slug[:100])
    return found


def _render(line: AgentLine) -> AgentOut:
    agent = line.agent
    return AgentOut(
        slug=agent.slug,
        title=agent.title,
        owner=agent.owner,
        tier=agent.tier,
        newest=line.newest,
        in_use=_in_use(line.deployment) if line.deployment else None,
        created_at=agent.created_at,
    )


def _in_use(deployment: Deployment) -> InUseOut:
    deployed = deployment.deployed
    return InUseOut(
        number=deployment.number,
        stable=deployed.stable,
        canary=deployed.canary,
        share=deployed.share,
        shadow=deployed.shadow,
        at=deployment.at,
        by=deployment.by.get_username() if deployment.by else None,
        proposal=deployment.proposal_id,
        note=deployment.note,
    )


def _version(version: AgentVersion) -> AgentVersionOut:
    contract = version.contract
    return AgentVersionOut(
        agent=version.agent.slug,
        number=version.number,
        label=version.label,
        tier=version.tier,
        adapter=version.adapter,
        model=version.model,
        endpoints=version.endpoint_slugs,
        prompt=version.prompt,
        tools=version.tools,
        data_classes=version.data_classes,
        limits=version.limits,
        settings=version.parameters,
        contract=f"{contract.contract.name} v{contract.number}" if contract else None,
        content_hash=version.content_hash,
        note=version.note,
        created_at=version.created_at,
        created_by=version.created_by.get_username() if version.created_by else None,
    )
