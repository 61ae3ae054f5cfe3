"""What the filters of a report offer: the names that occur."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Choices:
    """Sorted by name, each list with at most `at_most` of them."""

    agents: tuple[str, ...]
    # Of the agent that was chosen; of none when none was.
    agent_versions: tuple[str, ...]
    models: tuple[str, ...]
    actions: tuple[str, ...]
    tiers: tuple[str, ...]
    workflows: tuple[str, ...]
    rules: tuple[str, ...]


def choices(agent: str = "", *, at_most: int = 200) -> Choices:
    raise NotImplementedError
