"""Values of declared classes, and nothing else, at next to no cost."""

import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
import typing_extensions

from headrace.errors import InvalidItem, WireError
from headrace.wire.instance_codec import InstanceCodec


@dataclass
class Word:
    text: str


class Longer(Word):
    pass


class Pause:
    """Pydantic has no schema for it."""


class Members(typing_extensions.TypedDict):
    text: str


Sound: typing.TypeAlias = Word | Pause
Named = typing_extensions.TypeAliasType("Named", Word | None)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Word, Word("a")),
        (Word, Longer("a")),
        (Word, Word(5)),  # type: ignore[arg-type]
        (Sound, Word("a")),
        (Sound, Pause()),
        (Sound | None, None),
        (Named, Word("a")),
        (Named | Pause, Pause()),
        (Annotated[Word, "spoken"], Word("a")),
        (list[int], ["a"]),
        (Mapping[str, int], {}),
        (Members, {}),
        (Any, object()),
        (str, "\ud800"),
        (float, float("nan")),
    ],
)
def test_a_value_of_the_class_is_passed_on_as_it_is(annotation: Any, value: Any) -> None:
    assert InstanceCodec(annotation).check(value) is value


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (Word, Pause(), "Pause, expected Word"),
        (Sound, "a", "str, expected Word | Pause"),
        (Word, {"text": "a"}, "dict, expected Word"),
        (Word, None, "NoneType, expected Word"),
        (int, "5", "str, expected int"),
        (Members, [], "list, expected Members"),
    ],
)
def test_any_other_value_is_refused(annotation: Any, value: Any, message: str) -> None:
    with pytest.raises(InvalidItem) as refused:
        InstanceCodec(annotation).check(value)
    assert refused.value.message == message


@pytest.mark.parametrize("annotation", [Literal["a"], Word | Literal["a"], "Word"])
def test_what_is_no_class_is_refused_when_it_is_declared(annotation: Any) -> None:
    with pytest.raises(TypeError, match="is no class that a value can be held against"):
        InstanceCodec(annotation)


def test_only_the_dialect_writes_and_reads_its_values() -> None:
    codec = InstanceCodec(Word)
    with pytest.raises(InvalidItem, match="Word, which only its dialect can write"):
        codec.dumps(Word("a"))
    with pytest.raises(WireError, match="Word is not read from JSON"):
        codec.loads(b'{"text": "a"}')


def test_it_has_the_kind_and_the_schema_of_any_json() -> None:
    codec = InstanceCodec(Sound)
    assert (codec.name, codec.kind, codec.schema()) == ("Word | Pause", "json", {})
