"""Do the work of workers in the test's own thread and transaction."""

from orchestrator.core.codec import Json
from orchestrator.engine.claim import Claimed, claim
from orchestrator.engine.crew import Crew
from orchestrator.jobs import DESK
from orchestrator.models import Run
from orchestrator.queries import output_of_run


def crew(queue: str = "effects") -> Crew:
    return Crew(queue, threads=1, desk=DESK)


def work_shift(queue: str, *, at_most: int = 1_000_000) -> int:
    return crew(queue).drain(at_most)


def work_all() -> None:
    """Every queue, until nothing is ready any more."""
    while sum(work_shift(queue) for queue in ("agents", "isolated", "effects")):
        pass


def claim_one(queue: str = "effects", worker: str = "test") -> Claimed | None:
    claims = claim(queue, worker=worker, at_most=1)
    return claims[0] if claims else None


def run(claimed: Claimed) -> None:
    crew().run(claimed)


def output_of(run: Run) -> Json:
    return output_of_run(run, run.canonical_state)
