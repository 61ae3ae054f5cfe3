"""Which versions of an agent are in use. Asked for as a change, and made once another admin agreed."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now

from orchestrator.actions import agents
from orchestrator.actions.actor import Actor, audit
from orchestrator.core.codec import Json, canonical, digest
from orchestrator.core.errors import BadInput, StageWrong
from orchestrator.core.policy.agent_versions import Deployed
from orchestrator.models import Agent, Deployment, Effect

RELATED = ("agent", "stable", "canary", "shadow", "by")


def current(slug: str) -> Deployment | None:
    return _rows(slug).first()


def make(actor: Actor, slug: str, wanted: Deployed, *, effect: str) -> Deployment:
    """From the next run on. People get here through `actions/changes` alone: `effect` is what runs it."""
    proposal = Effect.objects.select_related("proposal").get(pk=effect).proposal
    agent = agents.hold(slug)
    check(slug, wanted)
    before = current(slug)
    versions = {number: agents.version_of(slug, number) for number in wanted.versions}
    made = Deployment.objects.create(
        agent=agent,
        number=before.number + 1 if before else 1,
        at=Now(),
        stable=versions[wanted.stable],
        canary=versions.get(wanted.canary or 0),
        share=wanted.share,
        shadow=versions.get(wanted.shadow or 0),
        proposal=proposal,
        by=actor.user,
        note=proposal.rationale,
    )
    audit(
        actor,
        "agent.deployed",
        agents.log_name(slug),
        deployment=made.number,
        before=before.deployed.to_json() if before else None,
        after=wanted.to_json(),
    )
    return made


def check(slug: str, wanted: Deployed) -> None:
    """Raises BadInput for what could not be, and NotFound for versions that are not there."""
    for number in wanted.versions:
        agents.version_of(slug, number)
    if wanted.canary is None and wanted.share:
        raise BadInput("share", "a share is of a canary; name one.")
    if wanted.canary is not None and not 1 <= wanted.share <= 99:
        raise BadInput("share", "give 1 to 99 percent; for all runs make it the stable version.")
    if wanted.canary == wanted.stable:
        raise BadInput("canary", "it is the stable version already.")
    if wanted.shadow in {wanted.stable, wanted.canary} and wanted.shadow is not None:
        raise BadInput("shadow", "it is in use already; a shadow is another version.")


def check_new(slug: str, wanted: Deployed) -> None:
    check(slug, wanted)
    before = current(slug)
    if before is not None and before.deployed == wanted:
        raise StageWrong(slug, "deployed so", "deploy it so again", "Nothing would change.")


def way_back(slug: str) -> Deployed:
    """Without its canary, if there is one; else with the stable version before this one."""
    now = current(slug)
    if now is None:
        raise StageWrong(slug, "not deployed", "roll it back", "Deploy a version first.")
    if now.canary is not None:
        return Deployed(now.stable.number)
    for before in _rows(slug).exclude(stable=now.stable)[:1]:
        return Deployed(before.stable.number)
    raise StageWrong(
        slug, f"at {now.deployed}", "roll it back", "No other version was ever in use."
    )


def digest_of(slug: str, wanted: Deployed) -> str:
    """Over what is to be in use and what those versions say."""
    hashes: dict[str, Json] = {
        str(number): agents.version_of(slug, number).content_hash for number in wanted.versions
    }
    said: dict[str, Json] = {"agent": slug, **wanted.to_json(), "versions": hashes}
    return digest(canonical(said))


def wanted_in(args: Mapping[str, Any]) -> Deployed:
    """What the arguments of a proposed change ask for."""
    return Deployed(
        stable=int(args["stable"]),
        canary=args.get("canary"),
        share=int(args.get("share") or 0),
        shadow=args.get("shadow"),
    )


def _rows(slug: str) -> QuerySet[Deployment]:
    agent = Agent.objects.filter(slug=slug)
    return Deployment.objects.filter(agent__in=agent).select_related(*RELATED).order_by("-number")
