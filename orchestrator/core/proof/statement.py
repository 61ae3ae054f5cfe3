"""What a checkpoint says: a text that vouches for a range of events and for the checkpoint before it."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self

from orchestrator.core.codec import canonical, read

FIRST = "0" * 64
# Enough of each event's hash to name the one that was replaced; the root covers every digit.
DIGITS = 16

type Segments = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Vouched:
    """What of an event goes into a checkpoint."""

    id: int
    run: str
    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Statement:
    """It covers every event whose id lies above `after_event` and not above `up_to_event`.

    `runs` has for each run that moved the first sequence number, then the first digits of each
    event's hash in one string. A gap starts another such pair.
    """

    number: int
    at: str
    after_event: int
    up_to_event: int
    events: int
    root: str
    previous: str
    runs: dict[str, Segments]

    @property
    def text(self) -> str:
        """The stored form, which is what is signed."""
        return canonical(
            {
                "number": self.number,
                "at": self.at,
                "after_event": self.after_event,
                "up_to_event": self.up_to_event,
                "events": self.events,
                "root": self.root,
                "previous": self.previous,
                "runs": {run: list(segments) for run, segments in self.runs.items()},
            }
        )

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises ValueError when the text is not one of ours."""
        try:
            data: Any = read(text)
            runs = {run: tuple(segments) for run, segments in data["runs"].items()}
            statement = cls(**{**data, "runs": runs})
            numbers = (statement.number, statement.after_event, statement.up_to_event)
            if not all(isinstance(number, int) for number in numbers) or statement.text != text:
                raise ValueError("it is not written as a checkpoint is")
        except (AttributeError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"it is no checkpoint ({error})") from error
        return statement

    def vouched(self, only: frozenset[str] | None = None) -> Iterator[tuple[str, int, str]]:
        """Run, sequence number and the first digits of the hash of every event it covers."""
        for run, segments in self.runs.items():
            if only is None or run in only:
                yield from _vouched(run, segments)


@dataclass(frozen=True, slots=True)
class Signed:
    """A statement with the very text that was signed."""

    statement: Statement
    text: str
    signature: str

    @classmethod
    def read(cls, text: str, signature: str) -> Self:
        return cls(Statement.read(text), text, signature)


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def root_of(hashes: Iterable[str]) -> str:
    """Over all hashes in the order of the events' ids."""
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def gather(events: Iterable[Vouched]) -> dict[str, Segments]:
    """Events in the order of their ids, by run."""
    first: dict[str, list[tuple[int, list[str]]]] = {}
    for event in events:
        parts = first.setdefault(event.run, [])
        if not parts or event.seq != parts[-1][0] + len(parts[-1][1]):
            parts.append((event.seq, []))
        parts[-1][1].append(event.hash[:DIGITS])
    return {
        run: tuple(value for seq, hashes in parts for value in (seq, "".join(hashes)))
        for run, parts in first.items()
    }


def _vouched(run: str, segments: Segments) -> Iterator[tuple[str, int, str]]:
    for first, digits in zip(segments[::2], segments[1::2], strict=True):
        if not isinstance(first, int) or not isinstance(digits, str):
            raise ValueError(f"the hashes of {run} are not written as a checkpoint writes them")
        for place in range(0, len(digits), DIGITS):
            yield run, first + place // DIGITS, digits[place : place + DIGITS]
