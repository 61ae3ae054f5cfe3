"""What became of a proposal, told from what is stored about it."""

from collections.abc import Iterable

from orchestrator.core.statistics.figures import Outcomes

# What became of what was accepted, by the status of the proposal.
RAN = {
    "accepted": "waiting",
    "executing": "waiting",
    "executed": "executed",
    "failed": "failed",
    "unknown": "unknown",
    "rolling_back": "executed",
    "rolled_back": "rolled_back",
}
_ENDED = {
    "rejected": "rejected",
    "blocked": "blocked",
    "expired": "expired",
    "withdrawn": "withdrawn",
    # Counted in its place is what stands there.
    "superseded": "replaced",
    "revision_requested": "with_agent",
}
_COUNTED_AS = {
    "automatic": "automatic",
    "by_people": "by_people",
    "after_edit": "after_edit",
    "rejected": "refused",
    "blocked": "refused",
    "expired": "refused",
    "withdrawn": "refused",
    "with_people": "undecided",
    "with_agent": "undecided",
}


def ending(disposition: str, status: str, *, edited: bool) -> str:
    if status not in RAN:
        return _ENDED.get(status, "with_people")
    if disposition == "accept":
        return "automatic"
    return "after_edit" if edited else "by_people"


def outcomes(counted: Iterable[tuple[str, int]]) -> Outcomes:
    """Of endings and how many there are of each. What was replaced is not counted beside what replaced it."""
    sums = dict.fromkeys(Outcomes.__slots__, 0)
    for name, count in counted:
        if name in _COUNTED_AS:
            sums[_COUNTED_AS[name]] += count
    return Outcomes(**sums)
