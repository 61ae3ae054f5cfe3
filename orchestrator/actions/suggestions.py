"""What was suggested, written as a draft and tried on the past. Whether it decides, people say later."""

import re

from django.db import transaction

from orchestrator.actions import backtests, rules
from orchestrator.actions.actor import Actor, require
from orchestrator.core.codec import digest
from orchestrator.core.errors import SuggestionChanged
from orchestrator.models import RuleVersion
from orchestrator.suggestion_queries import Suggested, suggested_for

SLUG_WORDS_MAX = 80


def draft(actor: Actor, action: str, *, seal: str) -> RuleVersion:
    """What somebody was shown and no other: `seal` names it. Its backtest begins at once.

    The backtest looks at what was proposed since, none of which the condition was found on.
    """
    require(actor, "rules.edit", "write rules")
    found = suggested_for(action)
    if found is None or not found.condition or found.seal != seal:
        raise SuggestionChanged(action)
    with transaction.atomic():
        version = rules.draft(
            actor,
            slug=slug_of(action),
            title=f"Suggested: hold {action} of the kind that people reject",
            effect="hold",
            condition=found.condition,
            message="people mostly rejected proposals like this one",
            applies_to={"actions": [action]},
            note=_note(found),
        )
        backtests.request(actor, version, since=found.later_since)
    return version


def slug_of(action: str) -> str:
    """One rule for each action, however often something is suggested; its own even if names are alike."""
    words = re.sub(r"[^a-z0-9]+", "-", action.lower()).strip("-")[:SLUG_WORDS_MAX]
    return f"suggested-{words}-{digest(action).removeprefix('sha256:')[:6]}"


def _note(found: Suggested) -> str:
    """Our own words and numbers; the values are in the condition."""
    suggestion, later = found.search.suggestion, found.search.later
    if suggestion is None or later is None:
        return ""
    return (
        f"Suggested by what people decided about {found.action}: of {suggestion.tried:,} conditions "
        f"the one that best separates what they rejected, among {found.search.older:,} proposals. "
        f"Among the {found.search.newest:,} proposed after those, which had no part in finding it: "
        f"of what it would hold, people rejected {later.precision}; "
        f"of what people rejected, it would hold {later.recall}."
    )
