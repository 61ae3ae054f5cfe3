"""What was typed into one input, as the JSON value that it stands for. No number is ever rounded."""

import json
import re
from decimal import Decimal

from django.conf import settings

from orchestrator.core.codec import INTEGER_MAX, Json, JsonLimits, canonical, safe_json
from orchestrator.core.errors import BadJson

_NUMBER = re.compile(r"[-+\u2212]?\d{1,400}(?:\.\d{1,400})?(?:[eE][+-]?\d{1,4})?", re.ASCII)
_WHOLE = re.compile(r"[-+\u2212]?\d{1,400}", re.ASCII)


class Unreadable(Exception):
    """The reason is for whoever typed it."""


def json_text(value: Json) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def number_text(value: Json) -> str:
    return canonical(value)


def same_lines(one: str, other: str) -> bool:
    """Browsers send every line end as a carriage return and a line feed."""
    return _with_plain_lines(one) == _with_plain_lines(other)


def read_text(text: str, before: Json) -> str:
    """With the line ends that the text had before."""
    plain = _with_plain_lines(text)
    had_both = isinstance(before, str) and "\r\n" in before
    return plain.replace("\n", "\r\n") if had_both else plain


def read_integer(text: str) -> int:
    typed = text.strip()
    if not _WHOLE.fullmatch(typed):
        raise Unreadable("Write a whole number, such as 1200, in digits alone.")
    number = int(typed.replace("\u2212", "-"))
    if abs(number) > INTEGER_MAX:
        raise Unreadable("It is beyond ±10^18, the largest whole number that is taken.")
    return number


def read_number(text: str) -> int | float:
    typed = text.strip()
    if not _NUMBER.fullmatch(typed):
        raise Unreadable("Write a number, such as 12.5, with a point and without spaces.")
    if _WHOLE.fullmatch(typed):
        return read_integer(typed)
    wanted = Decimal(typed.replace("\u2212", "-"))
    found = float(wanted)
    if abs(found) == float("inf") or Decimal(repr(found)) != wanted:
        raise Unreadable("It has more digits than can be kept exactly. Use at most 15 of them.")
    return found


def read_json(text: str) -> Json:
    limits = JsonLimits(settings.JSON_BYTES_MAX, settings.JSON_DEPTH_MAX, settings.JSON_NODES_MAX)
    try:
        return safe_json(text.encode(), limits)
    except BadJson as error:
        raise Unreadable(f"It was refused: {error.reason}") from error
    except UnicodeEncodeError as error:
        raise Unreadable("It holds half a character, which cannot be stored.") from error


def read_choice(text: str, choices: list[Json]) -> Json:
    if not text.isdecimal() or len(text) > 4 or int(text) >= len(choices):
        raise Unreadable("Choose one of them.")
    return choices[int(text)]


def _with_plain_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
