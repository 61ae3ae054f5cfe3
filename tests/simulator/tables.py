"""PostgreSQL as far as the protocol relies on it: rows, unique keys, transactions that hold or leave no trace."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from orchestrator.core.codec import Json
from orchestrator.core.plan import Plan


class DatabaseError(Exception):
    """Something went wrong, and the caller does not know whether it was before or after the commit."""


class UniqueError(Exception):
    """There is a row with this key already."""


@dataclass(frozen=True, slots=True)
class Workflow:
    slug: str
    definition: dict[str, Any]
    plan: Plan


@dataclass(frozen=True, slots=True)
class RunRow:
    id: str
    workflow: Workflow
    intent: Json
    seq: int = 0
    state: str = ""
    status: str = "new"
    wakes_at: int | None = None
    lineage: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EventRow:
    run: str
    seq: int
    kind: str
    at_ms: int
    payload: str
    key: str | None


@dataclass(frozen=True, slots=True)
class CommandRow:
    id: int
    run: str
    seq: int
    kind: str
    queue: str
    key: str
    payload: str
    status: str
    not_before: float
    rung_at: float
    token: int = 0
    tries: int = 0
    crashes: int = 0
    lease_until: float | None = None
    # The token under which it was ended; the auditor compares.
    ended_by: int | None = None

    @property
    def effect(self) -> str:
        """The effect that it is about, if it is about one."""
        return self.key.split(":")[1] if self.kind in {"run_effect", "roll_back"} else ""


@dataclass(frozen=True, slots=True)
class ItemRow:
    id: str
    run: str
    kind: str
    due_at: float
    proposal: str = ""
    work: str = ""
    command: int = 0
    digest: str = ""
    approvals_needed: int = 1
    approvals: tuple[str, ...] = ()
    version: int = 1
    status: str = "waiting"
    closed_because: str = ""
    # For so long what is decided about it can be taken back.
    undo_s: int = 0


@dataclass(frozen=True, slots=True)
class DecisionRow:
    id: str
    item: str
    person: str
    verdict: str
    undo_until: float = 0.0
    is_undone: bool = False


@dataclass(frozen=True, slots=True)
class ProposalRow:
    id: str
    run: str
    digest: str
    # The work whose output it is, and which coming to it.
    work: str = ""
    visit: int = 0
    # The event that asked for it, and which of its asks it is.
    asked: int = 0
    ask: int = 0
    # The proposal in whose place it stands, and how many there were before.
    revises: str = ""
    revision: int = 1
    status: str = "received"
    due_at: float = 0.0
    # What was made of it when it came, before any validator was heard.
    judged: str = ""


@dataclass(frozen=True, slots=True)
class EffectRow:
    id: str
    run: str
    proposal: str
    digest: str
    # What released it, unless its disposition did.
    decision: str = ""
    status: str = "pending"
    may_have_happened: bool = False


class Table[Key, Row](dict[Key, Row]):
    """Remembers what it held before the transaction."""

    def __init__(self, undo: list[Callable[[], object]]) -> None:
        super().__init__()
        self._undo = undo

    def insert(self, key: Key, row: Row) -> None:
        if key in self:
            raise UniqueError(key)
        self._undo.append(lambda: self.pop(key))
        super().__setitem__(key, row)

    def __setitem__(self, key: Key, row: Row) -> None:
        before = self[key]
        self._undo.append(lambda: self._restore(key, before))
        super().__setitem__(key, row)

    def remove(self, key: Key) -> None:
        before = self.pop(key)
        self._undo.append(lambda: self._restore(key, before))

    def _restore(self, key: Key, row: Row) -> None:
        super().__setitem__(key, row)


@dataclass(slots=True)
class Committed:
    """What a transaction changed, for whoever audits it."""

    runs: dict[str, int] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)


class Tables:
    def __init__(self) -> None:
        self._undo: list[Callable[[], object]] = []
        self._after: list[Callable[[], None]] = []
        self.changed = Committed()
        self.before_commit: Callable[[], None] = lambda: None
        self.after_commit: Callable[[Committed], None] = lambda changed: None
        self.runs: Table[str, RunRow] = Table(self._undo)
        self.events: Table[tuple[str, int], EventRow] = Table(self._undo)
        self.event_keys: Table[str, bool] = Table(self._undo)
        self.commands: Table[int, CommandRow] = Table(self._undo)
        self.command_keys: Table[tuple[str, str], int] = Table(self._undo)
        self.items: Table[str, ItemRow] = Table(self._undo)
        self.decisions: Table[str, DecisionRow] = Table(self._undo)
        # One of each person about each item, but for those that were taken back.
        self.standing: Table[tuple[str, str], str] = Table(self._undo)
        self.proposals: Table[str, ProposalRow] = Table(self._undo)
        self.effects: Table[str, EffectRow] = Table(self._undo)
        self.external_ids: Table[str, str] = Table(self._undo)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. One at a time: nobody waits inside."""
        self.changed = Committed()
        try:
            yield
            self.before_commit()
        except BaseException:
            while self._undo:
                self._undo.pop()()
            self._after.clear()
            raise
        self._undo.clear()
        after, self._after[:] = list(self._after), []
        for call in after:
            call()
        self.after_commit(self.changed)

    def on_commit(self, call: Callable[[], None]) -> None:
        self._after.append(call)
