"""What `bind` was given against what `__init__` takes; the texts stand in `test_mistake_texts`."""

from dataclasses import dataclass
from typing import Any

import pytest

from headrace.services.constructor import constructor, constructor_mistakes, constructor_parameters, constructor_place
from headrace.services.decorators import Bound


class Plain: ...


class One:
    def __init__(self, model_id: str, size: int = 1) -> None: ...


class Heir(One): ...


class Anything:
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...


class Strict:
    def __init__(self, first: int, /, *, key: str) -> None: ...


@dataclass
class Data:
    model_id: str
    size: int = 1


@pytest.mark.parametrize(
    ("bound", "found"),
    [
        (Bound(Plain), []),
        (Bound(Plain, (1,)), ["Plain.__init__ takes no arguments by position, and bind was given 1"]),
        (Bound(One), ['One needs "model_id": bind it']),
        (Bound(One, ("tiny",)), []),
        (Bound(One, ("tiny", 3)), []),
        (Bound(One, (), {"model_id": "tiny", "size": 3}), []),
        (Bound(One, ("tiny", 3, 4)), ["One.__init__ takes 2 arguments by position, and bind was given 3"]),
        (Bound(One, (), {"size": 3}), ['One needs "model_id": bind it']),
        (Bound(One, ("t",), {"sise": 3}), ['One.__init__ has no "sise". Did you mean "size"?']),
        (Bound(One, (), {"other": 3}), ['One.__init__ has no "other"', 'One needs "model_id": bind it']),
        (Bound(One, ("tiny",), {"model_id": "big"}), ['One.bind was given "model_id" twice, by position and by name']),
        (Bound(Heir), ['Heir needs "model_id": bind it']),
        (Bound(Data), ['Data needs "model_id": bind it']),
        (Bound(Anything, (1, 2), {"a": 3}), []),
        (Bound(Strict), ['Strict needs "first" and "key": bind them']),
        (Bound(Strict, (1,), {"key": "k"}), []),
        (Bound(Strict, (1,), {"first": 1, "key": "k"}), ['Strict.__init__ has no "first"']),
        (Bound(type), []),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_missing_unknown_or_too_much_is_found(bound: Bound[Any], found: list[str]) -> None:
    assert [mistake.what for mistake in constructor_mistakes(bound)] == found


def test_the_parameters_are_those_of_the_constructor() -> None:
    assert list(constructor_parameters(One) or ()) == ["model_id", "size"]
    assert list(constructor_parameters(Data) or ()) == ["model_id", "size"]
    assert list(constructor_parameters(Plain) or ()) == []


def test_nobody_tells_the_parameters_of_some_classes() -> None:
    assert constructor_parameters(type) is None


def test_the_constructor_may_be_inherited() -> None:
    assert constructor(Heir) is vars(One)["__init__"]


def test_the_place_is_the_constructor_or_the_class_that_has_none() -> None:
    own, inherited, none = constructor_place(One, "size"), constructor_place(Heir), constructor_place(Data, "size")
    assert own is not None
    assert inherited is not None
    assert none is not None
    assert own.text == inherited.text == "def __init__(self, model_id: str, size: int = 1) -> None: ..."
    assert (own.column, inherited.column) == (35, 5)
    assert none.text == "class Data:"
