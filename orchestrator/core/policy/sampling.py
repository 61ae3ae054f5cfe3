"""Which proposals are put before people although nobody would have looked at them.

A keyed hash of the id draws: retries and replays draw the same, and whoever does not know the key can
neither predict nor steer it. Agents propose; the id is made by the server, the key never leaves it.
"""

import hashlib
import hmac

# A hash cut to so many bits is a whole number below ALL, each of them equally likely.
_BYTES = 8
ALL = 1 << (8 * _BYTES)


def key_from(secret: str) -> bytes:
    """A key for drawing alone, so that no other use of the secret tells anything about a draw."""
    return hmac.digest(secret.encode(), b"countersign.sampling", hashlib.sha256)


def drawn(key: bytes, proposal_id: str, share: float, purpose: str) -> bool:
    """Whether this one belongs to the share; draws for two purposes have nothing to do with each other."""
    return place(key, proposal_id, purpose) < round(share * ALL)


def place(key: bytes, proposal_id: str, purpose: str) -> int:
    """Where it stands in the order of the draw: a whole number below ALL."""
    # The NUL stands in neither, so no two pairs give one message.
    message = f"{purpose}\x00{proposal_id}".encode()
    return int.from_bytes(hmac.digest(key, message, hashlib.sha256)[:_BYTES], "big")
