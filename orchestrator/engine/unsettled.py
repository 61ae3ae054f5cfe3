"""What ended without a receipt: each question that people are asked about it has the place where it is answered."""

from orchestrator.core import events as ev
from orchestrator.core.codec import Json
from orchestrator.models import Effect
from orchestrator.models.ids import new_id


def without_receipt(effect: Effect, error: dict[str, Json], *, lost: bool) -> ev.Event:
    """Of what may have happened a person has to find out."""
    if lost:
        return ev.EffectLost(
            proposal=effect.proposal_id, effect=effect.pk, error=error, item=new_id("rev")
        )
    return ev.EffectFailed(proposal=effect.proposal_id, effect=effect.pk, error=error)


def not_undone(effect: Effect, error: dict[str, Json]) -> ev.Event:
    return ev.RollbackFailed(
        proposal=effect.proposal_id, effect=effect.pk, error=error, item=new_id("rev")
    )
