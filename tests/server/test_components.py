"""Shared schemas: equal ones become one, different ones of the same name keep apart."""

from headrace.server.components import Components

TEXT = {"type": "string"}
NUMBER = {"type": "number"}


def test_definitions_move_to_the_components() -> None:
    components = Components({})
    moved = components.hoist({"type": "array", "items": {"$ref": "#/$defs/A"}, "$defs": {"A": TEXT}})
    assert moved == {"type": "array", "items": {"$ref": "#/components/schemas/A"}}
    assert components.schemas == {"A": TEXT}


def test_equal_definitions_of_two_schemas_are_one() -> None:
    components = Components({})
    for _ in range(2):
        assert components.hoist({"$ref": "#/$defs/A", "$defs": {"A": TEXT}}) == {"$ref": "#/components/schemas/A"}
    assert components.schemas == {"A": TEXT}


def test_different_definitions_of_one_name_keep_apart() -> None:
    components = Components({})
    references = [
        components.hoist({"$ref": "#/$defs/A", "$defs": {"A": each}})["$ref"] for each in (TEXT, NUMBER, TEXT, {})
    ]
    assert references == [
        "#/components/schemas/A",
        "#/components/schemas/A_2",
        "#/components/schemas/A",
        "#/components/schemas/A_3",
    ]
    assert components.schemas == {"A": TEXT, "A_2": NUMBER, "A_3": {}}


def test_equal_words_that_mean_something_different_keep_apart() -> None:
    components = Components({})
    outer = {"properties": {"b": {"$ref": "#/$defs/B"}}}
    components.hoist({"$ref": "#/$defs/A", "$defs": {"A": outer, "B": TEXT}})
    second = components.hoist({"$ref": "#/$defs/A", "$defs": {"A": outer, "B": NUMBER}})
    assert second == {"$ref": "#/components/schemas/A_2"}
    assert components.schemas["A"] == {"properties": {"b": {"$ref": "#/components/schemas/B"}}}
    assert components.schemas["A_2"] == {"properties": {"b": {"$ref": "#/components/schemas/B_2"}}}


def test_a_name_that_is_taken_from_the_start_is_not_overwritten() -> None:
    components = Components({"Problem": NUMBER})
    assert components.hoist({"$ref": "#/$defs/Problem", "$defs": {"Problem": TEXT}}) == {
        "$ref": "#/components/schemas/Problem_2"
    }
    assert components.schemas == {"Problem": NUMBER, "Problem_2": TEXT}


def test_a_definition_may_lead_to_itself() -> None:
    components = Components({})
    node = {"properties": {"next": {"$ref": "#/$defs/Node"}}}
    assert components.hoist({"$ref": "#/$defs/Node", "$defs": {"Node": node}}) == {"$ref": "#/components/schemas/Node"}
    assert components.schemas == {"Node": {"properties": {"next": {"$ref": "#/components/schemas/Node"}}}}


def test_the_mapping_of_a_discriminator_is_led_too() -> None:
    schema = {
        "oneOf": [{"$ref": "#/$defs/Cat"}],
        "discriminator": {"propertyName": "kind", "mapping": {"cat": "#/$defs/Cat"}},
        "$defs": {"Cat": TEXT},
    }
    assert Components({}).hoist(schema) == {
        "oneOf": [{"$ref": "#/components/schemas/Cat"}],
        "discriminator": {"propertyName": "kind", "mapping": {"cat": "#/components/schemas/Cat"}},
    }


def test_names_that_openapi_does_not_allow_are_changed() -> None:
    components = Components({})
    assert components.hoist({"$ref": "#/$defs/Box[int]", "$defs": {"Box[int]": TEXT}}) == {
        "$ref": "#/components/schemas/Box_int_"
    }
    assert list(components.schemas) == ["Box_int_"]


def test_values_that_only_look_like_references_stay() -> None:
    schema = {"properties": {"$ref": TEXT, "mapping": TEXT}, "default": "#/$defs/A", "const": ["#/$defs/A"]}
    assert Components({}).hoist(schema) == schema
