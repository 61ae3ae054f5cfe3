"""The fields that a rule of some scope may read: from contracts, and from what agents sent of late."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from orchestrator import rule_queries
from orchestrator.contract_queries import scope_of
from orchestrator.core.codec import Json
from orchestrator.core.policy.catalogue import Field, fields_for
from orchestrator.core.policy.paths import joined
from orchestrator.models import Proposal

PROPOSALS_READ_MAX = 20
# Each is a query.
ACTIONS_READ_MAX = 20
DEPTH_MAX = 3
SEEN_MAX = 200
EXAMPLE_SHOWN_MAX = 60
_TYPES: dict[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    type(None): "null",
}


class Catalogue(NamedTuple):
    """`promised` are what conditions are checked by; `offered` has in addition what was only seen.

    Arguments are checked when it is whole: every action of the scope has a contract.
    """

    promised: list[Field]
    offered: list[Field]
    is_whole: bool = False

    @property
    def texts(self) -> frozenset[str]:
        """Fields that hold nothing but text."""
        return frozenset(field.path for field in self.offered if field.type == "string")


def catalogue_for(actions: Sequence[str], windows: Sequence[str]) -> Catalogue:
    scope = scope_of(actions)
    promised = fields_for(scope.promised, windows)
    offered = fields_for(scope.schemas, windows)
    known = {field.path for field in offered}
    seen = [field for field in _seen(actions) if field.path not in known]
    return Catalogue(promised, [*offered, *seen], scope.is_whole)


def _seen(actions: Sequence[str]) -> list[Field]:
    found: dict[str, Field] = {}
    for proposal in rule_queries.recorded_proposals(
        actions[:ACTIONS_READ_MAX], at_most=PROPOSALS_READ_MAX
    ):
        for field in _read(proposal):
            found.setdefault(field.path, field)
    return list(found.values())[:SEEN_MAX]


def _read(proposal: Proposal) -> Iterator[Field]:
    yield from _below("proposal.args", proposal.args, DEPTH_MAX)
    yield from _below("context", proposal.context, DEPTH_MAX)


def _below(prefix: str, values: Mapping[str, Json], depth: int) -> Iterator[Field]:
    for name, value in values.items():
        path = joined(prefix, name)
        yield Field(path, _TYPES[type(value)], "seen in recent proposals", _example(value))
        if isinstance(value, dict) and depth > 1:
            yield from _below(path, value, depth - 1)


def _example(value: Json) -> Json:
    if isinstance(value, dict | list):
        return None
    return value[:EXAMPLE_SHOWN_MAX] if isinstance(value, str) else value
