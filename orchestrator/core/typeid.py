"""Readable ids: a kind, an underscore and a UUIDv7 in 26 letters, such as `prp_01jd3v8...`.

One text that can be pasted from an address into a query at 3 a.m.; it sorts by time. See ADR 0003.
"""

import re
from datetime import datetime
from typing import Final

ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH: Final = 26
PATTERN: Final = re.compile(r"[a-z]{3}_[0-7][0-9a-hjkmnp-tv-z]{25}")


def make(prefix: str, *, at_ms: int, entropy: int) -> str:
    """`at_ms` since 1970 and at least 74 random bits, both brought by the caller."""
    number = (at_ms & 0xFFFF_FFFF_FFFF) << 80
    number |= 0x7 << 76 | (entropy >> 62 & 0xFFF) << 64
    number |= 0b10 << 62 | entropy & 0x3FFF_FFFF_FFFF_FFFF
    letters = [ALPHABET[number >> shift & 31] for shift in range(125, -1, -5)]
    return f"{prefix}_{''.join(letters)}"


def least_at(prefix: str, moment: datetime) -> str:
    """Smaller than every id that is made from then on."""
    return make(prefix, at_ms=max(0, int(moment.timestamp() * 1_000)), entropy=0)


def is_id(text: str, prefix: str) -> bool:
    return text.startswith(prefix + "_") and PATTERN.fullmatch(text) is not None


def made_at_ms(text: str) -> int:
    """When it was made: the time that its order goes by."""
    number = 0
    for letter in text[-LENGTH:]:
        number = number << 5 | ALPHABET.index(letter)
    return number >> 80
