"""Reads about agents, their versions, what is in use of them, and endpoints; for pages and API alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from django.conf import settings
from django.db.models import Avg, Count, Max, Q, QuerySet
from django.utils import timezone

from orchestrator.models import (
    Agent,
    AgentTrial,
    AgentVersion,
    Contract,
    Deployment,
    Endpoint,
    Proposal,
    ReviewItem,
)

TRIAL_DAYS = 30
_IN_USE = ("stable", "canary", "shadow", "by", "proposal")


@dataclass(frozen=True, slots=True)
class AgentLine:
    agent: Agent
    # The number of its newest version, 0 before the first.
    newest: int
    deployment: Deployment | None


class Trials(NamedTuple):
    """How a shadow did beside the versions that counted."""

    asked: int
    failed: int
    compared: int
    # Of those that can be compared; None without any.
    mean: float | None
    # There were more, which are not counted.
    is_least: bool = False


def lines(*, after: str = "", at_most: int) -> list[AgentLine]:
    """By name."""
    found = Agent.objects.filter(slug__gt=after) if after else Agent.objects.all()
    return _with_deployments(list(found.order_by("slug")[:at_most]))


def line(slug: str) -> AgentLine | None:
    found = Agent.objects.select_related("created_by").filter(slug=slug)
    return next(iter(_with_deployments(list(found))), None)


def versions(agent: Agent, *, before: int | None = None, at_most: int) -> list[AgentVersion]:
    """The newest first."""
    found = _versions().filter(agent=agent)
    if before is not None:
        found = found.filter(number__lt=before)
    return list(found.order_by("-number")[:at_most])


def version(slug: str, number: int) -> AgentVersion | None:
    return _versions().filter(agent__slug=slug, number=number).first()


def deployments(agent: Agent, *, before: int | None = None, at_most: int) -> list[Deployment]:
    """The newest first."""
    found = Deployment.objects.select_related(*_IN_USE).filter(agent=agent)
    if before is not None:
        found = found.filter(number__lt=before)
    return list(found.order_by("-number")[:at_most])


def endpoints(*, after: str = "", at_most: int) -> list[Endpoint]:
    found = Endpoint.objects.select_related("created_by").order_by("slug")
    return list((found.filter(slug__gt=after) if after else found)[:at_most])


def endpoint(slug: str) -> Endpoint | None:
    return Endpoint.objects.select_related("created_by").filter(slug=slug).first()


def output_contracts() -> list[str]:
    found = Contract.objects.filter(kind=Contract.Kind.OUTPUT).order_by("name")
    return list(found.values_list("name", flat=True))


def waiting_change(target: str) -> Proposal | None:
    """A change of it that another admin is asked about."""
    waiting = ReviewItem.objects.waiting().filter(
        kind=ReviewItem.Kind.RULE_CHANGE, proposal__target=target
    )
    item = waiting.select_related("proposal").first()
    return item.proposal if item else None


def trials_of(version: AgentVersion) -> Trials:
    """Of the last TRIAL_DAYS, and of so many: a page costs the same however long a shadow runs along."""
    since = timezone.now() - timedelta(days=TRIAL_DAYS)
    most: int = settings.SHADOW_TRIALS_COUNTED_MAX
    newest = AgentTrial.objects.filter(version=version, at__gte=since).order_by("-at")[:most]
    sums = AgentTrial.objects.filter(pk__in=newest.values("pk")).aggregate(
        asked=Count("pk"),
        failed=Count("pk", filter=Q(status=AgentTrial.Status.FAILED)),
        compared=Count("agreement"),
        mean=Avg("agreement"),
    )
    return Trials(**sums, is_least=sums["asked"] == most)


def newest_trials(version: AgentVersion, *, at_most: int) -> list[AgentTrial]:
    found = AgentTrial.objects.select_related("beside").filter(version=version)
    return list(found.order_by("-at", "-pk")[:at_most])


def _versions() -> QuerySet[AgentVersion]:
    found = AgentVersion.objects.select_related("agent", "contract__contract", "created_by")
    return found.prefetch_related("endpoints__endpoint")


def _with_deployments(agents: Sequence[Agent]) -> list[AgentLine]:
    """In three queries, however many they are."""
    newest = dict(
        AgentVersion.objects.filter(agent__in=agents)
        .values_list("agent")
        .annotate(number=Max("number"))
    )
    in_use = {
        found.agent_id: found
        for found in Deployment.objects.select_related(*_IN_USE)
        .filter(agent__in=agents)
        .order_by("agent", "-number")
        .distinct("agent")
    }
    return [AgentLine(agent, newest.get(agent.pk, 0), in_use.get(agent.pk)) for agent in agents]
