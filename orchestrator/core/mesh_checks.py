"""What no schema can say of a mesh: that its peers can hear each other, and that one can end it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from orchestrator.core.errors import Problem
from orchestrator.core.observations import AT_MOST
from orchestrator.core.schemas import pointer

DEFAULTS = {"rounds": 5, "at_once": 4, "failures": 2}

type Peers = Mapping[str, Mapping[str, Any]]


def peers_of(raw: Mapping[str, Any]) -> Peers:
    """Those that have the form of one; the schema has said the rest."""
    found = raw.get("peers")
    peers = found if isinstance(found, dict) else {}
    return {name: peer for name, peer in peers.items() if isinstance(peer, dict)}


def check_mesh(raw: Mapping[str, Any]) -> Iterator[Problem]:
    peers = peers_of(raw)
    yield from _check_reads(peers)
    yield from _check_result(raw.get("result"), peers)


def _check_reads(peers: Peers) -> Iterator[Problem]:
    """A tag that nobody else writes is one that nothing new ever comes under."""
    for name, peer in peers.items():
        others = {
            tag for other, found in peers.items() if other != name for tag in _tags(found, "writes")
        }
        reads = _tags(peer, "reads")
        if reads and not others & set(reads):
            reason = "no other peer writes any of these tags, so it would be asked a single time"
            yield Problem(pointer(("peers", name, "reads")), reason)


def _check_result(result: Any, peers: Peers) -> Iterator[Problem]:
    tag = result.get("tag") if isinstance(result, dict) else None
    if isinstance(tag, str) and not any(tag in _tags(peer, "writes") for peer in peers.values()):
        yield Problem("/result/tag", f"no peer may write the tag “{tag}”")


def _tags(peer: Mapping[str, Any], name: str) -> list[str]:
    found = peer.get(name)
    return [tag for tag in found if isinstance(tag, str)] if isinstance(found, list) else []


def complete(
    whole: Mapping[str, Any], complete_work: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """Each peer as a work with a memory of its own scope."""
    most = whole.get("at_most", AT_MOST)
    space = {"space": whole["space"]} if "space" in whole else {}

    def one(peer: Mapping[str, Any]) -> dict[str, Any]:
        scope = {"reads": peer["reads"], "writes": peer["writes"], "at_most": most, **space}
        return {**complete_work(peer), "memory": scope}

    peers = {name: one(peer) for name, peer in whole["peers"].items()}
    return {**DEFAULTS, "at_most": most, **whole, "peers": peers}
