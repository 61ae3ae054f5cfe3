"""What agents have cost so far, for whoever is about to ask them many times."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db.models import Avg, BigIntegerField, JSONField
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce

from orchestrator.core.codec import read
from orchestrator.core.cost_estimate import (
    Estimate,
    estimate,
    most_of_call,
    script_cost,
    workflows_of,
)
from orchestrator.core.definitions import DIRECT, agents_of
from orchestrator.models import AgentVersion, Deployment, Event, Run, WorkflowVersion

# The newest runs of the newest versions are enough for a mean.
RUNS_MAX = 50
VERSIONS_MAX = 10
# What events say of a call's cost; they leave out what is 0.
TOLD = ["tokens_in", "tokens_out", "money_micros"]


def estimates_of(slug: str, definition: Mapping[str, Any]) -> list[Estimate]:
    """What a run is going to cost that is a consensus, and each that it starts, as far down as runs go.

    Only a consensus has to say so beforehand.
    """
    found: list[Estimate] = []
    seen, level = {slug}, {"": definition}
    for _ in range(settings.RUN_DEPTH_MAX):
        for name, known in level.items():
            found += filter(None, [_estimate(slug, name, known)])
        below = {name for known in level.values() for name in workflows_of(known)} - seen
        seen |= below
        level = {name: known for name in sorted(below) if (known := _newest_plan(name))}
    return found


def _estimate(slug: str, inside: str, definition: Mapping[str, Any]) -> Estimate | None:
    if definition["pattern"] != "consensus":
        return None
    names = {name for _, name, _ in agents_of(dict(definition))}
    return estimate(definition, mean_costs(inside or slug), _most_by_agent(names), inside)


def _newest_plan(slug: str) -> Mapping[str, Any]:
    rows = WorkflowVersion.objects.filter(workflow__slug=slug).exclude(definition=DIRECT)
    text = rows.order_by("-number").values_list("definition", flat=True).first()
    found = read(text) if text else {}
    return found if isinstance(found, dict) else {}


def _most_by_agent(names: set[str]) -> dict[str, int | None]:
    """Of a call of the version that is deployed; its canary may cost something else."""
    rows = Deployment.in_force(names).prefetch_related("stable__endpoints__endpoint")
    return {row.agent.slug: _most(row.stable) for row in rows}


def _most(version: AgentVersion) -> int | None:
    if version.adapter == AgentVersion.Adapter.SCRIPTED:
        return script_cost(version.parameters)
    first = next(iter(version.endpoints.all()), None)
    if version.adapter != AgentVersion.Adapter.LLM or first is None:
        return None
    allowed = {
        "tokens_in": settings.MODEL_TOKENS_IN_MAX,
        "tokens_out": settings.MODEL_TOKENS_OUT_MAX,
        "requests": settings.MODEL_REQUESTS_MAX,
    }
    limits = {name: min(version.limits.get(name) or most, most) for name, most in allowed.items()}
    return most_of_call(first.endpoint.price, limits)


def mean_costs(slug: str) -> dict[str, int]:
    """By agent, in millionths, of one call whose price is known, in recent runs of the workflow.

    A call that told neither tokens nor money is not known to have cost nothing.
    """
    runs = _newest_completed(slug)
    micros = Coalesce(Cast(KT("body__money_micros"), BigIntegerField()), 0)
    calls = (
        Event.objects.filter(run__in=runs, kind="work_finished")
        .annotate(body=Cast("payload", JSONField()))
        .annotate(agent=KT("body__agent__name"), micros=micros, unpriced=KT("body__unpriced"))
        .filter(agent__isnull=False, unpriced__isnull=True, body__has_any_keys=TOLD)
    )
    means = calls.values("agent").annotate(mean=Avg("micros")).values_list("agent", "mean")
    return {str(agent): round(mean) for agent, mean in means}


def _newest_completed(slug: str) -> list[str]:
    """Of each version a few rows from the end of its index: runs of other workflows are not walked past."""
    versions = WorkflowVersion.objects.filter(workflow__slug=slug).order_by("-number")
    found: list[str] = []
    for version in versions.values_list("pk", flat=True)[:VERSIONS_MAX]:
        rows = Run.objects.filter(workflow_version=version, status=Run.Status.COMPLETED)
        found += rows.order_by("-pk").values_list("pk", flat=True)[: RUNS_MAX - len(found)]
        if len(found) >= RUNS_MAX:
            break
    return found
