"""What one seed stands for. Every option is drawn from the seed, so the number alone brings a run back."""

from dataclasses import asdict, dataclass, field
from random import Random

LEASE_MS = 1_000
# For so long people and agents have an item or a question before them.
DUE_MS = 20_000
CRASHES_MAX = 3

# Each seed enables a random half of these, so that rare pairs of faults meet.
FAULTS = (
    "crash",
    "pause",
    "ring lost",
    "ring doubled",
    "ring late",
    "redis wiped",
    "abort",
    "committed, then an error",
    "target silent after it executed",
    "target away",
    "target refuses",
    "target slow",
    "clocks differ",
    "agents fail",
    "agents hang",
    "agents kill their worker",
    "hostile proposals",
    "cancel",
    "people late",
    "signals wrong",
    "second thoughts",
    "people edit",
    "people send back",
    "people roll back",
    "validators fail",
    "disposing stops its worker",
)


@dataclass(frozen=True, slots=True)
class Options:
    seed: int
    workflows: int
    workers: int
    room: int
    reviewers: int
    sweepers: int
    faults: frozenset[str]
    # What a second call with the same key gets: the same receipt, a refusal, or a second effect.
    target: str
    crash_rate: float
    error_rate: float
    mutants: frozenset[str] = field(default_factory=frozenset)

    def __str__(self) -> str:
        values = asdict(self) | {"faults": sorted(self.faults), "mutants": sorted(self.mutants)}
        return ", ".join(f"{name}={value!r}" for name, value in values.items())


def derive(seed: int, mutants: frozenset[str] = frozenset()) -> Options:
    chance = Random(f"options of {seed}")  # noqa: S311  (it has to be repeatable, not secret)
    return Options(
        seed=seed,
        workflows=chance.randint(6, 12),
        workers=chance.randint(1, 3),
        room=chance.choice([1, 3, 8]),
        reviewers=chance.randint(1, 3),
        sweepers=chance.randint(1, 2),
        faults=frozenset(fault for fault in FAULTS if chance.random() < 0.5),
        target=chance.choice(["answers again", "answers again", "refuses", "does it again"]),
        crash_rate=chance.choice([0.001, 0.005, 0.02]),
        error_rate=chance.choice([0.005, 0.02, 0.08]),
        mutants=mutants,
    )
