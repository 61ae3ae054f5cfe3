"""What a contract says besides its schema, in words."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from orchestrator.core.policy.display import Show, read_review
from orchestrator.models import Contract, ContractVersion
from review.presentation.definitions import lasting

NOTHING = "none"
# What the seconds of a contract are about depends on what it is a contract of.
TIMEOUTS = {
    Contract.Kind.EVENT: "Handled within",
    Contract.Kind.ACTION: "Target answers within",
    Contract.Kind.OUTPUT: "Agent answers within",
}
IDEMPOTENCY = {
    ContractVersion.Idempotency.REQUIRED: "the same id counts once",
    ContractVersion.Idempotency.NONE: "every delivery counts",
}


class Term(NamedTuple):
    name: str
    text: str


def terms_of(version: ContractVersion) -> list[Term]:
    kind = Contract.Kind(version.contract.kind)
    terms = [
        Term("Owner", version.owner or NOTHING),
        Term("Risk", version.get_tier_display()),
        Term(TIMEOUTS[kind], lasting(version.timeout_s)),
        Term("Delivered again", IDEMPOTENCY[ContractVersion.Idempotency(version.idempotency)]),
        Term("Masked", ", ".join(version.masked) or NOTHING),
        Term("Description", version.description or NOTHING),
    ]
    if kind == Contract.Kind.EVENT:
        terms.append(Term("Error budget", f"{budget(version.error_budget_bp)} may fail"))
    return terms


def meeting_of(version: ContractVersion) -> list[Term]:
    """How people meet an action; nothing is put before people that is none."""
    if version.contract.kind != Contract.Kind.ACTION:
        return []
    review = read_review(version.review)
    undo = "for as long as UNDO_S says" if review.undo_s is None else _undo(review.undo_s)
    return [
        Term("Heading", review.heading or "the usual sentence"),
        Term("People may", ", ".join(review.verbs)),
        Term("Approval can be undone", undo),
        *(Term(f"{place} is shown", said) for place, said in _shown(review.shows.items())),
    ]


def _undo(seconds: int) -> str:
    return f"for {lasting(seconds)}" if seconds else "not at all"


def _shown(shows: Iterable[tuple[str, Show]]) -> Iterator[tuple[str, str]]:
    for place, show in shows:
        parts = ", ".join(f"{name} {text}" for name, text in show.parts.items())
        yield place, f"as {show.kind}{f' ({parts})' if parts else ''}"


def budget(basis_points: int) -> str:
    return f"{basis_points / 100:g} %"
