"""Runs one public test of CEL on the engine of the rules, and says whether it did what it should."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from cel_expr_python import cel

from tests.conformance.cel_spec import Case

PRIMITIVES = {
    "BOOL": cel.Type.BOOL,
    "INT64": cel.Type.INT,
    "UINT64": cel.Type.UINT,
    "DOUBLE": cel.Type.DOUBLE,
    "STRING": cel.Type.STRING,
    "BYTES": cel.Type.BYTES,
}
WELL_KNOWN = {
    "google.protobuf.Timestamp": cel.Type.TIMESTAMP,
    "google.protobuf.Duration": cel.Type.DURATION,
    "TIMESTAMP": cel.Type.TIMESTAMP,
    "DURATION": cel.Type.DURATION,
    "ANY": cel.Type.DYN,
}
# The engine's names of kinds, by those of the tests.
KINDS = {
    "int64Value": "INT",
    "uint64Value": "UINT",
    "doubleValue": "DOUBLE",
    "stringValue": "STRING",
    "bytesValue": "BYTES",
    "boolValue": "BOOL",
    "nullValue": "NULL",
    "typeValue": "TYPE",
}


TYPES = {
    "int": "INT",
    "uint": "UINT",
    "double": "DOUBLE",
    "string": "STRING",
    "bytes": "BYTES",
    "bool": "BOOL",
    "null_type": "NULL",
    "type": "TYPE",
    "list": "LIST",
    "map": "MAP",
    "google.protobuf.Timestamp": "TIMESTAMP",
    "google.protobuf.Duration": "DURATION",
}


def passes(case: Case) -> bool:
    """Whether the engine gives the value, or the error, that the test wants."""
    test = case.test
    try:
        value = _evaluated(test)
    except Exception:  # noqa: BLE001  (whatever the engine raises is its way of saying no)
        return "evalError" in test
    if str(value.type().name()) == "ERROR":
        return "evalError" in test
    if "evalError" in test:
        return False
    wanted = test.get("value") or test.get("typedResult", {}).get("result") or {"boolValue": True}
    return test.get("checkOnly", False) or _equal(value, wanted)


def types_of(test: dict[str, Any]) -> dict[str, Any]:
    return {entry["name"]: _type(entry["ident"]["type"]) for entry in test.get("typeEnv", [])}


def _evaluated(test: dict[str, Any]) -> Any:
    env = cel.NewEnv(variables=types_of(test), container=test.get("container", ""))
    expression = env.compile(test["expr"], disable_check=test.get("disableCheck", False))
    given = {name: _python(found["value"]) for name, found in test.get("bindings", {}).items()}
    return expression.eval(env.Activation(given))


def _type(found: dict[str, Any]) -> Any:
    (kind, inside), *_ = found.items()
    if kind in {"primitive", "wrapper"}:
        return PRIMITIVES[inside]
    if kind in {"wellKnown", "messageType"}:
        return WELL_KNOWN[inside]
    if kind == "listType":
        return cel.Type.List(_type(inside["elemType"]))
    if kind == "mapType":
        return cel.Type.Map(_type(inside["keyType"]), _type(inside["valueType"]))
    return {"null": cel.Type.NULL, "dyn": cel.Type.DYN}[kind]


def _python(found: dict[str, Any]) -> Any:
    (kind, inside), *_ = found.items()
    read = READ.get(kind)
    return read(inside) if read else inside


def _well_known(found: dict[str, Any]) -> datetime | timedelta:
    if found["@type"].endswith("Timestamp"):
        return datetime.fromisoformat(found["value"]).astimezone(UTC)
    return timedelta(seconds=float(found["value"].removesuffix("s")))


def _equal(value: Any, wanted: dict[str, Any]) -> bool:
    (kind, inside), *_ = wanted.items()
    if kind == "listValue":
        return _equal_lists(value, inside.get("values", []))
    if kind == "mapValue":
        return _equal_maps(value, inside.get("entries", []))
    name, plain = str(value.type().name()), value.plain_value()
    if kind == "typeValue":
        return name == "TYPE" and TYPES.get(inside, inside) == str(plain.name()).partition("<")[0]
    expected = _python(wanted)
    both_nan = expected != expected and plain != plain  # noqa: PLR0124  (that is what NaN is)
    return name == KINDS.get(kind, name) and (both_nan or bool(plain == expected))


def _equal_lists(value: Any, items: list[dict[str, Any]]) -> bool:
    found = value.value()
    same = isinstance(found, list) and len(found) == len(items)
    return same and all(_equal(v, w) for v, w in zip(found, items, strict=True))


def _equal_maps(value: Any, entries: list[dict[str, Any]]) -> bool:
    found = value.value()
    if not isinstance(found, dict) or len(found) != len(entries):
        return False
    keys = [_python(entry["key"]) for entry in entries]
    return all(
        key in found and _equal(found[key], entry["value"])
        for key, entry in zip(keys, entries, strict=True)
    )


READ: dict[str, Callable[[Any], Any]] = {
    "int64Value": int,
    "uint64Value": int,
    "doubleValue": float,
    "bytesValue": base64.b64decode,
    "nullValue": lambda _: None,
    "listValue": lambda found: [_python(item) for item in found.get("values", [])],
    "mapValue": lambda found: {
        _python(entry["key"]): _python(entry["value"]) for entry in found.get("entries", [])
    },
    "objectValue": _well_known,
}
