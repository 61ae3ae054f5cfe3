"""An OpenAPI document as the tables of one readable page."""

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

METHODS = ("get", "post", "put", "patch", "delete")
TYPES = {"string": "text", "integer": "whole number", "boolean": "true or false"}
SAMPLES: dict[str, Any] = {
    "string": "text", "integer": 0, "number": 0.0, "boolean": False, "array": [], "object": {},
}  # fmt: skip


class Field(NamedTuple):
    name: str
    type: str
    schema: str
    is_required: bool
    about: str


class Endpoint(NamedTuple):
    id: str
    method: str
    path: str
    summary: str
    about: str
    parameters: list[Field]
    body: list[Field]
    responses: list[tuple[str, str, str]]
    curl: str


class Shape(NamedTuple):
    name: str
    about: str
    fields: list[Field]


class Reference(NamedTuple):
    groups: list[tuple[str, list[Endpoint]]]
    shapes: list[Shape]


def reference(spec: Mapping[str, Any], base_url: str) -> Reference:
    groups: dict[str, list[Endpoint]] = {}
    for path, operations in spec["paths"].items():
        for method in METHODS:
            if method in operations:
                operation = operations[method]
                group = (operation.get("tags") or ["other"])[0]
                groups.setdefault(group, []).append(
                    _endpoint(spec, base_url, method, path, operation)
                )
    schemas = spec.get("components", {}).get("schemas", {})
    shapes = [
        Shape(name, schema.get("description", ""), list(_fields(schema)))
        for name, schema in sorted(schemas.items())
        if "properties" in schema
    ]
    return Reference(list(groups.items()), shapes)


def _endpoint(
    spec: Mapping[str, Any], base_url: str, method: str, path: str, operation: Mapping[str, Any]
) -> Endpoint:
    body = _resolve(spec, _json_schema(operation.get("requestBody", {})))
    return Endpoint(
        id=operation.get("operationId", f"{method}-{path}"),
        method=method,
        path=path,
        summary=operation.get("summary", ""),
        about=operation.get("description", ""),
        parameters=[_parameter(given) for given in operation.get("parameters", [])],
        body=list(_fields(body)),
        responses=[_response(*pair) for pair in sorted(operation.get("responses", {}).items())],
        curl=_curl(spec, base_url + path, method, body),
    )


def _parameter(given: Mapping[str, Any]) -> Field:
    schema = given.get("schema", {})
    about = given.get("description") or schema.get("description", "")
    name = f"{given['name']} ({given.get('in', 'query')})"
    return Field(name, *_type(schema), bool(given.get("required")), _about(about, schema))


def _fields(schema: Mapping[str, Any]) -> Iterator[Field]:
    required = schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        about = _about(field.get("description", ""), field)
        yield Field(name, *_type(field), name in required, about)


def _about(text: str, schema: Mapping[str, Any]) -> str:
    limits = {
        "minimum": "at least {}", "maximum": "at most {}", "maxLength": "at most {} characters",
        "minLength": "at least {} characters", "maxItems": "at most {} entries",
    }  # fmt: skip
    said = [text] if text else []
    said += [limits[name].format(schema[name]) for name in limits if name in schema]
    if schema.get("default") not in (None, "", [], {}):
        said.append(f"{schema['default']} when absent")
    return "; ".join(said)


def _type(schema: Mapping[str, Any]) -> tuple[str, str]:
    """In words, and the name of the shape it refers to."""
    if "$ref" in schema:
        name = _name(schema)
        return name, name
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        types = [_type(option) for option in options]
        return " or ".join(text for text, _ in types), next((ref for _, ref in types if ref), "")
    if "enum" in schema:
        return " · ".join(str(choice) for choice in schema["enum"]), ""
    if schema.get("type") == "array":
        text, ref = _type(schema.get("items", {}))
        return f"list of {text}", ref
    kind = str(schema.get("type", "any value"))
    return str(schema.get("format") or TYPES.get(kind, kind)), ""


def _response(status: str, response: Mapping[str, Any]) -> tuple[str, str, str]:
    schema = _json_schema(response)
    return str(status), response.get("description", ""), _type(schema)[1] if schema else ""


def _curl(spec: Mapping[str, Any], url: str, method: str, body: Mapping[str, Any]) -> str:
    lines = [f"curl {shlex.quote(url)}", '-H "Authorization: Bearer $TOKEN"']
    if method != "get":
        lines[0] = f"curl -X {method.upper()} {shlex.quote(url)}"
    if body:
        lines += ["-H 'Content-Type: application/json'"]
        lines += [f"-d {shlex.quote(json.dumps(_sample(spec, body), ensure_ascii=False))}"]
    return " \\\n  ".join(lines)


def _sample(spec: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    """The schema's own example, else the least that it accepts."""
    schema = _resolve(spec, schema)
    given = schema.get("example", (schema.get("examples") or [None])[0])
    if given is not None:
        return given
    if "properties" in schema:
        names = schema.get("required") or schema["properties"]
        return {name: _sample(spec, schema["properties"][name]) for name in names}
    options = schema.get("anyOf")
    return _sample(spec, options[0]) if options else SAMPLES.get(str(schema.get("type")))


def _resolve(spec: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in schema:
        return schema
    found: Mapping[str, Any] = spec["components"]["schemas"][_name(schema)]
    return found


def _name(schema: Mapping[str, Any]) -> str:
    return str(schema["$ref"]).rsplit("/", 1)[-1]


def _json_schema(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    contents: Mapping[str, Any] = holder.get("content", {})
    first: Mapping[str, Any] = next(iter(contents.values()), {})
    schema: Mapping[str, Any] = first.get("schema", {})
    return schema
