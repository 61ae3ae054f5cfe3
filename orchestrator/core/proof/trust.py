"""Which checkpoints to believe: signed, in an unbroken row, and the same in every copy."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from orchestrator.core.proof.findings import Findings
from orchestrator.core.proof.statement import FIRST, Signed, Statement, hash_of

type IsSigned = Callable[[Signed], bool]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that is none of ours, or only the first part of one."""

    where: str
    reason: str


type Lines = Iterable[Signed | Unreadable]


@dataclass(slots=True)
class Trust:
    """Goes through the checkpoints of the database and of the files side by side."""

    is_signed: IsSigned
    findings: Findings
    stored: int = 0
    copied: int = 0
    last: Signed | None = None
    # Since the last line that the files have.
    not_copied: list[Statement] = field(default_factory=list)

    def believed(self, stored: Lines, copied: Lines) -> Iterator[Statement]:
        database = self._signed(stored, "in the database")
        files = self._signed(copied, "in the files")
        for row, line in side_by_side(database, files):
            self._compare(row, line)
            one = line or row
            if one:
                self._follow(one)
                self.last = one
                yield one.statement

    def _signed(self, lines: Lines, where: str) -> Iterator[Signed]:
        number = 0
        for line in lines:
            if isinstance(line, Unreadable):
                self.findings.doubt(f"{line.where} is no checkpoint of ours: {line.reason}")
            elif not self.is_signed(line):
                self._doubt(line, f"{where} was not signed by this key")
            elif line.statement.number <= number:
                self._doubt(line, f"{where} is out of order")
            else:
                number = line.statement.number
                yield line

    def _compare(self, row: Signed | None, line: Signed | None) -> None:
        self.stored += row is not None
        self.copied += line is not None
        if line is None and row:
            self.not_copied.append(row.statement)
            return
        for lacking in self.not_copied:
            self.findings.doubt(f"checkpoint {lacking.number} is missing in the files")
        self.not_copied.clear()
        if row is None and line:
            self._doubt(line, "is missing in the database, and the files have it")
        elif row and line and row.text != line.text:
            self._doubt(line, "is another one in the database than in the files")

    def _follow(self, signed: Signed) -> None:
        expected = self.last.statement.number + 1 if self.last else 1
        if signed.statement.number > expected:
            self.findings.doubt(f"checkpoint {expected} is missing everywhere")
        elif signed.statement.previous != (hash_of(self.last.text) if self.last else FIRST):
            self._doubt(signed, "does not follow the one before it")

    def _doubt(self, signed: Signed, reason: str) -> None:
        self.findings.doubt(f"checkpoint {signed.statement.number} {reason}")


def side_by_side(
    left: Iterator[Signed], right: Iterator[Signed]
) -> Iterator[tuple[Signed | None, Signed | None]]:
    """Both in the order of their numbers; None where one of them has none of that number."""
    one, other = next(left, None), next(right, None)
    while one or other:
        number = min(signed.statement.number for signed in (one, other) if signed)
        first = one if one and one.statement.number == number else None
        second = other if other and other.statement.number == number else None
        yield first, second
        one = next(left, None) if first else one
        other = next(right, None) if second else other
