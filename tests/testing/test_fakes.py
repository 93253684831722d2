from collections.abc import AsyncIterator
from typing import Any

import pytest

from headrace.services.decorators import Bound, endpoint, service
from headrace.services.dependencies import Handle, depends, every
from headrace.testing.fakes import replaced


class Word:
    def __init__(self, word: str = "a word") -> None:
        self.word = word

    @endpoint
    async def say(self) -> AsyncIterator[str]:
        yield self.word


@service
class Leaf(Word):
    pass


@service
class Fake(Word):
    pass


@service
class Middle:
    def __init__(self, leaf: Handle[Leaf] = depends(Leaf), size: int = 1) -> None:
        self.leaf = leaf

    @endpoint
    async def say(self) -> AsyncIterator[str]:
        async for word in self.leaf.say():
            yield word


@service
class Top:
    middle: Handle[Middle] = depends(Middle)
    far: Handle[Leaf] = depends(Leaf, url="http://127.0.0.1:1")

    @endpoint
    async def say(self) -> AsyncIterator[str]:
        async for word in self.middle.say():
            yield word


def names(bound: Bound[Any]) -> list[str]:
    return [each.service.__name__ for each in every(bound)]


def test_without_replacements_the_tree_is_as_it_was() -> None:
    assert names(replaced(Top, None)) == ["Leaf", "Middle", "Leaf", "Top"]


def test_a_service_is_replaced_wherever_it_stands_at_a_url_too() -> None:
    tree = replaced(Top, {Leaf: Fake})
    assert names(tree) == ["Fake", "Middle", "Fake", "Top"]
    assert [each.url for each in every(tree)] == [None] * 4


def test_what_stands_below_a_replaced_service_is_gone() -> None:
    assert names(replaced(Top, {Middle: Fake})) == ["Fake", "Leaf", "Top"]


def test_a_bound_replacement_keeps_its_arguments() -> None:
    tree = replaced(Middle, {Leaf: Fake.bind(word="mine")})  # type: ignore[attr-defined]
    assert tree.kwargs["leaf"].kwargs == {"word": "mine"}


def test_a_bound_service_keeps_its_other_arguments() -> None:
    tree = replaced(Middle.bind(size=3), {Leaf: Fake})  # type: ignore[attr-defined]
    assert tree.kwargs["size"] == 3
    assert names(tree) == ["Fake", "Middle"]


def test_an_argument_by_position_is_replaced() -> None:
    tree = replaced(Middle.bind(Leaf.bind("here")), {Leaf: Fake})  # type: ignore[attr-defined]
    assert names(tree) == ["Fake", "Middle"]


def test_two_services_are_replaced_at_once() -> None:
    @service
    class Other(Word):
        pass

    assert names(replaced(Top, {Middle: Fake, Leaf: Other})) == ["Fake", "Other", "Top"]


def test_nothing_of_the_original_is_changed() -> None:
    bound = Middle.bind(Leaf.bind("here"))  # type: ignore[attr-defined]
    replaced(bound, {Leaf: Fake})
    assert names(bound) == ["Leaf", "Middle"]


@pytest.mark.parametrize(
    ("target", "replacement", "message"),
    [
        (Middle, Fake, "replace: Middle does not depend on Fake, it depends on Leaf"),
        (Top, Top, "replace: Top does not depend on Top, it depends on Leaf, Middle"),
        (Leaf, Fake, "replace: Leaf does not depend on Fake, it depends on nothing"),
    ],
)
def test_a_replacement_that_would_do_nothing_is_told(target: type, replacement: type, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replaced(target, {replacement: Fake})
