"""Conditions in CEL: compiled, checked, evaluated and explained. Only this module knows the engine.

Anything but a plain `true` or `false` is an error. The engine's own limits (depth, rounds of loops)
and the estimate of `effort` stop a hostile condition in milliseconds.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from cel_expr_python import cel

from orchestrator.core.errors import RuleInvalid
from orchestrator.core.policy.catalogue import Field
from orchestrator.core.policy.diagnostics import ConditionProblem, at, read_compiler
from orchestrator.core.policy.effort import (
    EFFORT_MAX,
    INPUT_BYTES_MAX,
    carefree_bytes,
    estimate,
    known,
)
from orchestrator.core.policy.explain import (
    Bound,
    Failed,
    Part,
    Program,
    Row,
    explain,
    prepare,
    storable_text,
)
from orchestrator.core.policy.expressions import Node, evaluable, read_expression
from orchestrator.core.policy.type_checks import check_types

CONDITION_LENGTH_MAX = 10_000
REASON_LENGTH_MAX = 300
COMPILED_KEPT_MAX = 2_000
EXPLAINED_KEPT_MAX = 500
# Explaining evaluates every part by itself, so the inner ones many times.
EXPLAIN_EFFORT_MAX = EFFORT_MAX // 20

TOO_MUCH = "over so large inputs it could take longer than a guardrail may"
ALWAYS_TOO_MUCH = "it could take longer than a guardrail may, whatever it reads"
TOO_MUCH_TO_EXPLAIN = "over so large inputs it is too much work to look into its parts"

OBJECT = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
ANYTHING = cel.Type.DYN
TIME = cel.Type.TIMESTAMP

_CODE = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")
_MISSING = re.compile(r"Key not found in map : (.+)")

# A pattern is compiled only when it is used, so a wrong one is used on nothing.
_PATTERN_ENV = cel.NewEnv(variables={"pattern": cel.Type.STRING})
_PATTERNS = _PATTERN_ENV.compile("''.matches(pattern)")


@dataclass(frozen=True)
class Activation:
    """Inputs, and the engine's own form of them."""

    inputs: Mapping[str, Any]
    engine: Any

    @cached_property
    def bytes(self) -> int:
        return len(repr(self.inputs))


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A condition that compiles, and up to which size of inputs it is certainly little work."""

    program: Any
    tree: Node
    carefree_bytes: int


class Conditions:
    """The conditions over one set of variables."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self._names = tuple(variables)
        self._env = cel.NewEnv(variables=dict(variables))
        self._compiled = lru_cache(maxsize=COMPILED_KEPT_MAX)(self._compile)
        self._prepared = lru_cache(maxsize=EXPLAINED_KEPT_MAX)(self._prepare)
        config = self._env.config().to_yaml()
        self.env_hash = "sha256:" + hashlib.sha256(config.encode()).hexdigest()

    def check(self, condition: str) -> None:
        """Refuse a condition that cannot work, with the place of the first mistake."""
        for problem in self.problems(condition, ()):
            if problem.severity == "error":
                raise _refusal(problem)

    def problems(self, condition: str, fields: Iterable[Field]) -> list[ConditionProblem]:
        """All that is wrong with a condition over these fields. What they do not say, is let pass."""
        try:
            compiled = self._compiled(condition)
        except _Refused as refused:
            return refused.problems
        tree = compiled.tree
        if not compiled.carefree_bytes:
            return [at(tree, condition, ALWAYS_TOO_MUCH)]
        mistakes = [*self._constant_mistakes(tree, condition)]
        mistakes += check_types(tree, condition, fields)
        found = str(compiled.program.return_type().name())
        if not mistakes and found not in {"BOOL", "DYN"}:
            mistakes = [at(tree, condition, f"it gives {found.lower()}, but must be true or false")]
        return mistakes

    def activate(self, inputs: Mapping[str, Any]) -> Activation:
        """Hand the values to the engine once, for any number of conditions."""
        return Activation(inputs, self._env.Activation(dict(inputs)))

    def evaluate(self, condition: str, activation: Activation) -> tuple[str, str]:
        """`pass`, `fail` or `error`, and for an error the reason."""
        try:
            compiled = self._compiled(condition)
            if _effort(compiled, activation) > EFFORT_MAX:
                return "error", f"could not be evaluated: {TOO_MUCH}"
            return _judged(compiled.program.eval(activation.engine))
        except _Refused as refused:
            return "error", str(_refusal(refused.problems[0]))
        except Exception as error:  # noqa: BLE001  (the binding raises several unrelated kinds; each must hold)
            return "error", f"could not be evaluated: {_reason(error)}"

    def tree(self, condition: str) -> Node | None:
        """What is written, part by part; nothing of a condition that does not compile."""
        try:
            return self._compiled(condition).tree
        except _Refused:
            return None

    def explain(self, condition: str, inputs: Mapping[str, Any]) -> list[Row]:
        """Each part of the condition with its value, outermost first. It never fails."""
        try:
            compiled = self._compiled(condition)
        except _Refused as refused:
            error = str(_refusal(refused.problems[0]))
            return [{"expr": "the condition", "depth": 0, "error": error}]
        if _effort(compiled, Activation(inputs, None)) > EXPLAIN_EFFORT_MAX:
            return [{"expr": "the condition", "depth": 0, "error": TOO_MUCH_TO_EXPLAIN}]
        part = self._prepared(condition)
        return explain(part, inputs, lambda bound: self._bind(inputs, bound))

    def _prepare(self, condition: str) -> Part:
        return prepare(self._compiled(condition).tree, condition, self._program)

    def _program(self, encoded: bytes) -> Program:
        program = self._env.deserialize(encoded)

        def run(activation: Any) -> Any:
            if isinstance(activation, Failed):
                return activation
            try:
                value = program.eval(activation)
                plain = value.plain_value()
                is_error = str(value.type().name()) == "ERROR"
            except Exception as error:  # noqa: BLE001  (as in evaluate)
                return Failed(_reason(error))
            return Failed(_reason(plain)) if is_error else plain

        return run

    def _bind(self, inputs: Mapping[str, Any], bound: Bound) -> Any:
        """Elements of a loop can be what the engine makes but does not take, such as durations."""
        try:
            return self._env.Activation({**inputs, **bound})
        except Exception as error:  # noqa: BLE001  (as in evaluate)
            return Failed(_reason(error))

    def _constant_mistakes(self, node: Node, source: str) -> Iterator[ConditionProblem]:
        """What fails whatever the inputs are: a time or a pattern that is none, a division by zero."""
        if not any(inner.kind == "name" for inner in node.walk()):
            outcome = self._program(evaluable(node))(self._env.Activation({}))
            if isinstance(outcome, Failed):
                yield at(node, source, f"it cannot be evaluated: {outcome.reason}")
            return
        if node.name == "matches" and isinstance(node.children[-1].value, str):
            outcome = _PATTERNS.eval(_PATTERN_ENV.Activation({"pattern": node.children[-1].value}))
            if str(outcome.type().name()) == "ERROR":
                yield at(node.children[-1], source, _reason(outcome.plain_value()))
        for child in node.children:
            yield from self._constant_mistakes(child, source)

    def _compile(self, condition: str) -> _Compiled:
        if len(condition) > CONDITION_LENGTH_MAX:
            reason = f"it is longer than {CONDITION_LENGTH_MAX:,} characters"
            raise _Refused([ConditionProblem(1, 1, 1, reason)])
        try:
            program = self._env.compile(condition)
        except Exception as error:
            raise _Refused(read_compiler(str(error), condition, self._names)) from error
        tree = read_expression(program.serialize(), condition)
        return _Compiled(program, tree, carefree_bytes(tree, self._names))


