"""In whose name a program proposes: the agents that its token may speak for, in versions that exist.

Track records, stand-downs and certificates hang on the agent and its version. Whoever could state any
would shed a bad record by a new name.
"""

from django.conf import settings
from django.db.models import Q

from orchestrator.actions.actor import Actor
from orchestrator.core.errors import BadInput, NotAllowed
from orchestrator.core.policy import agent_versions as core
from orchestrator.models import Agent


def check(actor: Actor, agent: str, version: str) -> None:
    """Raises where it may not; what is no agent of ours may state any version, as it always could."""
    if actor.token is not None and not actor.token.may_speak_for(agent):
        raise NotAllowed(
            f"The token “{actor.token.name}”",
            f"propose in the name of {agent}",
            f"It speaks for {', '.join(actor.token.agents)}. State one of these as `agent`, or have "
            "an admin issue a token for this one.",
        )
    known = Agent.objects.filter(slug=agent).first()
    if known is None:
        return
    if known.tier == core.READ_ONLY:
        raise NotAllowed(agent, "propose anything", "It is read-only; an admin can raise its tier.")
    if settings.AGENT_VERSIONS_KNOWN_ONLY and not _is_known(known, version):
        raise BadInput(
            "agent_version",
            f"{agent} has no version “{version[:100]}”. State the number or the label of one that "
            f"is kept here; GET /api/v1/agents/{agent}/versions lists them.",
        )


def _is_known(agent: Agent, version: str) -> bool:
    """By its label, or its number as it is written."""
    named = Q(label=version)
    # As PostgreSQL can hold it, and in one spelling only: 014 would be another version to every report.
    if version.isascii() and version.isdecimal() and len(version) < 10 and version[0] != "0":
        named |= Q(number=int(version))
    return bool(version) and agent.versions.filter(named).exists()
