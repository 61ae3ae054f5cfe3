"""What a rule may ask about the recent past: counts and sums over windows that it declares.

    refunds_today:
      count: {actions: [refund.create], same: [args.customer], status: accepted}
      within: 24h
    spent:
      sum: args.amount_minor
      of: {same: [agent]}
      within: 7d

Here declarations are read, and of one proposal is said what to look for. Only the database knows
the past: `history_queries` looks, for many proposals at once.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from orchestrator.core.codec import Json, canonical
from orchestrator.core.errors import HistoryInvalid, Problem
from orchestrator.core.policy.masking import MASKED

ACTIONS_MAX = 20
SAME_MAX = 5
SHOWN_MAX = 60

COLUMNS = ("agent", "action", "target", "workflow")
STATUSES = ("any", "accepted", "rejected")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}")
_LETTER = r"[^\s*.\x00-\x1f\ud800-\udfff]"
_ACTION = re.compile(rf"\*|{_LETTER}+(?:\.{_LETTER}+)*(?:\.\*)?")
_ARGUMENT = re.compile(r"args(?:\.[A-Za-z_][A-Za-z0-9_-]{0,99}){1,10}")
_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhd])")

type Path = tuple[str, ...]
type Windows = Mapping[str, Window]


@dataclass(frozen=True, slots=True)
class Window:
    """One number about the recent past. Equal windows have equal numbers, whichever rule declares them."""

    # Which argument is added up, such as ("amount_minor",); empty for a count.
    sum: Path
    actions: tuple[str, ...]
    # What the proposals have in common with the one that is asked about.
    same: tuple[str, ...]
    same_args: tuple[Path, ...]
    status: str
    within: timedelta


@dataclass(frozen=True, slots=True)
class Limits:
    """What a rule that is being written may ask for. What is stored was checked when it was written."""

    windows_max: int
    within_max: timedelta


@dataclass(frozen=True, slots=True)
class Ask:
    """A proposal, as far as its past depends on it.

    `live` means that it is being submitted: whatever is stored came before it, even if the clock of
    another machine says otherwise. A recorded proposal sees what had happened by `at`.
    """

    id: str
    at: datetime
    agent: str
    action: str
    target: str
    workflow: str
    args: Mapping[str, Json]
    live: bool = False


@dataclass(slots=True)
class Past:
    """What was found for one proposal: for each rule and window a number, or why there is none."""

    numbers: dict[str, dict[str, int | float]] = field(default_factory=dict)
    errors: dict[str, dict[str, str]] = field(default_factory=dict)

    def with_more(self, other: "Past") -> "Past":
        """The numbers of other rules as well."""
        return Past(self.numbers | other.numbers, self.errors | other.errors)

    def reason(self, rule: str) -> str:
        """Why the numbers of a rule are not all there; empty when they are."""
        found = self.errors.get(rule, {})
        return "; ".join(f"history.{name}: {reason}" for name, reason in sorted(found.items()))


class ValueNeeded(Exception):
    """The proposal itself lacks what the others are compared by."""


def read_windows(declared: Any, limits: Limits | None = None) -> dict[str, Window]:
    """The windows of a rule by name. Raises HistoryInvalid with every place that is wrong."""
    reader = _Reader(limits)
    windows = reader.read(declared)
    if reader.problems:
        first, more = reader.problems[0], len(reader.problems) - 1
        reason = f"{first} (and {more} more)" if more else str(first)
        raise HistoryInvalid(reason, problems=tuple(reader.problems))
    return windows


def common_to(window: Window, ask: Ask) -> dict[str, Json]:
    """The values that proposals in this window share with `ask`: columns by name, arguments as `args`."""
    values: dict[str, Json] = {name: _column(ask, name) for name in window.same}
    if window.same_args:
        values["args"] = _nested({path: _argument(ask, path) for path in window.same_args})
    return values


def look_up(args: Json, path: Path) -> Json:
    """The value of an argument, or None where there is none."""
    for name in path:
        args = args.get(name) if isinstance(args, dict) else None
    return args


def shown(path: Path) -> str:
    return ".".join(("args", *path))


def _column(ask: Ask, name: str) -> str:
    value = {
        "agent": ask.agent,
        "action": ask.action,
        "target": ask.target,
        "workflow": ask.workflow,
    }[name]
    if not value:
        raise ValueNeeded(f"the proposal has no {name} to compare others by")
    return _unmasked(value, name)


def _argument(ask: Ask, path: Path) -> Json:
    value = look_up(dict(ask.args), path)
    if value is None:
        raise ValueNeeded(f"the proposal has no {shown(path)} to compare others by")
    if isinstance(value, list | dict):
        raise ValueNeeded(f"{shown(path)} is not a text, a number, true or false")
    return _unmasked(value, shown(path)) if isinstance(value, str) else value


def _unmasked(value: str, name: str) -> str:
    """Of a recorded proposal the real value may be hidden, and then nobody has the same."""
    if MASKED in value:
        raise ValueNeeded(f"{name} was masked before it was stored")
    return value


def _nested(values: Mapping[Path, Json]) -> dict[str, Json]:
    """An object that is contained in the arguments of exactly those proposals that have the values."""
    nested: dict[str, Json] = {}
    for path, value in values.items():
        inner: Any = nested
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
        inner[path[-1]] = value
    return nested


@dataclass(slots=True)
class _Reader:
    """Reads a whole declaration, so that one round of corrections is enough."""

    limits: Limits | None
    problems: list[Problem] = field(default_factory=list)

    def read(self, declared: Any) -> dict[str, Window]:
        if not isinstance(declared, dict):
            self._refuse("", "it has to be an object: a name and what is counted, for each window")
            return {}
        if self.limits and len(declared) > self.limits.windows_max:
            self._refuse("", f"it has {len(declared)} windows, at most {self.limits.windows_max}")
            return {}
        found = {name: self._window(f"/{name}", name, told) for name, told in declared.items()}
        return {name: window for name, window in found.items() if window}

    def _window(self, place: str, name: Any, told: Any) -> Window | None:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            self._refuse(f"/{_short(name)}", "a name is made of letters, digits and underscores")
            return None
        if not isinstance(told, dict):
            self._refuse(place, "it has to be an object with `count` or `sum`, and `within`")
            return None
        adds = "sum" in told
        if adds == ("count" in told):
            self._refuse(place, "it has to have one of `count` and `sum`")
            return None
        self._known(place, told, ("sum", "of", "within") if adds else ("count", "within"))
        path = self._path(f"{place}/sum", told["sum"]) if adds else ()
        among, at = (told.get("of", {}), "of") if adds else (told["count"], "count")
        within = self._within(f"{place}/within", told.get("within"))
        return self._among(f"{place}/{at}", among, path, within)

    def _among(
        self, place: str, among: Any, path: Path | None, within: timedelta | None
    ) -> Window | None:
        if not isinstance(among, dict):
            self._refuse(place, "it has to be an object with `actions`, `same` or `status`, or {}")
            return None
        self._known(place, among, ("actions", "same", "status"))
        actions = self._actions(f"{place}/actions", among.get("actions", ["*"]))
        columns, arguments = self._same(f"{place}/same", among.get("same", []))
        status = among.get("status", "any")
        if status not in STATUSES:
            self._refuse(f"{place}/status", f"{_short(status)} is none of {', '.join(STATUSES)}")
        if path is None or within is None:
            return None
        return Window(path, actions, columns, arguments, str(status), within)

    def _actions(self, place: str, told: Any) -> tuple[str, ...]:
        names = self._texts(place, told, ACTIONS_MAX)
        if names is not None and not names:
            self._refuse(place, "it has to name an action; leave it away for all of them")
        for index, name in enumerate(names or ()):
            if not _ACTION.fullmatch(name):
                self._refuse(
                    f"{place}/{index}", f"{_short(name)} is no action, no family.* and no *"
                )
        # Sorted, so that equal windows are equal.
        return ("*",) if "*" in (names or ()) else tuple(sorted(set(names or ())))

    def _same(self, place: str, told: Any) -> tuple[tuple[str, ...], tuple[Path, ...]]:
        columns, arguments = set(), set()
        for index, name in enumerate(self._texts(place, told, SAME_MAX) or ()):
            if name in COLUMNS:
                columns.add(name)
            elif path := self._path(f"{place}/{index}", name, f"{', '.join(COLUMNS)} or "):
                arguments.add(path)
        for path in arguments:
            if any(other[: len(path)] == path for other in arguments - {path}):
                self._refuse(place, f"{shown(path)} cannot be compared as a whole and in part")
        return tuple(sorted(columns)), tuple(sorted(arguments))

    def _path(self, place: str, told: Any, or_else: str = "") -> Path | None:
        if isinstance(told, str) and _ARGUMENT.fullmatch(told):
            return tuple(told.split(".")[1:])
        self._refuse(place, f"{_short(told)} is not {or_else}an argument such as args.amount")
        return None

    def _within(self, place: str, told: Any) -> timedelta | None:
        match = _DURATION.fullmatch(told) if isinstance(told, str) else None
        if not match:
            self._refuse(place, "it has to be a duration such as 90s, 15m, 24h or 7d")
            return None
        within = timedelta(**{UNITS[match[2]]: int(match[1])})
        if self.limits and within > self.limits.within_max:
            self._refuse(place, f"{told} is longer than {_duration(self.limits.within_max)}")
        return within

    def _texts(self, place: str, told: Any, most: int) -> list[str] | None:
        if not isinstance(told, list) or not all(isinstance(one, str) for one in told):
            self._refuse(place, "it has to be a list of texts")
            return None
        if len(told) > most:
            self._refuse(place, f"it has {len(told)} entries, at most {most}")
            return None
        return told

    def _known(self, place: str, told: dict[Any, Any], names: tuple[str, ...]) -> None:
        for name in told:
            if name not in names:
                self._refuse(f"{place}/{_short(name)}", f"it is unknown; known: {', '.join(names)}")

    def _refuse(self, pointer: str, reason: str) -> None:
        self.problems.append(Problem(pointer, reason))


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else canonical(value)
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}…"


def _duration(span: timedelta) -> str:
    return f"{span.days} days" if span.days else f"{span.seconds} seconds"
