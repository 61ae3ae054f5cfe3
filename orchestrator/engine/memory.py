"""What one worker remembers between two steps of the same run. Only to spare reading: never the truth."""

from collections import OrderedDict
from collections.abc import Hashable

from orchestrator.core.codec import Json
from orchestrator.core.state import RunState

RUNS_MAX = 5_000
VALUES_MAX = 5_000
# Larger states and values are read again when they are needed.
STATE_LENGTH_MAX = 64_000
VALUE_LENGTH_MAX = 16_000


class Recent[Key: Hashable, Value](OrderedDict[Key, Value]):
    """The newest few; the rest is forgotten."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def __setitem__(self, key: Key, value: Value) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        while len(self) > self.most:
            self.popitem(last=False)


class Memory:
    """Of runs: the state after which event. Of events: what they brought."""

    def __init__(self) -> None:
        self.states: Recent[str, tuple[int, RunState]] = Recent(RUNS_MAX)
        self.values: Recent[tuple[str, int], Json] = Recent(VALUES_MAX)

    def known_seq(self, run: str) -> int:
        found = self.states.get(run)
        return found[0] if found else -1

    def forget(self, run: str) -> None:
        self.states.pop(run, None)
