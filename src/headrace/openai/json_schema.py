"""Whether a value is a JSON Schema (2020-12), as far as the shapes of its keywords tell.

The rules are those of the meta-schema (https://json-schema.org/draft/2020-12/schema): each keyword has a shape, and
unknown keywords mean nothing. What references lead to is not looked up. The library that knows all of it brings five
packages; what must be found here is the schema that no model and no grammar could work with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

DEEPEST = 64
"""Levels of schemas in each other."""

TYPES = frozenset({"null", "boolean", "object", "array", "number", "integer", "string"})


def schema_mistake(schema: Any) -> str | None:
    """The first mistake, with its place: `properties/city/type: "strng" is no type`; None where there is none."""
    return next(_mistakes(schema, (), 0), None)


def _mistakes(schema: Any, path: tuple[str, ...], depth: int) -> Iterator[str]:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        yield _at(path, f"{_kind(schema)}, expected a schema: an object, true or false")
        return
    if depth > DEEPEST:
        yield _at(path[:4], f"schemas stand more than {DEEPEST} levels deep in each other")
        return
    for keyword, value in schema.items():
        below = (*path, keyword)
        if (wrong := _SHAPES.get(keyword, _anything)(value)) is not None:
            yield _at(below, wrong)
            continue
        if keyword in _SCHEMA:
            yield from _mistakes(value, below, depth + 1)
        elif keyword in _SCHEMAS:
            for number, each in enumerate(value):
                yield from _mistakes(each, (*below, str(number)), depth + 1)
        elif keyword in _NAMED_SCHEMAS:
            for name, each in value.items():
                yield from _mistakes(each, (*below, name), depth + 1)


def _at(path: tuple[str, ...], wrong: str) -> str:
    return f"{'/'.join(path)}: {wrong}" if path else wrong


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a text", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")


def _anything(value: Any) -> str | None:
    return None


def _must(fits: Callable[[Any], bool], expected: str) -> Callable[[Any], str | None]:
    return lambda value: None if fits(value) else f"{_kind(value)}, expected {expected}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value) and len(set(value)) == len(value)


def _type(value: Any) -> str | None:
    names = value if isinstance(value, list) else [value]
    if not names:
        return "an empty array, expected at least one type"
    for name in names:
        if not isinstance(name, str):
            return f"{_kind(name)}, expected the name of a type"
        if name not in TYPES:
            return f'"{name[:40]}" is no type; the types are {", ".join(sorted(TYPES))}'
    return None if len(set(names)) == len(names) else "a type stands there twice"


def _pattern(value: Any) -> str | None:
    if not isinstance(value, str):
        return f"{_kind(value)}, expected a regular expression"
    return None  # of ECMA-262: Python knows another dialect, and could refuse what others take


_text = _must(lambda value: isinstance(value, str), "a text")
_flag = _must(lambda value: isinstance(value, bool), "true or false")
_number = _must(_is_number, "a number")
_count = _must(_is_count, "a whole number of at least 0")
_names = _must(_is_names, "an array of different texts")
_array = _must(lambda value: isinstance(value, list), "an array")
_object = _must(lambda value: isinstance(value, dict), "an object")
_some = _must(lambda value: isinstance(value, list) and bool(value), "an array that is not empty")

_SCHEMA = {
    *("additionalProperties", "propertyNames", "unevaluatedProperties", "unevaluatedItems", "items", "contains"),
    *("not", "if", "then", "else", "contentSchema"),
}
_SCHEMAS = {"allOf", "anyOf", "oneOf", "prefixItems"}
_NAMED_SCHEMAS = {"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"}

_SHAPES: dict[str, Callable[[Any], str | None]] = {
    "type": _type,
    "enum": _array,
    "pattern": _pattern,
    "required": _names,
    "multipleOf": _must(lambda value: _is_number(value) and value > 0, "a number above 0"),
    "dependentRequired": _must(
        lambda value: isinstance(value, dict) and all(map(_is_names, value.values())), "an object of arrays of texts"
    ),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"), _number),
    **dict.fromkeys(("maxLength", "minLength", "maxItems", "minItems", "maxContains", "minContains"), _count),
    **dict.fromkeys(("maxProperties", "minProperties"), _count),
    **dict.fromkeys(("uniqueItems", "deprecated", "readOnly", "writeOnly"), _flag),
    **dict.fromkeys(("$id", "$schema", "$ref", "$anchor", "$dynamicRef", "$dynamicAnchor", "$comment"), _text),
    **dict.fromkeys(("title", "description", "format", "contentEncoding", "contentMediaType"), _text),
    **dict.fromkeys(_SCHEMAS, _some),
    **dict.fromkeys(_NAMED_SCHEMAS, _object),
    "examples": _array,
}
