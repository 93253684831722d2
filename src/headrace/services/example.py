"""A value that fits a JSON Schema: the example body of documentation, of curl lines and of error 422.

Every constraint that pydantic writes into a schema is kept. Two things are believed and not checked: a schema's own
`default` and `examples`. Two are only tried: a `pattern` (a few texts, and the first that fits), and a set of
constraints that nothing may satisfy. Whoever needs certainty checks the value (`Arguments.example` does).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_FORMATS = {
    "date-time": "2026-01-01T12:00:00Z",
    "date": "2026-01-01",
    "time": "12:00:00Z",
    "duration": "PT1S",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
    "uri": "https://example.com/",
    "multi-host-uri": "postgres://localhost/text",
    "email": "ada@example.com",
    "idn-email": "ada@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "ipv4network": "192.0.2.0/24",
    "ipv6network": "2001:db8::/32",
    "ipv4interface": "192.0.2.1/24",
    "ipv6interface": "2001:db8::1/32",
    "ipvanyaddress": "192.0.2.1",
    "ipvanyinterface": "192.0.2.1/24",
    "ipvanynetwork": "192.0.2.0/24",
    "base64": "dGV4dA==",
    "base64url": "dGV4dA==",
    "fraction": "1/2",
}

_TURN = 64
"""How many different values are asked of one member of a union before the next has its turn."""

_PATTERN_TRIES = (
    "text",
    "a",
    "A",
    "Text",
    "TEXT",
    "1",
    "12",
    "123",
    "a1",
    "a-b",
    "a_b",
    "a.b",
    "a/b",
    "#ffffff",
    "1.0.0",
)


def example_of(schema: Schema, *, believe: bool = True) -> Any:
    """The smallest natural value that fits a schema as pydantic writes them.

    Optional members are left out unless nothing is required; recursive types stop as soon as they can.

    Args:
        schema: with its own `$defs`.
        believe: whether the schema's own `default` and `examples` are taken where they stand.
    """
    return _Examples(schema.get("$defs", {}), believe).value(schema, 0, frozenset())


class _Examples:
    """Values for the schemas of one document.

    `nth` asks for another value than the first ones did, for arrays whose items differ. `above` are the references that
    the value stands in; inside a reference to itself a type takes its shortest way out.
    """

    def __init__(self, definitions: Mapping[str, Schema], believe: bool) -> None:
        self._definitions = definitions
        self._believe = believe
        self._heights = dict.fromkeys(definitions, math.inf)
        for _ in definitions:  # each round settles at least one more of them
            self._heights = {name: self._height(each) for name, each in definitions.items()}

    def value(self, schema: Schema, nth: int, above: frozenset[str], short: bool = False) -> Any:
        """The nth value of a schema."""
        if self._believe and not short and nth == 0:
            if schema.get("examples"):
                return schema["examples"][0]
            if "default" in schema:
                return schema["default"]
        if "$ref" in schema:
            name = _name(schema)
            if math.isinf(self._heights.get(name, math.inf)):
                return None  # nothing finite is of this type
            return self.value(self._definitions[name], nth, above | {name}, short or name in above)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][nth % len(schema["enum"])]
        for union in ("anyOf", "oneOf", "allOf"):
            if schema.get(union):
                return self._one_of(schema[union], nth, above, short)
        return self._plain(schema, nth, above, short)

    def _one_of(self, choices: list[Schema], nth: int, above: frozenset[str], short: bool) -> Any:
        finite = [each for each in choices if not math.isinf(self._height(each))] or choices
        if short or _name(finite[0]) in above:
            return self.value(min(finite, key=self._height), nth, above, True)
        finite.sort(key=lambda each: "pattern" in each)
        turn = nth // _TURN  # the first one serves for a while: a Decimal is any number, and not any text
        return self.value(finite[turn % len(finite)], nth % _TURN + turn // len(finite) * _TURN, above)

    def _plain(self, schema: Schema, nth: int, above: frozenset[str], short: bool) -> Any:
        kind = schema.get("type")
        if kind == "object":
            return self._object(schema, nth, above, short)
        if kind == "array":
            return self._array(schema, nth, above, short)
        if kind in ("integer", "number"):
            return _number(schema, kind, nth)
        if kind == "boolean":
            return nth % 2 == 0
        if kind == "null":
            return None
        if kind == "string" and "contentSchema" in schema:
            return json.dumps(self.value(schema["contentSchema"], nth, above, short))
        return _text(schema, nth) if kind else f"anything{nth + 1 if nth else ''}"

    def _object(self, schema: Schema, nth: int, above: frozenset[str], short: bool) -> dict[str, Any]:
        members = schema.get("properties", {})
        required = schema.get("required", [])
        names = required or ([] if short else [each for each in members if not math.isinf(self._height(members[each]))])
        value = {name: self.value(members.get(name, {}), nth, above, short) for name in names}
        values = schema.get("additionalProperties")
        for pattern, each in schema.get("patternProperties", {}).items():
            keys, values = {"pattern": pattern}, each
            break
        else:
            keys = schema.get("propertyNames", {})
        number = 0
        while len(value) < schema.get("minProperties", 0) and number < 10_000:
            key = str(self.value(keys, number, above)) if keys else str(number + 1)  # a number is a text too
            value.setdefault(key, self.value(values if isinstance(values, Mapping) else {}, nth, above, short))
            number += 1
        return value

    def _array(self, schema: Schema, nth: int, above: frozenset[str], short: bool) -> list[Any]:
        first = [self.value(each, nth, above, short) for each in schema.get("prefixItems", ())]
        items = schema.get("items")
        wanted = schema.get("minItems", 0)
        if not isinstance(items, Mapping):
            return first + [self.value({}, nth, above)] * max(0, wanted - len(first))
        if not wanted and not first and not short and not math.isinf(self._height(items)):
            wanted = min(1, schema.get("maxItems", 1))
        if not schema.get("uniqueItems"):
            return first + [self.value(items, nth, above, short) for _ in range(wanted - len(first))]
        different: dict[str, Any] = {}
        for number in range(nth, nth + max(20 * wanted, 8 * _TURN)):
            value = self.value(items, number, above, short)
            different.setdefault(repr(value), value)
            if len(different) == wanted:
                break
        return list(different.values())

    def _height(self, schema: Schema) -> float:
        """How many references a value needs at least to be complete; infinite while none is known."""
        if "$ref" in schema:
            return 1 + self._heights.get(_name(schema), math.inf)
        if "const" in schema or "enum" in schema:
            return 0
        for union in ("anyOf", "oneOf"):
            if schema.get(union):
                return min(self._height(each) for each in schema[union])
        parts = list(schema.get("allOf", ())) + list(schema.get("prefixItems", ()))
        parts += [schema["properties"][name] for name in schema.get("required", ()) if name in schema["properties"]]
        if schema.get("minItems", 0) > len(schema.get("prefixItems", ())) and isinstance(schema.get("items"), Mapping):
            parts.append(schema["items"])
        if schema.get("minProperties", 0) and isinstance(schema.get("additionalProperties"), Mapping):
            parts.append(schema["additionalProperties"])
        return max((self._height(each) for each in parts), default=0)


def _name(schema: Schema) -> str:
    return str(schema.get("$ref", "")).rsplit("/", 1)[-1]


def _number(schema: Schema, kind: str, nth: int) -> Any:
    step = schema.get("multipleOf", 1)
    fitting = (value for value in _numbers(schema, kind) if _within(value, schema))
    first = next(fitting, 1)
    for value in (first + nth * step, first - nth * step, first + (nth % 2 - 0.5) / (nth + 2)):
        if _within(value, schema) and (kind == "number" or value == int(value)):
            return float(value) if kind == "number" and "multipleOf" not in schema else value
    return first


def _numbers(schema: Schema, kind: str) -> Iterator[Any]:
    """Numbers that may fit, the most natural first."""
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    step = schema.get("multipleOf")
    yield 1
    yield 0
    if step:
        yield step
        for bound, up in ((low, 1), (high, -1)):
            if bound is not None:
                count = math.floor(bound / step)
                yield from ((count + up * each) * step for each in range(-1, 3))
    elif kind == "integer":
        if low is not None:
            yield from (math.ceil(low), math.floor(low) + 1)
        if high is not None:
            yield from (math.floor(high), math.ceil(high) - 1)
    else:
        if low is not None:
            yield from (low, low + 1)
        if high is not None:
            yield from (high, high - 1)
        if low is not None and high is not None:
            yield low + (high - low) / 2
        if low is not None:
            yield math.nextafter(low, math.inf)
        if high is not None:
            yield math.nextafter(high, -math.inf)


def _within(value: Any, schema: Schema) -> bool:
    step = schema.get("multipleOf")
    return (
        value >= schema.get("minimum", value)
        and value <= schema.get("maximum", value)
        and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
        and ("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"])
        and (not step or abs(value / step - round(value / step)) < 1e-9)
    )


def _text(schema: Schema, nth: int) -> str:
    least, most = schema.get("minLength", 0), schema.get("maxLength", math.inf)
    kind = str(schema.get("format", ""))
    if kind.startswith("uuid") and kind[4:].isdigit():
        return _FORMATS["uuid"].replace("-42d3-", f"-{kind[4:]}2d3-")
    if kind in _FORMATS:
        return _FORMATS[kind]
    tail = str(nth + 1) if nth else ""
    if "pattern" in schema:
        tries = [text + tail for text in _PATTERN_TRIES if least <= len(text + tail) <= most]
        tries += [letter * max(least, 1) for letter in "aA1"]
        return next((text for text in tries if _matches(schema["pattern"], text)), "text")
    text = ("text" + tail).ljust(least, ".")
    if len(text) > most:
        text = (("text"[: int(most) - len(tail)] if most > len(tail) else "") + tail)[-int(most) or len(text) :]
    return text


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:  # pydantic's patterns are of another dialect (Rust's regex)
        return False
