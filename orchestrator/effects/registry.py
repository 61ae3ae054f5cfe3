"""Which executors exist. An effect keeps the name of its own, so the list may grow but not shrink."""

from orchestrator.effects.base import Executor
from orchestrator.effects.ledger import Ledger

# Every action is recorded in the ledger until it is connected to a target of its own.
DEFAULT = "ledger"

EXECUTORS: dict[str, Executor] = {
    DEFAULT: Ledger(),
}
