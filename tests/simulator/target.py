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
    is_idempotent: bool
    executed: Counter[str] = field(default_factory=Counter)

    def call(self, key: str, *, refuses: bool = False, falls_silent: bool = False) -> int:
        """A receipt. A second call with a known key never executes again."""
        if key not in self.executed:
            if refuses:
                raise Refused("the target said no")
            self.executed[key] += 1
        elif not self.is_idempotent:
            raise Refused("this key was used before")
        if falls_silent:
            raise Silent("no answer")
        return len(self.executed)
