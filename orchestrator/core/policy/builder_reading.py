"""From the text of a condition to rows, for as much of the language as rows can say."""

import re
from typing import NamedTuple, NoReturn

from orchestrator.core.policy.builder import (
    COMPARISONS,
    IDENTIFIER,
    METHODS,
    RESERVED,
    ROWS_MAX,
    NotSimple,
    Row,
    Rows,
    Scalar,
    field_of,
    problem_of,
)
from orchestrator.core.policy.conditions import CONDITION_LENGTH_MAX

SIGNS = {operator.form.split()[1]: name for name, operator in COMPARISONS.items()}
CALLS = {operator.form.split("(")[0]: name for name, operator in METHODS.items()}
WORDS: dict[str, Scalar] = {"true": True, "false": False, "null": None}
NEGATIONS = {"one_of": "none_of", "includes": "excludes", "given": "missing"} | {
    positive: CALLS["!" + call] for call, positive in CALLS.items() if not call.startswith("!")
}
JOINS = {"&&": "all", "||": "any"}

_TOKENS = re.compile(
    r"""(?P<space>\s+)
    |(?P<comment>//)
    |(?P<number>(?:\d+\.\d+|\.\d+|\d+)(?:[eE][+-]?\d+)?)(?![\w.])
    |(?P<name>[A-Za-z_]\w*)(?!["'])
    |(?P<text>"(?!"")(?:[^"\\\n]|\\.)*"|'(?!'')(?:[^'\\\n]|\\.)*')
    |(?P<sign>&&|\|\||==|!=|<=|>=|[<>!()\[\],.-])""",
    re.VERBOSE | re.ASCII,
)
_PIECE = re.compile(r"\S{1,12}|.", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[xX][0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPED = {
    **{sign: sign for sign in "\\\"'`?"},
    **dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True)),
}
DEPTH_MAX = 20
SURROGATES = range(0xD800, 0xE000)


class Token(NamedTuple):
    kind: str
    text: str
    at: int


class _CannotShow(Exception):
    """With the reason, and the place in the text."""

    def __init__(self, reason: str, at: int) -> None:
        super().__init__(reason)
        self.at = at


def to_rows(text: str) -> Rows | NotSimple:
    if len(text) > CONDITION_LENGTH_MAX:
        return NotSimple(f"it is longer than {CONDITION_LENGTH_MAX:,} characters")
    try:
        return _Reader(text).read()
    except _CannotShow as problem:
        before = text[: problem.at]
        line, column = before.count("\n") + 1, problem.at - (before.rfind("\n") + 1) + 1
        return NotSimple(f"{problem} (line {line}, column {column})")


