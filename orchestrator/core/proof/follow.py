"""Each run's chain, from its first event to the end that the run itself names."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from orchestrator.core.proof.findings import Finding, Findings, Wrong
from orchestrator.core.proof.statement import FIRST


@dataclass(frozen=True, slots=True)
class Link:
    """An event of the chain; `computed` is the hash that its content gives."""

    id: int
    run: str
    seq: int
    kind: str
    prev_hash: str
    hash: str
    computed: str


@dataclass(frozen=True, slots=True)
class RunEnd:
    """What a run says of its own log."""

    run: str
    seq: int
    head: str


def follow(
    ends: Iterable[RunEnd], links: Iterable[Link], findings: Findings, *, vouched_up_to: int
) -> None:
    """Both in the order of runs, links within a run in the order of their sequence numbers."""
    for run, end, chain in by_run(ends, links):
        found = first_broken(run, end, chain, vouched_up_to)
        if found:
            findings.add(found)


def first_broken(
    run: str, end: RunEnd | None, chain: Iterable[Link], vouched_up_to: int
) -> Finding | None:
    expected, before = 1, None
    for link in chain:
        if end is None:
            return Finding(run, link.seq, Wrong.ORPHANED, link.kind)
        wrong = _what_is_wrong(link, before, expected, end)
        if wrong is Wrong.MISSING:
            return Finding(run, expected, wrong)
        if wrong is Wrong.REPLACED and before and before.id > vouched_up_to:
            # Of two that do not fit, the earlier is the one that its successor never saw.
            return Finding(run, before.seq, wrong, before.kind)
        if wrong:
            return Finding(run, link.seq, wrong, link.kind)
        expected, before = link.seq + 1, link
    return _what_is_wrong_at_the_end(end, before) if end else None


def by_run(
    ends: Iterable[RunEnd], links: Iterable[Link]
) -> Iterator[tuple[str, RunEnd | None, Iterable[Link]]]:
    """Every run that has a row, or events, or both."""
    waiting = iter(ends)
    end = next(waiting, None)
    for run, chain in groupby(links, key=lambda link: link.run):
        while end and end.run < run:
            yield end.run, end, ()
            end = next(waiting, None)
        yield run, end if end and end.run == run else None, chain
        if end and end.run == run:
            end = next(waiting, None)
    while end:
        yield end.run, end, ()
        end = next(waiting, None)


def is_intact(link: Link) -> bool:
    return link.hash == link.computed


def is_linked(link: Link, before: Link | None) -> bool:
    return link.prev_hash == (before.hash if before else FIRST)


def is_later(link: Link, before: Link | None) -> bool:
    return before is None or link.id > before.id


def _what_is_wrong(link: Link, before: Link | None, expected: int, end: RunEnd) -> Wrong | None:
    if link.seq > expected:
        return Wrong.MISSING
    if link.seq < expected or link.seq > end.seq:
        return Wrong.NOT_BY_US
    if not is_intact(link):
        return Wrong.CHANGED
    if not is_linked(link, before):
        return Wrong.REPLACED
    return None if is_later(link, before) else Wrong.OUT_OF_ORDER


def _what_is_wrong_at_the_end(end: RunEnd, last: Link | None) -> Finding | None:
    seq = last.seq if last else 0
    if end.seq > seq:
        return Finding(end.run, seq + 1, Wrong.CUT)
    if last and end.head != last.hash:
        return Finding(end.run, seq, Wrong.NOT_THE_END, last.kind)
    return None
