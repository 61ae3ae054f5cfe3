"""The editor of a rule: what is in the form, what its buttons do to it, and what is wrong with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from orchestrator.actions.rules import limits_of_history
from orchestrator.core.codec import Json
from orchestrator.core.errors import HistoryInvalid
from orchestrator.core.policy import guardrails
from orchestrator.core.policy.builder import NotSimple, Rows, to_text
from orchestrator.core.policy.builder_reading import to_rows
from orchestrator.core.policy.diagnostics import ConditionProblem
from orchestrator.core.policy.guardrails import Rule
from orchestrator.core.policy.history import read_windows
from orchestrator.models import RuleVersion
from review.reads import number_or_none
from review.rule_fields import Catalogue, catalogue_for
from review.rule_rows import RowDraft, RowsDraft, posted_rows, read_rows, show_rows
from review.rule_windows import (
    WindowDraft,
    declared,
    names_in,
    posted_windows,
    shown_windows,
)

ROWS, TEXT = "rows", "text"
EMPTY = RowsDraft((RowDraft(),))
EVERYTHING = ("*",)

type Sent = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Wording:
    """The condition and its windows, as they stand in the form."""

    mode: str = ROWS
    rows: RowsDraft = EMPTY
    text: str = ""
    windows: tuple[WindowDraft, ...] = ()
    actions: tuple[str, ...] = ()
    # Why the text cannot be shown as rows, once somebody asked for it.
    refused: str = ""
    catalogue: Catalogue = field(default_factory=lambda: Catalogue([], []))

    @classmethod
    def sent(cls, sent: Sent) -> Self:
        windows = tuple(posted_windows(sent))
        # The database has no place for a NUL; the form says so when it is saved.
        actions = names_in("".join(sent.get("actions", [""])[:1]).replace("\0", "\ufffd"))
        return cls(
            mode=TEXT if list(sent.get("mode", [])) == [TEXT] else ROWS,
            rows=posted_rows(sent),
            text="".join(sent.get("condition", [""])[:1]).replace("\r\n", "\n"),
            windows=windows,
            actions=actions,
            catalogue=catalogue_for(actions, _names(windows)),
        )

    @classmethod
    def stored(cls, version: RuleVersion) -> Self:
        windows = tuple(shown_windows(version.history))
        actions = tuple(version.applies_to.get("actions", []))
        catalogue = catalogue_for(actions, _names(windows))
        shown = _as_rows(version.condition, catalogue)
        return cls(
            mode=TEXT if isinstance(shown, NotSimple) else ROWS,
            rows=EMPTY if isinstance(shown, NotSimple) else shown,
            text=version.condition,
            windows=windows,
            actions=actions,
            catalogue=catalogue,
        )

    @classmethod
    def blank(cls) -> Self:
        return cls(catalogue=catalogue_for((), ()))

    @property
    def is_text(self) -> bool:
        return self.mode == TEXT

    @property
    def condition(self) -> str:
        """Empty while the rows are not right."""
        if self.is_text:
            return self.text.strip()
        read = read_rows(self.rows, self.catalogue.texts)
        return to_text(read) if isinstance(read, Rows) else ""

    @property
    def history(self) -> dict[str, Json]:
        return declared(self.windows)

    def checked(self) -> Self:
        """The rows with what is wrong in each of them."""
        read = read_rows(self.rows, self.catalogue.texts)
        return self if isinstance(read, Rows) else replace(self, rows=read)

    def problems(self) -> list[ConditionProblem]:
        if not self.condition:
            return []
        return guardrails.problems_of(self.condition, self.catalogue.promised)

    def window_problems(self) -> list[str]:
        names = [window.name for window in self.windows]
        twice = [f"/{name}: the name is taken twice" for name in names if names.count(name) > 1]
        try:
            read_windows(self.history, limits_of_history())
        except HistoryInvalid as error:
            return [*dict.fromkeys(twice), *map(str, error.problems)]
        return list(dict.fromkeys(twice))

    # What the buttons do ---------------------------------------------------------------------

    def pressed(self, button: str) -> Self:
        """The form after one of its buttons; those that change nothing here leave it as it is."""
        name, _, place = button.partition(" ")
        at = number_or_none(place) or 0
        acts: dict[str, Callable[[], Self]] = {
            "add_row": lambda: self._with_rows((*self.rows.rows, RowDraft())),
            "remove_row": lambda: self._with_rows(_without(self.rows.rows, at) or EMPTY.rows),
            "to_text": self._to_text,
            "to_rows": self._to_rows,
            "add_window": lambda: self._with_windows((*self.windows, WindowDraft())),
            "remove_window": lambda: self._with_windows(_without(self.windows, at)),
        }
        return acts[name]() if name in acts else self

    def _with_rows(self, rows: tuple[RowDraft, ...]) -> Self:
        return replace(self, rows=RowsDraft(rows, self.rows.join))

    def _with_windows(self, windows: tuple[WindowDraft, ...]) -> Self:
        found = catalogue_for(self.actions, _names(windows))
        return replace(self, windows=windows, catalogue=found)

    def _to_text(self) -> Self:
        """Nothing is lost: rows that are not right stay rows, unless nothing was written in them."""
        if self.rows == EMPTY:
            return replace(self, mode=TEXT, text="")
        condition = self.condition
        return replace(self, mode=TEXT, text=condition) if condition else self.checked()

    def _to_rows(self) -> Self:
        if not self.text.strip():
            return replace(self, mode=ROWS, rows=EMPTY)
        shown = _as_rows(self.text, self.catalogue)
        if isinstance(shown, NotSimple):
            return replace(self, refused=shown.reason)
        return replace(self, mode=ROWS, rows=shown)


def _as_rows(text: str, catalogue: Catalogue) -> RowsDraft | NotSimple:
    found = to_rows(text)
    return found if isinstance(found, NotSimple) else show_rows(found, catalogue.texts)


def _without[One](ones: tuple[One, ...], at: int) -> tuple[One, ...]:
    return ones[:at] + ones[at + 1 :]


def _names(windows: Sequence[WindowDraft]) -> list[str]:
    return [window.name for window in windows if window.name]


def rule_of(wording: Wording, given: Mapping[str, Any]) -> Rule:
    """The unsaved rule, to be tried."""
    return Rule(
        version_id=0,
        slug=given.get("slug") or "draft",
        number=0,
        effect=given.get("effect") or "hold",
        condition=wording.condition,
        message=given.get("message", ""),
        actions=tuple(given.get("actions") or EVERYTHING),
        agents=tuple(given.get("agents") or EVERYTHING),
        workflows=tuple(given.get("workflows") or EVERYTHING),
        tiers=tuple(given.get("tiers") or EVERYTHING),
        history=wording.history,
    )
