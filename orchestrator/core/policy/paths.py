"""The names of what a condition reads: `proposal.args.lines[].qty`, `proposal.args["due-date"]`."""

import re
from collections.abc import Mapping

from orchestrator.core.policy.expressions import Node

# Words that CEL keeps for itself cannot follow a dot as they are.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_RESERVED = {"in", "true", "false", "null"}

ITEM = "[]"
# From an object to one of its fields, as `joined` writes it.
ONE_STEP = re.compile(r'\.\w+|\["(?:[^"\\]|\\.)*"\]')


def joined(path: str, name: str) -> str:
    """The path of a field of an object, as it is written in a condition."""
    if _PLAIN.fullmatch(name) and name not in _RESERVED:
        return f"{path}.{name}"
    quoted = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{path}["{quoted}"]'


def path_of(node: Node, variables: Mapping[str, str]) -> str | None:
    """What a part reads by name alone, or None. `variables` says what each loop's element is."""
    if node.kind == "name":
        return variables.get(node.name, node.name)
    if node.kind == "field":
        operand = path_of(node.children[0], variables)
        return joined(operand, node.name) if operand else None
    if node.kind == "call" and node.name == "_[_]":
        of, key = node.children
        return _indexed(path_of(of, variables), key)
    return None


def _indexed(operand: str | None, key: Node) -> str | None:
    if not operand or key.kind != "constant":
        return None
    if isinstance(key.value, str):
        return joined(operand, key.value)
    is_place = isinstance(key.value, int) and not isinstance(key.value, bool)
    return operand + ITEM if is_place else None