class _Reader:
    """Reads one token after the other, and gives up at the first that rows have no place for."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens_of(text)
        self._next = 0
        self._depth = 0

    def read(self) -> Rows:
        rows = [self._row()]
        join = ""
        while (token := self._take()).kind != "end":
            if token.text not in JOINS:
                _refuse(f"“{token.text}” has no place in rows", token)
            if join and token.text != join:
                _refuse("it mixes “and” with “or”", token)
            join = token.text
            rows.append(self._row())
        if len(rows) > ROWS_MAX:
            _refuse(f"it has more than {ROWS_MAX} rows", self._tokens[-1])
        return Rows(tuple(rows), JOINS[join or "&&"])

    def _row(self) -> Row:
        start = self._peek()
        row = self._negated() if start.text == "!" else self._group()
        problem = problem_of(row)
        if problem:
            _refuse(problem.rstrip(".").lower(), start)
        return row

    def _negated(self) -> Row:
        sign = self._take()
        row = self._group() if self._peek().text == "(" else self._plain(is_negated=True)
        if row.operator not in NEGATIONS:
            _refuse("“not” stands before something that rows cannot turn round", sign)
        return row._replace(operator=NEGATIONS[row.operator])

    def _group(self) -> Row:
        opening = self._peek()
        if opening.text != "(":
            return self._plain()
        self._take()
        self._depth += 1
        if self._depth > DEPTH_MAX:
            _refuse("it has too many parentheses", opening)
        row = self._row()
        closing = self._take()
        if closing.text in JOINS:
            _refuse("parentheses hold several conditions together", closing)
        self._expect(")", closing)
        return row

    def _plain(self, *, is_negated: bool = False) -> Row:
        first = self._peek()
        if first.kind != "name" or first.text in RESERVED:
            return self._membership()
        if first.text == "has" and self._peek(1).text == "(":
            return self._presence()
        names = self._names()
        if self._peek().text == "(":
            return self._call(names)
        if is_negated:
            _refuse("“not” stands before a field; compare it with false instead", first)
        return self._comparison(field_of(names))

    def _membership(self) -> Row:
        value = self._literal()
        word = self._take()
        if word.text != "in":
            _refuse("it begins with a value; write the field first", word)
        if self._peek().text == "[":
            _refuse("it compares a value with a list, and no field", self._peek())
        return Row(field_of(self._names()), "includes", value)

    def _presence(self) -> Row:
        self._take()
        self._expect("(", self._take())
        field = field_of(self._names())
        self._expect(")", self._take())
        return Row(field, "given")

    def _call(self, names: list[str]) -> Row:
        *path, method = names
        opening = self._take()
        operator = CALLS.get(f"{{field}}.{method}")
        if operator is None or not path:
            _refuse(f"rows have no {method}()", opening)
        value = self._literal()
        self._expect(")", self._take())
        return Row(field_of(path), operator, value)

    def _comparison(self, field: str) -> Row:
        sign = self._take()
        if sign.text == "in":
            return Row(field, "one_of", self._list())
        if sign.text not in SIGNS:
            if sign.kind == "end" or sign.text in {*JOINS, ")"}:
                _refuse(f"{field} stands alone; compare it with true", sign)
            _refuse(f"“{sign.text}” has no place in rows", sign)
        return Row(field, SIGNS[sign.text], self._literal())

    def _list(self) -> tuple[Scalar, ...]:
        opening = self._take()
        if opening.text != "[":
            _refuse("it looks into another field; rows hold fixed values only", opening)
        values = [self._literal()]
        while (token := self._take()).text == ",":
            values.append(self._literal())
        self._expect("]", token)
        return tuple(values)

    def _names(self) -> list[str]:
        """A path: names after dots, or texts in brackets."""
        first = self._take()
        if first.kind != "name" or first.text in RESERVED:
            _refuse("a field is wanted here", first)
        names = [first.text]
        while self._peek().text in {".", "["}:
            names.append(self._segment())
        return names

    def _segment(self) -> str:
        opening, segment = self._take(), self._take()
        if opening.text == ".":
            if segment.kind != "name" or segment.text in RESERVED:
                _refuse("a name is wanted after the dot", segment)
            return segment.text
        if segment.kind != "text":
            _refuse("it takes a piece of a list by its place", segment)
        self._expect("]", self._take())
        return _unescaped(segment)

    def _literal(self) -> Scalar:
        token = self._take()
        if token.text == "-" and self._peek().kind == "number":
            return -_number(self._take())
        if token.kind == "number":
            return _number(token)
        if token.kind == "text":
            return _unescaped(token)
        if token.text in WORDS:
            return WORDS[token.text]
        if token.kind == "name" and self._peek().text == "(":
            _refuse(f"rows have no {token.text}()", token)
        if token.kind == "name":
            _refuse("it compares two fields; rows hold fixed values only", token)
        return _refuse("a fixed value is wanted here", token)

    def _expect(self, text: str, found: Token) -> None:
        if found.text != text:
            _refuse(f"“{text}” is wanted here", found)

    def _peek(self, further: int = 0) -> Token:
        return self._tokens[min(self._next + further, len(self._tokens) - 1)]

    def _take(self) -> Token:
        token = self._peek()
        self._next += 1
        return token


def _tokens_of(text: str) -> list[Token]:
    found, at = [], 0
    while at < len(text):
        match = _TOKENS.match(text, at)
        if not match:
            raise _CannotShow(f"rows have no “{_piece_at(text, at)}”", at)
        if match.lastgroup == "comment":
            raise _CannotShow("it has a comment, which rows would lose", at)
        if match.lastgroup != "space":
            found.append(Token(str(match.lastgroup), match.group(), at))
        at = match.end()
    return [*found, Token("end", "", len(text))]


def _piece_at(text: str, at: int) -> str:
    piece = _PIECE.match(text, at)
    return piece.group() if piece else ""


def _number(token: Token) -> int | float:
    if IDENTIFIER.search(token.text) or "." in token.text:
        return float(token.text)
    return int(token.text)


def _unescaped(token: Token) -> str:
    def plain(match: re.Match[str]) -> str:
        code = match[1]
        if len(code) == 1:
            if code not in _ESCAPED:
                _refuse(f"rows have no \\{code}", token)
            return _ESCAPED[code]
        number = int(code[1:], 16)
        if number in SURROGATES or number > 0x10FFFF:
            _refuse(f"\\{code} is no character", token)
        return chr(number)

    return _ESCAPE.sub(plain, token.text[1:-1])


def _refuse(reason: str, token: Token) -> NoReturn:
    raise _CannotShow(reason, token.at)
