"""What the pages of agents show: the list, one agent, one version beside another, and a change of what is in use."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from orchestrator import agent_queries
from orchestrator.agent_queries import AgentLine
from orchestrator.core.policy.agent_versions import TIERS
from orchestrator.core.policy.rule_text import line_diff
from orchestrator.core.statistics.intervals import Rate
from orchestrator.core.statistics.latency import Latency
from orchestrator.models import Agent, AgentVersion, Deployment
from orchestrator.report_queries import agents as report
from orchestrator.report_queries.scope import Scope
from review.access import may
from review.agent_forms import DeployForm, WayBackForm
from review.reads import number_or_none

DAYS = 7
VERSIONS_SHOWN = 50
DEPLOYMENTS_SHOWN = 20
TRIALS_SHOWN = 10


NO_LATENCY = Latency(0, 0, (0, 0, 0, 0))


@dataclass(frozen=True, slots=True)
class Figures:
    """Of the newest days, from the counters of the reports."""

    proposals: int = 0
    accepted: int = 0
    decided: int = 0
    calls: int = 0
    failed: int = 0
    # Calls about which nothing was reported; in no figure below.
    unknown: int = 0
    # Those, and calls that told no price.
    unpriced: int = 0
    tokens: int = 0
    money_micros: int = 0
    latency: Latency = NO_LATENCY

    @property
    def acceptance(self) -> Rate:
        return Rate(self.accepted, self.decided)

    @property
    def told(self) -> int:
        return self.calls - self.unknown

    @property
    def cost(self) -> float | None:
        """Of one call whose price is known, in millionths."""
        priced = self.calls - self.unpriced
        return self.money_micros / priced if priced else None

    @property
    def tokens_each(self) -> int | None:
        return round(self.tokens / self.told) if self.told else None


@dataclass(frozen=True, slots=True)
class Line:
    line: AgentLine
    figures: Figures

    @property
    def model(self) -> str:
        deployment = self.line.deployment
        return deployment.stable.model if deployment else ""


@dataclass(frozen=True, slots=True)
class VersionLine:
    version: AgentVersion
    # What it is in use as; empty when it is not.
    roles: list[str]
    figures: Figures


def lines_of(found: Sequence[AgentLine]) -> list[Line]:
    known = report.agents(_scope()).versions
    costs = report.costs(_scope(), [one.agent.slug for one in found])
    return [
        Line(
            one,
            _figures(
                (row for row in known if row.agent == one.agent.slug),
                (cost for (agent, _), cost in costs.items() if agent == one.agent.slug),
            ),
        )
        for one in found
    ]


def agent_facts(request: HttpRequest, line: AgentLine, **more: Any) -> dict[str, Any]:
    agent, deployment = line.agent, line.deployment
    before = number_or_none(request.GET.get("before", ""))
    found = agent_queries.versions(agent, before=before, at_most=VERSIONS_SHOWN + 1)
    versions, choice = found[:VERSIONS_SHOWN], offered(line)
    may_edit = may(request.user, "agents.edit")
    pending = agent_queries.waiting_change(f"agent/{agent.slug}")
    can_ask = may_edit and choice and not pending
    return {
        "agent": agent,
        "tier_means": TIERS[agent.tier],
        "deployment": deployment,
        "versions": _version_lines(agent, deployment, versions),
        "older": versions[-1].number if found[VERSIONS_SHOWN:] else None,
        "is_older": before is not None,
        "deployments": agent_queries.deployments(agent, at_most=DEPLOYMENTS_SHOWN),
        "shadow": _shadow_facts(deployment),
        "pending": pending,
        "may_edit": may_edit,
        "is_four_eyes": settings.RULES_FOUR_EYES,
        "days": DAYS,
        "form": DeployForm(versions=choice, initial=_in_use(deployment, choice))
        if can_ask
        else None,
        "back_form": WayBackForm() if can_ask and deployment and deployment.number > 1 else None,
    } | more


def offered(line: AgentLine) -> list[AgentVersion]:
    """The newest, and those in use however old they are: in the place of one that was missing its form
    would choose another."""
    newest = agent_queries.versions(line.agent, at_most=VERSIONS_SHOWN)
    one = line.deployment
    in_use = [one.stable, one.canary, one.shadow] if one else []
    return list(dict.fromkeys([*newest, *filter(None, in_use)]))


def version_facts(
    request: HttpRequest, version: AgentVersion, other: AgentVersion | None
) -> dict[str, Any]:
    """`other` is what it is laid beside, the older one first."""
    agent = version.agent
    line = agent_queries.line(agent.slug)
    both = [one for one in (other, version) if one]
    return {
        "agent": agent,
        "version": version,
        "other": other,
        "others": [
            one
            for one in agent_queries.versions(agent, at_most=VERSIONS_SHOWN)
            if one.number != version.number
        ],
        "beside": _version_lines(agent, line.deployment if line else None, both),
        "lines": difference(other, version) if other else [],
        "said": pretty(version),
        "trials": agent_queries.trials_of(version),
        "newest_trials": agent_queries.newest_trials(version, at_most=TRIALS_SHOWN),
        "days": DAYS,
        "may_edit": may(request.user, "agents.edit"),
    }


def difference(old: AgentVersion, new: AgentVersion) -> list[tuple[str, str]]:
    """Line by line, as sign and text."""
    return [(line[:1], line[1:]) for line in line_diff(pretty(old), pretty(new), around=3)]


def pretty(version: AgentVersion) -> str:
    """All that it says; the prompt as it is read, and not as one long line."""
    content = version.content
    prompt, content["settings"] = content.pop("prompt"), content.pop("parameters")
    text = json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True)
    return f"{text}\n\n{prompt}" if prompt else text


def _version_lines(
    agent: Agent, deployment: Deployment | None, versions: Sequence[AgentVersion]
) -> list[VersionLine]:
    known = report.agents(_scope(agent.slug)).versions
    costs = report.costs(_scope(), [agent.slug])
    return [
        VersionLine(
            one,
            _roles(deployment, one),
            _figures(
                (row for row in known if row.agent_version in _names(one)),
                (cost for (_, version), cost in costs.items() if version in _names(one)),
            ),
        )
        for one in versions
    ]


def _names(version: AgentVersion) -> set[str]:
    """What proposals and calls may name it by."""
    return {str(version.number), *filter(None, [version.label])}


def _roles(deployment: Deployment | None, version: AgentVersion) -> list[str]:
    if deployment is None:
        return []
    share = f"canary, {deployment.share} %"
    places = {
        "stable": deployment.stable_id,
        share: deployment.canary_id,
        "shadow": deployment.shadow_id,
    }
    return [role for role, pk in places.items() if pk == version.pk]


def _shadow_facts(deployment: Deployment | None) -> dict[str, Any] | None:
    if deployment is None or deployment.shadow is None:
        return None
    return {
        "version": deployment.shadow,
        "trials": agent_queries.trials_of(deployment.shadow),
        "newest": agent_queries.newest_trials(deployment.shadow, at_most=TRIALS_SHOWN),
    }


def _in_use(deployment: Deployment | None, versions: Sequence[AgentVersion]) -> dict[str, Any]:
    if deployment is None:
        return {"stable": versions[0].number, "share": 0}
    return deployment.deployed.to_json()


def _scope(agent: str = "") -> Scope:
    today = timezone.now().astimezone(UTC).date()
    return Scope(
        since=today - timedelta(days=DAYS - 1), until=today + timedelta(days=1), agent=agent
    )


def _figures(rows: Iterable[report.AgentVersion], costs: Iterable[report.Cost]) -> Figures:
    """Calls are counted apart: an agent that only reads is called, and proposes nothing."""
    found, spent = list(rows), list(costs)
    return Figures(
        proposals=sum(row.proposed.proposals for row in found),
        accepted=sum(row.outcomes.acceptance.k for row in found),
        decided=sum(row.outcomes.acceptance.n for row in found),
        calls=sum(cost.calls for cost in spent),
        failed=sum(cost.failed for cost in spent),
        unknown=sum(cost.unknown for cost in spent),
        unpriced=sum(cost.unpriced for cost in spent),
        tokens=sum(cost.tokens_in + cost.tokens_out for cost in spent),
        money_micros=sum(cost.money_micros for cost in spent),
        latency=sum((cost.latency for cost in spent), NO_LATENCY),
    )
