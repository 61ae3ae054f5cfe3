"""What to do next, in the imperative. A command is stored with the event that caused it."""

from dataclasses import asdict, dataclass
from typing import ClassVar

from orchestrator.core.codec import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    kind: ClassVar[str]
    queue: ClassVar[str]

    @property
    def key(self) -> str:
        """Equal for every attempt to say the same thing: the table refuses the second."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEffect(Command):
    kind: ClassVar[str] = "run_effect"
    queue: ClassVar[str] = "effects"
    proposal: str
    effect: str
    digest: str

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.effect}"


def to_json(command: Command) -> dict[str, Json]:
    return asdict(command)
