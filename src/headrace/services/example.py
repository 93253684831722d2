"""A value that fits a JSON Schema: the example body of documentation, of curl lines and of error 422."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_BY_TYPE: dict[str, Any] = {"string": "text", "integer": 1, "number": 1.0, "boolean": True, "null": None}


def example_of(schema: Mapping[str, Any]) -> Any:
    """The smallest natural value that fits a schema as pydantic writes them.

    Optional members are left out unless nothing is required; recursive types stop at their optional parts.
    """
    return _value(schema, schema.get("$defs", {}))


def _value(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    if "$ref" in schema:
        return _value(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    if schema.get("examples"):
        return schema["examples"][0]
    if "default" in schema:
        return schema["default"]
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return _value(schema[union][0], definitions)
    if "allOf" in schema:
        return _value(schema["allOf"][0], definitions)
    kind = schema.get("type")
    if kind == "object":
        return _object(schema, definitions)
    if kind == "array":
        return _array(schema, definitions)
    return _scalar(schema, kind)


def _object(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    members = schema.get("properties", {})
    names = schema.get("required") or list(members)
    return {name: _value(members[name], definitions) for name in names}


def _array(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> list[Any]:
    if "prefixItems" in schema:
        return [_value(each, definitions) for each in schema["prefixItems"]]
    items = schema.get("items", {})
    return [_value(items, definitions)] * max(1, schema.get("minItems", 1)) if items else []


def _scalar(schema: Mapping[str, Any], kind: str | None) -> Any:
    if kind in ("integer", "number"):
        low = schema.get("minimum", schema.get("exclusiveMinimum"))
        high = schema.get("maximum", schema.get("exclusiveMaximum"))
        if low is not None:
            return low if "minimum" in schema else low + 1
        return high if high is not None and high < 1 else _BY_TYPE[kind]
    if kind == "string":
        text = str(schema.get("format", "text"))
        return text.ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength", len(text) + 80)]
    return _BY_TYPE.get(kind or "") if kind else "anything"
