import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from headrace.openai.json_schema import schema_mistake


@pytest.mark.parametrize(
    "schema",
    [
        {},
        True,
        False,
        {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        {"type": ["string", "null"], "minLength": 0, "maxLength": 5.0, "pattern": "^\\p{L}+$"},
        {"type": "array", "items": {"$ref": "#/$defs/A"}, "$defs": {"A": {"enum": [1, None, "x"]}}},
        {"anyOf": [{"const": 1}, {"not": {"type": "null"}}], "additionalProperties": False},
        {"properties": {"type": {"type": "string"}, "required": {"type": "boolean"}}},
        {"x-anything": {"type": 3}, "default": {"type": 3}, "examples": [{"type": 3}]},
        {"prefixItems": [{}, True], "items": False, "multipleOf": 0.5, "minimum": -1, "exclusiveMaximum": 1e9},
        {"definitions": {"B": {"dependentRequired": {"a": ["b"]}}}},
    ],
)
def test_a_schema_has_no_mistake(schema: Any) -> None:
    assert schema_mistake(schema) is None


@pytest.mark.parametrize(
    ("schema", "mistake"),
    [
        (3, "a number, expected a schema: an object, true or false"),
        (None, "null, expected a schema: an object, true or false"),
        (
            {"type": "strng"},
            'type: "strng" is no type; the types are array, boolean, integer, null, number, object, string',
        ),
        ({"type": []}, "type: an empty array, expected at least one type"),
        ({"type": ["null", "null"]}, "type: a type stands there twice"),
        ({"type": 3}, "type: a number, expected the name of a type"),
        ({"properties": []}, "properties: an array, expected an object"),
        (
            {"properties": {"a": "string"}},
            "properties/a: a text, expected a schema: an object, true or false",
        ),
        ({"properties": {"a": {"items": {"minLength": -1}}}}, None),
        ({"required": "city"}, "required: a text, expected an array of different texts"),
        ({"required": ["a", "a"]}, "required: an array, expected an array of different texts"),
        ({"required": True}, "required: a truth value, expected an array of different texts"),
        ({"enum": "a"}, "enum: a text, expected an array"),
        ({"anyOf": []}, "anyOf: an array, expected an array that is not empty"),
        ({"anyOf": [{}, {"not": 1}]}, "anyOf/1/not: a number, expected a schema: an object, true or false"),
        ({"minLength": 1.5}, "minLength: a number, expected a whole number of at least 0"),
        ({"maximum": "9"}, "maximum: a text, expected a number"),
        ({"maximum": True}, "maximum: a truth value, expected a number"),
        ({"multipleOf": 0}, "multipleOf: a number, expected a number above 0"),
        ({"uniqueItems": 1}, "uniqueItems: a number, expected true or false"),
        ({"pattern": {}}, "pattern: an object, expected a regular expression"),
        ({"description": 1}, "description: a number, expected a text"),
        ({"$ref": {}}, "$ref: an object, expected a text"),
        ({"dependentRequired": {"a": "b"}}, "dependentRequired: an object, expected an object of arrays of texts"),
        ({"additionalProperties": "no"}, "additionalProperties: a text, expected a schema: an object, true or false"),
    ],
)
def test_the_first_mistake_is_told_with_its_place(schema: Any, mistake: str | None) -> None:
    told = schema_mistake(schema)
    assert told == (mistake or "properties/a/items/minLength: a number, expected a whole number of at least 0")


def nested(levels: int) -> Any:
    schema: Any = {}
    for _ in range(levels):
        schema = {"not": schema}
    return schema


def test_a_schema_of_64_levels_is_not_too_deep() -> None:
    assert schema_mistake(nested(64)) is None


@pytest.mark.parametrize("levels", [65, 10_000])
def test_a_schema_that_is_too_deep_is_a_mistake(levels: int) -> None:
    schema = nested(levels)
    assert schema_mistake(schema) == "not/not/not/not: schemas stand more than 64 levels deep in each other"


class Leaf(BaseModel):
    name: str = Field(pattern="^a", min_length=1)
    odds: dict[str, float] | None = None


class Tree(BaseModel):
    left: "Tree | Leaf | None" = None
    leaves: list[Leaf] = Field(default=[], max_length=3)


def test_what_pydantic_writes_has_no_mistake() -> None:
    assert schema_mistake(Tree.model_json_schema()) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "items", "anyOf", "required", "minLength", "enum", "$defs"]), inner
        )
    ),
)


@given(VALUES)
def test_any_json_value_has_a_verdict(value: Any) -> None:
    told = schema_mistake(value)
    assert told is None or (isinstance(told, str) and json.dumps(told))
