"""Workflows: immutable versions of a definition. One that an outside agent names is registered by itself.

A version is either a plan, which people save and runs are started of, or `direct`, which only carries
proposals from outside. A workflow may have both; whoever asks for one never gets the other.
"""

from typing import NamedTuple

from django.conf import settings
from django.core.validators import slug_re
from django.db import transaction
from django.db.models import Max, QuerySet

from orchestrator.actions import agents, contracts
from orchestrator.actions.actor import Actor, audit, require
from orchestrator.agents.registry import SCHEMAS
from orchestrator.core import definitions
from orchestrator.core.codec import Json, canonical, digest
from orchestrator.core.definition_schema import DEFAULTS, definition_schema
from orchestrator.core.definitions import DIRECT
from orchestrator.core.errors import BadInput, BadJson, DefinitionInvalid, NotFound, Problem
from orchestrator.models import Contract, Workflow, WorkflowVersion

# /api/v1/workflows/schema is the format of definitions.
TAKEN = frozenset({"schema"})


class Saved(NamedTuple):
    version: WorkflowVersion
    is_new: bool


def save(actor: Actor, slug: str, raw: Json) -> Saved:
    """The version that says this; what the newest one says already makes no other."""
    definition = to_save(actor, slug, raw)
    with transaction.atomic():
        workflow = _lock(slug)
        newest = _plans(slug).order_by("-number").first()
        if newest is not None and newest.definition == definition:
            return Saved(newest, is_new=False)
        version = _add(actor, workflow, definition)
        audit(actor, "workflow.saved", f"workflow/{slug}", version=version.number)
        return Saved(version, is_new=True)


def to_save(actor: Actor, slug: str, raw: Json) -> str:
    """What would be stored. Changes nothing."""
    _require_editor(actor)
    if slug in TAKEN:
        raise BadInput("workflow", f"{slug} is an address of the API; choose another name.")
    return complete(slug, raw)


def complete(slug: str, raw: Json) -> str:
    """The definition as it is stored, or everything that is wrong with it. Changes nothing."""
    found = check(raw, slug=slug)
    whole, _ = _with_contracts(raw)
    if found or not isinstance(whole, dict):
        raise DefinitionInvalid(found)
    return canonical(definitions.complete(whole, limits(), defaults()))


def check(raw: Json, *, slug: str = "") -> list[Problem]:
    size = len(canonical(raw).encode())
    if size > settings.WORKFLOW_BYTES_MAX:
        most = f"at most {settings.WORKFLOW_BYTES_MAX:,} are taken (WORKFLOW_BYTES_MAX)."
        raise BadJson(f"the definition has {size:,} bytes, {most}", too_large=True)
    whole, unknown = _with_contracts(raw)
    found = definitions.problems(whole, agents=SCHEMAS, limits=limits(), slug=slug)
    return [*unknown, *found, *agents.problems(raw)]


def _with_contracts(raw: Json) -> tuple[Json, list[Problem]]:
    newest = {
        name: definitions.Contracted(version.number, version.parsed)
        for name in sorted(definitions.contracts_of(raw))
        if (version := contracts.newest(Contract.Kind.OUTPUT, name))
    }
    return definitions.with_contracts(raw, newest)


def schema() -> dict[str, Json]:
    """The format of definitions, with the agents and the limits of this instance."""
    return definition_schema(SCHEMAS, limits())


def limits() -> dict[str, int]:
    """The most that a run may use up, which is also what a definition gets that does not say."""
    return {
        "steps": settings.RUN_STEPS_MAX,
        "depth": settings.RUN_DEPTH_MAX,
        "agent_calls": settings.RUN_AGENT_CALLS_MAX,
        "tokens": settings.RUN_TOKENS_MAX,
        "money_micros": settings.RUN_MONEY_MICROS_MAX,
        "wall_s": settings.RUN_WALL_S_MAX,
        "repeats": settings.RUN_REPEATS_MAX,
        "turns": settings.CALL_TURNS_MAX,
    }


def defaults() -> dict[str, int]:
    """What a definition gets that does not say."""
    return {
        **DEFAULTS,
        "at_once": settings.SUPERVISOR_AT_ONCE,
        "rounds": settings.SUPERVISOR_ROUNDS,
        "delegations": settings.SUPERVISOR_DELEGATIONS,
    }


def newest_plan(slug: str) -> WorkflowVersion:
    """What a run that is started now follows to its end."""
    newest = _plans(slug).order_by("-number").first()
    if newest is not None:
        return newest
    if not Workflow.objects.filter(slug=slug).exists():
        raise NotFound("workflow", slug[:100])
    raise BadInput("workflow", f"{slug} only carries proposals from outside; save a plan for it.")


def version_for(actor: Actor, slug: str) -> WorkflowVersion:
    """The version that carries proposals from outside, whatever plans the workflow has besides."""
    return _newest_direct(slug) or _register(actor, slug)


@transaction.atomic
def _register(actor: Actor, slug: str) -> WorkflowVersion:
    workflow = _lock(slug)
    found = _newest_direct(slug)
    if found is not None:
        return found
    version = _add(actor, workflow, DIRECT)
    audit(actor, "workflow.registered", f"workflow/{slug}", version=version.number)
    return version


def _require_editor(actor: Actor) -> None:
    """Nobody in particular is whoever may run commands on this machine."""
    if actor.user is not None or actor.token is not None:
        require(actor, "workflows.edit", "save workflows")


def _lock(slug: str) -> Workflow:
    """Of two that save at once, the second waits and then takes the next number."""
    if not slug_re.fullmatch(slug) or len(slug) > 100:
        raise BadInput("workflow", "use 1 to 100 letters, digits, hyphens and underscores only.")
    if not Workflow.objects.filter(slug=slug).exists():
        if Workflow.objects.count() >= settings.WORKFLOWS_MAX:
            raise BadInput("workflow", f"{slug} is new, and WORKFLOWS_MAX workflows exist already.")
        Workflow.objects.get_or_create(slug=slug)
    return Workflow.objects.select_for_update().get(slug=slug)


def _add(actor: Actor, workflow: Workflow, definition: str) -> WorkflowVersion:
    newest = workflow.versions.aggregate(number=Max("number"))["number"] or 0
    return WorkflowVersion.objects.create(
        workflow=workflow,
        number=newest + 1,
        definition=definition,
        content_hash=digest(definition),
        created_by=actor.user,
    )


def _newest_direct(slug: str) -> WorkflowVersion | None:
    return _versions(slug).filter(definition=DIRECT).order_by("-number").first()


def _plans(slug: str) -> QuerySet[WorkflowVersion]:
    return _versions(slug).exclude(definition=DIRECT)


def _versions(slug: str) -> QuerySet[WorkflowVersion]:
    return WorkflowVersion.objects.select_related("workflow").filter(workflow__slug=slug)
