"""What the threads of a worker and its committer hand each other."""

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.core import events as ev
from tests.simulator.engine import Claimed, Ending, Step
from tests.simulator.schedule import Task


@dataclass(eq=False, slots=True)
class Job:
    claimed: Claimed
    began: float
    overdue: Callable[[], Ending]
    task: Task | None = None
    # Given up on: what its thread says is not wanted any more.
    is_void: bool = False
    # What the committer says about an intent.
    stored: bool | None = None


@dataclass(frozen=True, slots=True)
class Told:
    job: Job
    ending: Ending | None

    @property
    def is_final(self) -> bool:
        return self.ending is None or self.ending.status != "running"


# How a thread tells its committer; nothing to store means that its own transaction did.
type Tell = Callable[[Job, Ending | None], None]


def ended(claimed: Claimed, status: str, event: ev.Event) -> Ending:
    return Ending(claimed, status, (Step(claimed.run, event, f"cmd:{claimed.id}"),))
