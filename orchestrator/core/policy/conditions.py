"""Conditions in CEL: compiled, checked and evaluated. This is the only module that knows the engine.

Anything but a plain `true` or `false` is an error. The engine's own limits (depth, iterations, source
size) stop a hostile condition in milliseconds.
"""

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

from orchestrator.core.errors import RuleInvalid

CONDITION_LENGTH_MAX = 10_000
REASON_LENGTH_MAX = 300

OBJECT = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
ANYTHING = cel.Type.DYN
TIME = cel.Type.TIMESTAMP

_POSITION = re.compile(r"ERROR: <input>:(\d+):(\d+): ([^\n]+)")


class Conditions:
    """The conditions over one set of variables."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self._env = cel.NewEnv(variables=dict(variables))
        self._compiled = lru_cache(maxsize=2_000)(self._compile)
        config = self._env.config().to_yaml()
        self.env_hash = "sha256:" + hashlib.sha256(config.encode()).hexdigest()

    def check(self, condition: str) -> None:
        """Refuse a condition that cannot work, with the place of the mistake."""
        if len(condition) > CONDITION_LENGTH_MAX:
            raise RuleInvalid(f"it is longer than {CONDITION_LENGTH_MAX:,} characters")
        found = self._compiled(condition).return_type().name()
        if found not in {"BOOL", "DYN"}:
            raise RuleInvalid(f"it gives {found.lower()}, but must be true or false")

    def activate(self, inputs: Mapping[str, Any]) -> Any:
        """Hand the values to the engine once, for any number of conditions."""
        return self._env.Activation(dict(inputs))

    def evaluate(self, condition: str, activation: Any) -> tuple[str, str]:
        """`pass`, `fail` or `error`, and for an error the reason."""
        try:
            value = self._compiled(condition).eval(activation)
            plain = value.plain_value()
        except RuleInvalid as error:
            return "error", str(error)
        except Exception as error:  # noqa: BLE001  (the binding raises several unrelated kinds; each must hold)
            return "error", f"could not be evaluated: {_first_line(error)}"
        if plain is True:
            return "pass", ""
        if plain is False:
            return "fail", ""
        if str(value.type().name()) == "ERROR":
            return "error", f"could not be evaluated: {_first_line(plain)}"
        return "error", f"gave {_first_line(plain)}, which is neither true nor false"

    def _compile(self, condition: str) -> Any:
        try:
            return self._env.compile(condition)
        except Exception as error:
            found = _POSITION.search(str(error))
            if not found:
                raise RuleInvalid(_first_line(error)) from error
            line, column, reason = found.groups()
            raise RuleInvalid(reason.strip(), int(line), int(column)) from error


def _first_line(error: object) -> str:
    return str(error).strip().split("\n", 1)[0][:REASON_LENGTH_MAX]
