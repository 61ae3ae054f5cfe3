"""What a contract says besides its schema, in words."""

from typing import NamedTuple

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


def budget(basis_points: int) -> str:
    return f"{basis_points / 100:g} %"
