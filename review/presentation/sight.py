"""A value that is to be shown, with those it is shown with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from orchestrator.core.codec import Json


class Part(NamedTuple):
    # Of an argument its place; of what the contract itself says its text.
    pointer: str
    value: Json
    is_tainted: bool = False


@dataclass(frozen=True, slots=True)
class Sight:
    value: Json
    pointer: str = ""
    is_tainted: bool = False
    # By their names: currency, old, to, cc, subject.
    parts: Mapping[str, Part] = field(default_factory=dict)

    def part(self, name: str) -> Json:
        found = self.parts.get(name)
        return found.value if found else None