class _Refused(Exception):
    """The condition does not compile."""

    def __init__(self, problems: list[ConditionProblem]) -> None:
        self.problems = problems


def _refusal(problem: ConditionProblem) -> RuleInvalid:
    advice = f" ({problem.suggestion})" if problem.suggestion else ""
    return RuleInvalid(problem.reason + advice, problem.line, problem.column)


def _judged(value: Any) -> tuple[str, str]:
    plain = value.plain_value()
    if plain is True:
        return "pass", ""
    if plain is False:
        return "fail", ""
    if str(value.type().name()) == "ERROR":
        return "error", f"could not be evaluated: {_reason(plain)}"
    return "error", f"gave {_reason(plain)}, which is neither true nor false"


def _effort(compiled: _Compiled, activation: Activation) -> int:
    """Most conditions read little or loop over nothing; the others are looked at more closely."""
    carefree = compiled.carefree_bytes
    if carefree == INPUT_BYTES_MAX or activation.bytes <= carefree:
        return 0
    return estimate(compiled.tree, known(activation.inputs))


def _reason(error: object) -> str:
    """The engine's own words, without its codes; where they are unclear, ours."""
    text = _CODE.sub("", str(error).strip().split("\n", 1)[0])
    if missing := _MISSING.search(text):
        text = f"{missing[1]} is missing"
    elif "teration budget" in text:
        text = "its loops take too many rounds; 9,999 is the most"
    return storable_text(text, REASON_LENGTH_MAX)
