"""The state of the target, where its executor can look without changing anything.

Read when somebody opens an item and again when they approve: what they agreed to do to one state
is not done to another.
"""

import logging
from dataclasses import dataclass

from orchestrator.actions import effects
from orchestrator.core.codec import Json, canonical, digest, storable
from orchestrator.core.errors import CountersignError, TargetChanged
from orchestrator.effects import registry
from orchestrator.effects.base import EffectCall
from orchestrator.models import Proposal, ReviewItem

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TargetState:
    """`digest` is empty where nothing can be compared: nobody can look, or looking failed."""

    state: Json = None
    digest: str = ""
    problem: str = ""


def look(proposal: Proposal) -> TargetState:
    """What stands there now. A target that cannot be read says so and holds nobody up."""
    try:
        executor = registry.find(effects.executor_of(proposal.action))
        find = getattr(executor, "look", None)
        state = find(_call(proposal)) if find else None
    except CountersignError as error:
        return TargetState(problem=str(error))
    except Exception as error:
        logger.exception("the target of %s cannot be read", proposal.pk)
        return TargetState(problem=f"{type(error).__name__}: it could not be read just now")
    if state is None:
        return TargetState()
    if not storable(state):
        return TargetState(problem="its state is not JSON that can be shown")
    return TargetState(state, digest(canonical(state)))


def check_unchanged(item_id: str, seen: str) -> None:
    """Only where a state was shown; called outside of transactions, since it may ask another system."""
    if not seen:
        return
    item = ReviewItem.objects.select_related("proposal").filter(pk=item_id).first()
    if item is None or item.proposal is None:
        return
    found = look(item.proposal)
    if found.digest != seen:
        raise TargetChanged(item_id)


def _call(proposal: Proposal) -> EffectCall:
    """As it would run; the key of a call that is never made."""
    return EffectCall(
        key="",
        action=proposal.action,
        target=proposal.target,
        args=proposal.args,
        payload=proposal.payload,
    )
