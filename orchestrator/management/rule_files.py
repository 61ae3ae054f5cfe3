"""Files with rules: which there are, what they say, and where they are wrong."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from orchestrator.core import yaml_text
from orchestrator.core.errors import HistoryInvalid, RuleInvalid
from orchestrator.core.policy import rule_text
from orchestrator.core.policy.rule_text import Document
from orchestrator.core.yaml_places import Place
from orchestrator.core.yaml_text import Sheet

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class FileFault:
    """One thing that is wrong, in the form in which editors and CI find the place."""

    path: Path
    place: Place
    reason: str

    def __str__(self) -> str:
        return f"{self.path}:{self.place.line}:{self.place.column}: {self.reason}"


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A rule as a file says it."""

    path: Path
    sheet: Sheet
    document: Document

    def fault_at(self, pointer: str, reason: str) -> FileFault:
        said = f"{pointer}: {reason}" if pointer else reason
        return FileFault(self.path, self.sheet.place_of(pointer), said)

    def faults_of(self, error: RuleInvalid) -> list[FileFault]:
        """What the rule itself refuses, at the place in the file that says it."""
        if isinstance(error, HistoryInvalid) and error.problems:
            return [self.fault_at(f"/history{one.pointer}", one.reason) for one in error.problems]
        place = self.sheet.place_inside("/require", error.line, error.column)
        return [FileFault(self.path, place, f"/require: {error.reason}")]


def find_files(paths: Iterable[Path]) -> list[Path]:
    """The files themselves, and of each folder those that look like rules, in a steady order."""
    found: dict[Path, None] = {}
    for path in paths:
        inside = path.rglob("*") if path.is_dir() else [path]
        found |= dict.fromkeys(
            sorted(one for one in inside if one is path or one.suffix in SUFFIXES)
        )
    return list(found)


def read_files(paths: Iterable[Path]) -> tuple[list[RuleFile], list[FileFault]]:
    """Every rule of every file, and everything that is wrong with their form."""
    rules: list[RuleFile] = []
    faults: list[FileFault] = []
    for path in find_files(paths):
        for sheet in _sheets(path, faults):
            rules += _rule(path, sheet, faults)
    return rules, [*faults, *_said_twice(rules)]


def _sheets(path: Path, faults: list[FileFault]) -> list[Sheet]:
    limit = settings.RULES_FILE_BYTES_MAX
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        faults.append(FileFault(path, Place(1, 1), f"it cannot be read: {error.strerror}"))
        return []
    if len(data) > limit:
        reason = f"it has more than {limit:,} bytes (RULES_FILE_BYTES_MAX)"
        faults.append(FileFault(path, Place(1, 1), reason))
        return []
    sheets, found = yaml_text.read(data)
    faults += [FileFault(path, fault.place, fault.reason) for fault in found]
    return sheets


def _rule(path: Path, sheet: Sheet, faults: list[FileFault]) -> Iterator[RuleFile]:
    problems = rule_text.problems_of(sheet.value)
    for problem in problems:
        reason = f"{problem.pointer}: {problem.reason}" if problem.pointer else problem.reason
        faults.append(FileFault(path, sheet.place_of(problem.pointer), reason))
    if not problems and isinstance(sheet.value, dict):
        yield RuleFile(path, sheet, rule_text.from_json(sheet.value))


def _said_twice(rules: Sequence[RuleFile]) -> Iterator[FileFault]:
    first: dict[str, RuleFile] = {}
    for rule in rules:
        known = first.setdefault(rule.document.slug, rule)
        if known is not rule:
            place = known.sheet.place_of("/slug")
            said = f"“{rule.document.slug}” is a rule in {known.path}:{place.line} already"
            yield rule.fault_at("/slug", said)
