"""A statement of SQL, coloured by what its words are, with what it would do to every row said first.

Read by the rules of PostgreSQL: what another database takes for a text or a comment may differ.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

from review.presentation.sight import Sight

COLOURED_MAX = 20_000
# In order: the first that fits is what it is. Possessive throughout, so that no text is read twice.
_TOKENS = {
    "comment": r"--[^\n]*+|/\*(?:[^*]|\*(?!/))*+(?:\*/)?",
    "string": r"(?i:e)'(?:[^'\\]|\\.|'')*+'?|(?i:[nbx]|u&)?'(?:[^']|'')*+'?|\$(?P<tag>\w*+)\$(?s:.*?)\$(?P=tag)\$",
    "name": r'"(?:[^"]|"")*+"?|`[^`]*+`?',
    "number": r"\b\d[\w.]*+",
    "word": r"[^\W\d]\w*+",
    "space": r"\s++",
    "mark": r".",
}
_TOKEN = re.compile("|".join(f"(?P<{kind}>{text})" for kind, text in _TOKENS.items()), re.DOTALL)
_KEYWORDS = frozenset(
    {
        "ADD", "ALL", "ALTER", "AND", "ANY", "AS", "ASC", "BEGIN", "BETWEEN", "BY", "CASCADE", "CASE",
        "COLUMN", "COMMIT", "CONFLICT", "CONSTRAINT", "COPY", "CREATE", "CROSS", "DATABASE", "DEFAULT",
        "DELETE", "DESC", "DISTINCT", "DO", "DROP", "ELSE", "END", "EXCEPT", "EXECUTE", "EXISTS",
        "FALSE", "FOR", "FROM", "FULL", "FUNCTION", "GRANT", "GROUP", "HAVING", "IF", "ILIKE", "IN",
        "INDEX", "INNER", "INSERT", "INTERSECT", "INTO", "IS", "JOIN", "LEFT", "LIKE", "LIMIT", "LOCK",
        "MERGE", "NOT", "NOTHING", "NULL", "OFFSET", "ON", "ONLY", "OR", "ORDER", "OUTER", "OVER",
        "PARTITION", "RETURNING", "REVOKE", "RIGHT", "ROLE", "ROLLBACK", "SCHEMA", "SELECT", "SET",
        "TABLE", "THEN", "TO", "TRIGGER", "TRUE", "TRUNCATE", "UNION", "UPDATE", "USER", "USING",
        "VALUES", "VIEW", "WHEN", "WHERE", "WITH",
    }
)  # fmt: skip
# Before these, DELETE and UPDATE begin no statement: FOR UPDATE, ON DELETE, DO UPDATE, GRANT DELETE.
_NO_BEGINNING = frozenset(
    {"FOR", "ON", "DO", "KEY", "GRANT", "REVOKE", "BEFORE", "AFTER", "OR", ","}
)
_WHOLE = {
    "DROP": "removes {what} itself",
    "TRUNCATE": "removes every row of {what}",
    "ALTER": "changes {what} itself",
    "GRANT": "gives rights away",
    "REVOKE": "takes rights away",
}
_STARTS = frozenset({"", ";", "BEGIN", "THEN"})
STATEMENTS_MAX = 50
NAME_WORDS_MAX = 12
_CLAUSE_ENDS = frozenset({"RETURNING", ";"})


class Token(NamedTuple):
    kind: str
    text: str

    @property
    def upper(self) -> str:
        return self.text.upper()


class Bit(NamedTuple):
    """A piece of the text, and whether it is what a warning is about."""

    kind: str
    text: str
    is_warned: bool


def statement(sight: Sight) -> dict[str, Any] | None:
    if not isinstance(sight.value, str) or not sight.value.strip():
        return None
    tokens = tokens_of(sight.value[:COLOURED_MAX])
    warned = dict(warnings_of(tokens))
    return {
        "bits": [Bit(t.kind, t.text, index in warned) for index, t in enumerate(tokens)],
        "beyond": sight.value[COLOURED_MAX:],
        "warnings": list(dict.fromkeys([*warned.values(), *_general(tokens, sight.value)])),
    }


def tokens_of(text: str) -> list[Token]:
    """Together they are the text again."""
    return [_token(match) for match in _TOKEN.finditer(text)]


def _token(match: re.Match[str]) -> Token:
    kind = next(name for name in _TOKENS if match[name] is not None)
    text = match.group()
    return Token("keyword" if kind == "word" and text.upper() in _KEYWORDS else kind, text)


def warnings_of(tokens: Sequence[Token]) -> Iterator[tuple[int, str]]:
    """The number of the word, and what it would do."""
    said = [(n, t) for n, t in enumerate(tokens) if t.kind not in {"space", "comment"}]
    beginnings = [place for place in range(len(said)) if _is_beginning(said, place)]
    for place in beginnings[:STATEMENTS_MAX]:
        number, token = said[place]
        following = [after for _, after in said[place + 1 :]]
        if token.upper in _WHOLE:
            what = _named(following, ("IF", "EXISTS", "ONLY", "CONCURRENTLY"))
            yield number, f"{token.upper} {_WHOLE[token.upper].format(what=what)}"
        elif not _has_condition(following):
            what = _named(following, ("FROM", "ONLY"))
            yield number, f"{token.upper} without WHERE: it touches every row of {what}"
    for place in beginnings[STATEMENTS_MAX:]:
        yield said[place][0], f"It has more than {STATEMENTS_MAX} statements that change something"


def _is_beginning(said: Sequence[tuple[int, Token]], place: int) -> bool:
    token = said[place][1]
    before = said[place - 1][1].upper if place else ""
    if token.upper in _WHOLE:
        return token.kind == "keyword" and before in _STARTS
    return token.upper in {"DELETE", "UPDATE"} and before not in _NO_BEGINNING


def _has_condition(following: Sequence[Token]) -> bool:
    """A WHERE of this statement, not of one inside it, that names something of the row."""
    depth, is_inside = 0, False
    for token in following:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth < 0 or (depth == 0 and token.upper in _CLAUSE_ENDS):
            return False
        if is_inside and token.kind in {"word", "name"}:
            return True
        if depth == 0 and token.upper == "WHERE":
            is_inside = True
    return False


def _named(following: Sequence[Token], skipped: Sequence[str]) -> str:
    """`TABLE IF EXISTS a.b` is the table a.b."""
    words = [token for token in following[:NAME_WORDS_MAX] if token.upper not in skipped]
    kinds = list(takewhile(lambda token: token.kind == "keyword", words))
    names = takewhile(
        lambda token: token.kind in {"word", "name"} or token.text == ".", words[len(kinds) :]
    )
    name, after_dot = "", True
    for token in names:
        if token.text != "." and not after_dot:
            break
        name, after_dot = name + token.text, token.text == "."
    kind = f"the {kinds[0].text.lower()} " if kinds else ""
    return f"{kind}{name}"[:80].strip() or "what it names"


def _general(tokens: Sequence[Token], text: str) -> Iterator[str]:
    said = [token for token in tokens if token.kind not in {"space", "comment"}]
    while said and said[-1].text == ";":
        said.pop()
    if any(token.text == ";" for token in said):
        yield "It is more than one statement"
    if any(token.kind == "comment" and token.text.startswith("/*!") for token in tokens):
        yield "It has a comment that MySQL would run"
    if any(token.kind == "comment" and "/*" in token.text[2:] for token in tokens):
        yield "It has a comment inside a comment, which databases read differently"
    if any(token.kind == "string" and "\\'" in token.text for token in tokens):
        yield "It has a backslash before a quote, which databases read differently"
    if any(_is_open(token) for token in tokens):
        yield "It has a text or a comment that does not end"
    if len(text) > COLOURED_MAX:
        yield f"Only the first {COLOURED_MAX:,} characters were looked at"


def _is_open(token: Token) -> bool:
    if token.text.startswith("/*"):
        return not token.text.endswith("*/") or len(token.text) < 4
    if token.kind == "string" and token.text[0] != "$":
        return token.text.replace("\\'", "").count("'") % 2 == 1
    return token.kind == "name" and token.text.count(token.text[0]) % 2 == 1
