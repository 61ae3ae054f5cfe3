"""Amounts, the way people write money, with the number that is sent beside it."""

from collections.abc import Mapping
from typing import Any

from orchestrator.core.codec import Json
from orchestrator.core.policy.display import Review
from review.presentation.arguments import MINOR
from review.presentation.money import money
from review.presentation.places import at
from review.presentation.sight import Sight


def amount(sight: Sight) -> dict[str, Any] | None:
    text = money(sight.value, sight.part("currency"))
    return {"amount": text, "minor": sight.value} if text else None


def is_amount(pointer: str, review: Review) -> bool:
    """By the contract, or by its name where the contract says nothing."""
    show = review.shows.get(pointer)
    return show.kind == "money" if show else pointer.endswith(MINOR)


def amount_at(pointer: str, args: Mapping[str, Json], review: Review) -> str:
    """Empty when there is no amount there, or one in a currency that does not exist."""
    show = review.shows.get(pointer)
    place = show.parts.get("currency", "") if show else "/currency"
    currency = at(dict(args), place) if place.startswith("/") else place
    return money(at(dict(args), pointer), currency)
