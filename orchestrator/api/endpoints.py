"""Operations on endpoints: where agents send what they are handed, and what may be sent there."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from orchestrator import agent_queries
from orchestrator.actions import changes, endpoints
from orchestrator.actions.actor import Actor
from orchestrator.actions.endpoints import Terms, Whereabouts
from orchestrator.api.agent_schemas import EndpointIn, EndpointOut, EndpointPageOut, SlugPageIn
from orchestrator.api.agents import proposed
from orchestrator.api.auth import Bearer, actor_of
from orchestrator.api.idempotency import once
from orchestrator.api.parameters import refuse_unknown
from orchestrator.api.rule_schemas import ProposedOut
from orchestrator.api.schemas import ProblemOut
from orchestrator.core.errors import NotFound
from orchestrator.models import Endpoint

router = Router(tags=["agents"])
_READERS = Bearer("read", "admin")
_ADMINS = Bearer("admin")
_READ_PROBLEMS: dict[Any, Any] = {frozenset({401, 403, 404, 422}): ProblemOut}
_PROBLEMS: dict[Any, Any] = {frozenset({400, 401, 403, 404, 409, 413, 415, 422}): ProblemOut}


@router.get(
    "/endpoints",
    auth=_READERS,
    response={200: EndpointPageOut, **_READ_PROBLEMS},
    summary="List endpoints",
)
def browse(request: HttpRequest, query: Query[SlugPageIn]) -> EndpointPageOut:
    """By name. Keys are never given out."""
    refuse_unknown(request, SlugPageIn)
    found = agent_queries.endpoints(after=query.after, at_most=query.limit + 1)
    shown = found[: query.limit]
    following = shown[-1].slug if len(found) > query.limit else None
    return EndpointPageOut(endpoints=[_render(one) for one in shown], next=following)


@router.get(
    "/endpoints/{slug}",
    auth=_READERS,
    response={200: EndpointOut, **_READ_PROBLEMS},
    summary="Read one endpoint",
)
def read(request: HttpRequest, slug: str) -> EndpointOut:
    found = agent_queries.endpoint(slug)
    if found is None:
        raise NotFound("endpoint", slug[:100])
    return _render(found)


@router.put(
    "/endpoints/{slug}",
    auth=_ADMINS,
    response={frozenset({200, 201}): EndpointOut, 202: ProposedOut, **_PROBLEMS},
    summary="Make or change an endpoint",
)
def save(request: HttpRequest, slug: str, wish: EndpointIn) -> HttpResponse:
    """201 for a new one, 200 when it was changed; 202 with a proposal when it would see more or be elsewhere, which another admin approves."""
    return once(request, lambda: _save(actor_of(request), slug, wish))


@router.post(
    "/endpoints/{slug}/retire",
    auth=_ADMINS,
    response={200: EndpointOut, **_PROBLEMS},
    summary="Retire an endpoint",
)
def retire(request: HttpRequest, slug: str) -> EndpointOut:
    """Nothing is sent to it from now on, and its key is forgotten. There is no way back."""
    return _render(endpoints.retire(actor_of(request), slug))


def _save(actor: Actor, slug: str, wish: EndpointIn) -> HttpResponse:
    where, terms = _where(wish), _terms(wish)
    if agent_queries.endpoint(slug) is None:
        return _said(endpoints.make(actor, slug, where, terms), 201)
    saved = endpoints.change(actor, slug, where, terms, base=wish.base)
    if saved.needs_agreement:
        return proposed(changes.propose_move(actor, slug, where, wish.note))
    return _said(saved.endpoint, 200)


def _where(wish: EndpointIn) -> Whereabouts:
    return Whereabouts(
        provider=wish.provider,
        base_url=wish.base_url,
        region=wish.region,
        is_local=wish.is_local,
        data_classes=wish.data_classes,
    )


def _terms(wish: EndpointIn) -> Terms:
    price = wish.price
    return Terms(
        auth=wish.auth or "",
        api_key_env=wish.api_key_env,
        api_key=wish.api_key,
        price_input=price.input_micros_per_mtok if price else None,
        price_output=price.output_micros_per_mtok if price else None,
    )


def _said(endpoint: Endpoint, status: int) -> HttpResponse:
    body = _render(endpoint).model_dump_json()
    return HttpResponse(body, status=status, content_type="application/json")


def _render(endpoint: Endpoint) -> EndpointOut:
    return EndpointOut(
        slug=endpoint.slug,
        revision=endpoint.revision,
        provider=endpoint.provider,
        base_url=endpoint.base_url,
        region=endpoint.region,
        is_local=endpoint.is_local,
        data_classes=endpoint.data_classes,
        price=endpoint.price,
        auth=endpoint.auth,
        api_key_env=endpoint.api_key_env,
        has_key=bool(endpoint.api_key_sealed),
        created_at=endpoint.created_at,
        retired_at=endpoint.retired_at,
    )
