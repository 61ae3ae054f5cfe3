"""Reads of contracts, for pages and API alike."""

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet

from orchestrator.core.policy.display import DEFAULT, Review, read_review
from orchestrator.models import Contract, ContractVersion

# A rule over more actions than these is not checked against their contracts.
SCOPE_MAX = 20


def key_of(contract: Contract) -> str:
    """Where a contract stands in the list; what comes after it is the next page."""
    return f"{contract.kind}/{contract.name}"


def contract_lines(*, kind: str = "", after: str = "", at_most: int) -> list[ContractVersion]:
    """Of each contract, by kind and name, the version in force."""
    rows = _versions()
    if kind:
        rows = rows.filter(contract__kind=kind)
    if after:
        after_kind, _, after_name = after.partition("/")
        same_kind = Q(contract__kind=after_kind, contract__name__gt=after_name)
        rows = rows.filter(Q(contract__kind__gt=after_kind) | same_kind)
    newest_first = rows.order_by("contract__kind", "contract__name", "-number")
    return list(newest_first.distinct("contract__kind", "contract__name")[:at_most])


def contract_version(kind: str, name: str, number: int | None = None) -> ContractVersion | None:
    """One version, or the one in force."""
    rows = _versions().filter(contract__kind=kind, contract__name=name)
    chosen = rows if number is None else rows.filter(number=number)
    return chosen.order_by("-number").first()


def contract_versions(kind: str, name: str, *, at_most: int) -> list[ContractVersion]:
    """Newest first, without their schemas."""
    rows = _versions().filter(contract__kind=kind, contract__name=name)
    return list(rows.defer("schema").order_by("-number")[:at_most])


def masked_by(contracts: Collection[int]) -> dict[int, list[str]]:
    """By contract, what any of its versions masks: what was hidden once stays hidden."""
    rows = ContractVersion.objects.filter(contract__in=contracts).values_list("contract", "masked")
    found: dict[int, set[str]] = {}
    for contract, pointers in rows:
        found[contract] = found.get(contract, set()) | set(pointers)
    return {contract: sorted(pointers) for contract, pointers in found.items()}


@lru_cache(maxsize=1_000)
def review_of(version: int | None) -> Review:
    """How people meet an action by this version of its contract. Versions never change, so it is kept."""
    if version is None:
        return DEFAULT
    return read_review(ContractVersion.objects.values_list("review", flat=True).get(pk=version))


class Scope(NamedTuple):
    """The schemas that arguments of some actions keep; whole when every one of the actions has a contract."""

    schemas: list[dict[str, Any]]
    is_whole: bool

    @property
    def promised(self) -> list[dict[str, Any]]:
        """A contract of one action promises nothing about another one that has none."""
        return self.schemas if self.is_whole else []


def scope_of(actions: Sequence[str]) -> Scope:
    """Families and `*` stand for actions that nobody has thought of yet."""
    named = [action for action in actions if "*" not in action][:SCOPE_MAX]
    found = [contract_version(Contract.Kind.ACTION, action) for action in named]
    schemas = [version.parsed for version in found if version]
    return Scope(schemas, is_whole=bool(actions) and len(schemas) == len(actions))


def _versions() -> QuerySet[ContractVersion]:
    return ContractVersion.objects.select_related("contract", "created_by")
