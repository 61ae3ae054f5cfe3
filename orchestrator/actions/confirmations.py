"""Confirmations: what a person had in front of them, in a form that no agent can make.

The page that shows an item to whoever holds it carries one. It is bound to the person, the item and
its version, the hold, the state of the target that was shown, and the digest of the payload; a decision changes the version, so each counts once.
"""

import hmac
from dataclasses import dataclass, replace

from django.utils.crypto import salted_hmac

from orchestrator.actions.actor import Actor
from orchestrator.core.codec import digest
from orchestrator.core.errors import BadInput, NotAllowed
from orchestrator.models import ReviewItem

SALT = "countersign.confirmation"


@dataclass(frozen=True, slots=True)
class Seen:
    """`target` is the digest of the target's state, where its executor can look."""

    version: int
    lease: str
    confirmation: str
    target: str = ""


def seen(actor: Actor, item: ReviewItem, *, target: str = "") -> Seen:
    """For the page. A token never gets one, whoever it belongs to."""
    if actor.user is None or actor.token is not None:
        raise NotAllowed(actor.name, "confirm anything", "Only a person can, in a browser.")
    shown = Seen(item.version, item.lease, "", target)
    return replace(shown, confirmation=_sign(actor, item, shown))


def check(actor: Actor, item: ReviewItem, given: Seen) -> None:
    if actor.user is None or actor.token is not None:
        raise NotAllowed(actor.name, "decide review items", "Only a person can, in a browser.")
    if not given.lease:
        raise BadInput("lease", "take the item first; a decision names the hold it was made under.")
    # As bytes: what is not ASCII cannot be compared as text.
    if not hmac.compare_digest(given.confirmation.encode(), _sign(actor, item, given).encode()):
        raise BadInput("confirmation", "it is not for what this item says; open the item again.")


def digest_of(item: ReviewItem) -> str:
    """Of the bytes that a decision about the item is about."""
    if item.proposal is not None:
        return digest(item.proposal.payload)
    return digest(item.command.payload if item.command else item.question)


def _sign(actor: Actor, item: ReviewItem, shown: Seen) -> str:
    person = actor.user.pk if actor.user else 0
    facts = (person, item.pk, shown.version, shown.lease, shown.target, digest_of(item))
    said = "\n".join(map(str, facts))
    return salted_hmac(SALT, said, algorithm="sha256").hexdigest()
