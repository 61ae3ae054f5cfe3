"""What the page of suggested rules says: the condition in words, and what came of asking later proposals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django import forms

from orchestrator.core.policy.builder import OPERATORS, Scalar
from orchestrator.core.statistics.separation import EACH_MIN, Split, Term
from orchestrator.suggestion_queries import Suggested

ARGUMENTS = "proposal.args."


class ActionForm(forms.Form):
    action = forms.ChoiceField(label="Action")

    def __init__(self, data: Mapping[str, Any] | None, actions: Sequence[str]) -> None:
        super().__init__(data)
        choices = [("", "Choose one"), *((name, name) for name in actions)]
        self.fields["action"].choices = choices  # type: ignore[attr-defined]


class Words(NamedTuple):
    """One term: the field as the contract names it, our words, and the agent's value if there is one."""

    field: str
    says: str
    value: Scalar
    has_value: bool


class Table(NamedTuple):
    title: str
    about: str
    split: Split


@dataclass(frozen=True, slots=True)
class Answer:
    """What the page says about one action, as one of STATES."""

    suggested: Suggested
    state: str
    words: Sequence[Words]
    tables: Sequence[Table]

    @property
    def each_min(self) -> int:
        return EACH_MIN

    @property
    def chance(self) -> str:
        found = self.suggested.search.suggestion
        return _percent(found.chance) if found else ""


STATES = ("too few", "nothing", "not confirmed", "offered")


def answer_of(suggested: Suggested) -> Answer:
    search = suggested.search
    found, later = search.suggestion, search.later
    tables = []
    if found and later:
        tables = [
            Table("On later proposals", "They had no part in finding it.", later),
            Table("Where it was found", "Too good: it was chosen for these.", found.split),
        ]
    return Answer(
        suggested,
        _state(suggested),
        [_words(term) for term in found.held_when] if found else [],
        tables,
    )


def _state(suggested: Suggested) -> str:
    search = suggested.search
    if not search.is_enough:
        return "too few"
    if search.suggestion is None:
        return "nothing"
    return "offered" if suggested.condition else "not confirmed"


def _words(term: Term) -> Words:
    operator = OPERATORS[term.operator]
    field = term.field.removeprefix(ARGUMENTS)
    return Words(field, operator.label, term.value, operator.takes != "nothing")


def _percent(chance: float) -> str:
    """Nobody needs to know how small a very small one is."""
    return "less than 0.01 %" if chance < 0.0001 else f"at most {chance * 100:.2f} %"
