"""Which arguments of a call were brought in by text that nobody vouches for.

An identifier that an agent read in the output of a tool (a web page, a message, a bill) taints the
arguments of its call that name somebody or something. Later in the run their values are known: `Fred`,
invited by an address from a web page, is the same `Fred` when he is added to a channel.
"""

from typing import Any

# What names somebody or something; texts, amounts and dates do not.
NAMING = ("recipient", "user", "user_email", "url", "channel", "id")


class Lineage:
    """The tainted values of one run."""

    def __init__(self) -> None:
        self._values: set[str] = set()

    def tainted(self, args: dict[str, Any], *, identifiers_from: str) -> list[str]:
        """JSON pointers into the arguments."""
        named = {f"/{name}": str(args[name]).lower() for name in NAMING if args.get(name)}
        if identifiers_from == "tool":
            self._values |= set(named.values())
        return [pointer for pointer, value in named.items() if value in self._values]
