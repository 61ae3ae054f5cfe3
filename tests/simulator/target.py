"""The world outside, where effects happen. It is never killed, and it counts."""

from collections import Counter
from dataclasses import dataclass, field


class Refused(Exception):
    """The target said no."""


class Away(Exception):
    """Nothing reached the target."""


class Silent(Exception):
    """The call ended without an answer."""


@dataclass(slots=True)
class Target:
    kind: str
    executed: Counter[str] = field(default_factory=Counter)
    undone: Counter[str] = field(default_factory=Counter)

    @property
    def is_repeatable(self) -> bool:
        """Whether a second call with the same key does no harm."""
        return self.kind != "does it again"

    def call(self, key: str, *, refuses: bool = False, falls_silent: bool = False) -> int:
        """A receipt."""
        return self._do(self.executed, key, refuses, falls_silent)

    def undo(self, key: str, *, refuses: bool = False, falls_silent: bool = False) -> int:
        """A receipt of what takes back what was done. Its key is not the key of what it undoes."""
        return self._do(self.undone, key, refuses, falls_silent)

    def _do(self, done: Counter[str], key: str, refuses: bool, falls_silent: bool) -> int:
        if key not in done or not self.is_repeatable:
            if refuses:
                raise Refused("the target said no")
            done[key] += 1
        elif self.kind == "refuses":
            raise Refused("this key was used before")
        if falls_silent:
            raise Silent("no answer")
        return len(done)
