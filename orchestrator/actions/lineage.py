"""Where the arguments of a proposal came from, as far as that is known, and what follows from it.

Outside agents say themselves which of their arguments came from untrusted text. Of agents that run here
it is found out: what their tools said is looked for in what they propose.
"""

from collections.abc import Iterable, Mapping, Sequence

from django.conf import settings

from orchestrator.core import taint
from orchestrator.core.codec import Json
from orchestrator.core.taint import Source, Tainted
from orchestrator.models import Proposal

# The name of the check that is kept with a proposal whose arguments are tainted.
CHECK = "untrusted-arguments"
SHOWN_MAX = 20
TEXT_MAX = 300
UNKNOWN = "untrusted text"


def find(
    args: Mapping[str, Json], target: str, sources: Iterable[Source], trusted: Sequence[Json] = ()
) -> tuple[Tainted, ...]:
    """Which parts of what would run came from these sources."""
    proposed: dict[str, Json] = {"args": dict(args), "target": target}
    limits = taint.Limits(settings.TAINT_LENGTH_MIN, settings.TAINT_NUMBER_MIN)
    return taint.find(proposed, sources, limits, trusted=trusted)


def everything(args: Mapping[str, Json], target: str, origin: str) -> tuple[Tainted, ...]:
    """All that would run."""
    return taint.everything({"args": dict(args), "target": target}, origin)


def told(found: Iterable[Tainted]) -> list[Json]:
    """As a proposal keeps it."""
    return [{"pointer": one.pointer, "origin": one.origin, "how": one.how} for one in found]


def sentences(proposal: Proposal) -> tuple[str, ...]:
    """Why a person has to look at it, one sentence for each tainted argument; empty for most."""
    if not proposal.tainted:
        return ()
    known = {str(one.get("pointer")): one for one in proposal.lineage}
    said = [_sentence(pointer, known.get(pointer)) for pointer in proposal.tainted[:SHOWN_MAX]]
    more = len(proposal.tainted) - len(said)
    return (*said, f"and {more} more arguments") if more else tuple(said)


def _sentence(pointer: str, found: Mapping[str, Json] | None) -> str:
    origin = str(found.get("origin", UNKNOWN)) if found else UNKNOWN
    how = str(found.get("how", taint.EXACT)) if found else taint.EXACT
    return Tainted(pointer[:TEXT_MAX], origin[:TEXT_MAX], how).sentence
