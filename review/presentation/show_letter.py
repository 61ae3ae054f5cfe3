"""A message as a letter. Nothing in it can be clicked; where its links lead is said beside it."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from orchestrator.core.codec import Json
from review.presentation.sight import Part, Sight

ADDRESSES_MAX = 50
LINKS_MAX = 20
LINK_LENGTH_MAX = 300
# Possessive: a message of a million colons is read once.
_LINK = re.compile(
    r"\b[a-z][a-z0-9+.-]{1,20}+:[^\s<>\"'`)\]}]++|\bwww\.[^\s<>\"'`)\]}]++", re.IGNORECASE
)
_LEADING = (
    "http",
    "https",
    "ftp",
    "javascript",
    "data",
    "vbscript",
    "file",
    "mailto",
    "tel",
    "www.",
)
_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]+")


class Link(NamedTuple):
    text: str
    # Empty where it leads to no host, such as a script.
    host: str
    # What an eye could take for another host.
    is_odd: bool


class Line(NamedTuple):
    name: str
    addresses: list[str]
    is_tainted: bool
    left: int = 0


def letter(sight: Sight) -> dict[str, Any] | None:
    """A text is the body. An object has its parts inside, unless the contract says where they are."""
    parts = dict(sight.parts)
    body: Json = sight.value
    others: dict[str, Json] = {}
    if isinstance(body, dict):
        inside = {name: body[name] for name in ("to", "cc", "subject") if name in body}
        parts = {name: Part("", found, sight.is_tainted) for name, found in inside.items()} | parts
        others = {name: found for name, found in body.items() if name not in (*inside, "body")}
        body = body.get("body")
    lines = [_line(name, parts.get(name)) for name in ("to", "cc")]
    subject = parts.get("subject", Part("", ""))
    if not isinstance(body, str) or not isinstance(subject.value, str) or None in lines:
        return None
    links = list(_links(body))
    return {
        "lines": [line for line in lines if line and line.addresses],
        "subject": subject,
        "body": body,
        "body_is_tainted": sight.is_tainted,
        "others": others,
        "links": links[:LINKS_MAX],
        "links_left": max(0, len(links) - LINKS_MAX),
    }


def _line(name: str, part: Part | None) -> Line | None:
    """None for what are no addresses."""
    if part is None or part.value is None:
        return Line(name, [], is_tainted=False)
    found = part.value if isinstance(part.value, list) else [part.value]
    texts = [one for one in found if isinstance(one, str)]
    if len(texts) < len(found):
        return None
    shown = [address for text in texts for address in _addresses(text)]
    left = max(0, len(shown) - ADDRESSES_MAX)
    return Line(name, shown[:ADDRESSES_MAX], part.is_tainted, left)


def _addresses(text: str) -> list[str]:
    """Several in one text are several."""
    return [one.strip() for one in re.split(r"[,;\n]", text) if one.strip()]


def _links(body: str) -> Iterator[Link]:
    for match in _LINK.finditer(body):
        text = match.group().rstrip(".,;!?")
        if text.lower().startswith(_LEADING):
            host = _host(text)
            yield Link(text[:LINK_LENGTH_MAX], host, bool(host) and not _HOST.fullmatch(host))


def _host(text: str) -> str:
    """Of `https://bank.example@evil.example/` it is evil.example."""
    address = text if ":" in text.partition("/")[0] else f"http://{text}"
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
