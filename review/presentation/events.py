"""The events of a run as lines: in words, with everything that was stored folded beneath."""

from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Any

from review.presentation.happenings import tell
from review.presentation.veil import veil, veiled_text
from review.run_reads import TEXT_CUT_TO, Entry


@dataclass(frozen=True, slots=True)
class Told:
    entry: Entry
    text: str
    tone: str
    facts: dict[str, Any]
    # The beginning of what is too long for a list.
    cut: str


def told_events(entries: Iterable[Entry], veiled: Set[str]) -> list[Told]:
    return [_told(entry, veiled) for entry in entries]


def _told(entry: Entry, veiled: Set[str]) -> Told:
    facts = veil(entry.kind, entry.facts, veiled)
    text, tone = tell(entry.kind, facts)
    cut = veiled_text(entry.kind, entry.text[:TEXT_CUT_TO], veiled) if entry.is_cut else ""
    return Told(entry, text, tone, facts, cut)
