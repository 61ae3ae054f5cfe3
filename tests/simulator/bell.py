"""Redis: a doorbell."""

from collections.abc import Callable
from random import Random


class Bell:
    """It may lose, double and reorder what it is told, and forget everything at any moment."""

    def __init__(self, chance: Random, strikes: Callable[[str, float], bool]) -> None:
        self.chance = chance
        self._strikes = strikes
        self.rung: dict[str, list[int]] = {}
        self.wake: Callable[[str], None] = lambda queue: None

    def ring(self, queue: str, commands: list[int]) -> None:
        for command in commands:
            if self._strikes("ring lost", 0.5):
                continue
            line = self.rung.setdefault(queue, [])
            times = 2 if self._strikes("ring doubled", 0.5) else 1
            at = self.chance.randint(0, len(line)) if self._strikes("ring late", 0.5) else len(line)
            line[at:at] = [command] * times
            self.wake(queue)

    def answer(self, queue: str) -> bool:
        """Whether it rang. One ring wakes one."""
        line = self.rung.get(queue)
        return bool(line and line.pop(0))

    def wipe(self) -> None:
        self.rung.clear()
