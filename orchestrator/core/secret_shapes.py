"""Texts that look like keys and passwords, hidden before what agents were handed and said is kept.

By their shape alone, so what looks like nothing is kept: contracts name what has to be masked for certain.
Every pattern is linear in the length of the text, and is only tried where something of it stands there:
most texts have nothing of any.
"""

import re
from typing import NamedTuple

MASKED = "(masked)"
# What keys of vendors begin with.
_STARTS = (
    *("sk", "pk", "rk", "cs", "ghp", "gho", "ghu", "ghs", "ghr", "github_pat", "glpat"),
    *("xoxa", "xoxb", "xoxe", "xoxp", "xoxr", "xoxs", "hf", "npm", "pypi"),
)
_LETTER = "[A-Za-z0-9_-]"


class _Shape(NamedTuple):
    # One of them is in every text that the pattern fits, in small letters.
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    # What is left of it: the name of the thing, never the thing.
    left: str = MASKED


_SHAPES = (
    _Shape(
        ("-----begin",),
        re.compile(
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]{0,20000}(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?"
        ),
    ),
    _Shape(
        ("bearer", "basic"),
        re.compile(r"(?i)\b(bearer|basic)(\s+)[A-Za-z0-9+/._~=-]{12,}"),
        rf"\1\2{MASKED}",
    ),
    _Shape(
        ("eyj",),
        # What stands between dots is looked at once, and not again from each beginning in it.
        re.compile(
            rf"(?<!{_LETTER})(?={_LETTER}{{11,}}\.{_LETTER}{{8,}}\.)({_LETTER}*?)"
            rf"\beyJ{_LETTER}{{8,}}\.{_LETTER}{{8,}}\.{_LETTER}*"
        ),
        rf"\1{MASKED}",
    ),
    _Shape(
        tuple(f"{start}{joint}" for start in _STARTS for joint in "-_"),
        re.compile(rf"\b(?:{'|'.join(_STARTS)})[-_][A-Za-z0-9_-]{{16,}}"),
    ),
    _Shape(("akia", "asia"), re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    _Shape(("aiza",), re.compile(r"\bAIza[A-Za-z0-9_-]{30,}")),
    # A password in an address.
    _Shape(
        ("://",),
        re.compile(r"(\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@]{1,100}:)[^\s@/]{1,200}(?=@)"),
        rf"\1{MASKED}",
    ),
    # What is called a secret is one, however it looks.
    _Shape(
        ("passw", "secret", "key", "token"),
        re.compile(
            r"""(?i)((?:\b|_)(?:password|passwd|secret|api[_-]?key|access[_-]?token|refresh[_-]?token|"""
            r"""client[_-]?secret|private[_-]?key)\\?["']?\s{0,3}[:=]\s{0,3}\\?["']?)[^\s"'\\,;&}]{4,500}"""
        ),
        rf"\1{MASKED}",
    ),
)


def hide_secrets(text: str) -> str:
    # As the patterns fold case: a long s and the sign of Kelvin are letters like any other.
    folded = text.casefold()
    for shape in _SHAPES:
        if any(hint in folded for hint in shape.hints):
            text = shape.pattern.sub(shape.left, text)
    return text
