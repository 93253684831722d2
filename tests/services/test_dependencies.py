import copy
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from headrace.errors import DefinitionError
from headrace.services.decorators import Bound, endpoint, service
from headrace.services.definition import define
from headrace.services.dependencies import Handle, depends, every, resolved, same


@service
class Leaf:
    def __init__(self, size: int = 1) -> None:
        self.size = size

    @endpoint
    async def read(self) -> int:
        return self.size


@service
class ByAttribute:
    leaf: Handle[Leaf] = depends(Leaf)

    @endpoint
    async def read(self) -> int:
        return await self.leaf.read()


@service
class ByParameter:
    def __init__(self, word: str = "", leaf: Handle[Leaf] = depends(Leaf.bind(size=2))) -> None:  # noqa: B008
        self.leaf = leaf

    @endpoint
    async def read(self) -> int:
        return await self.leaf.read()


def names(bound: Bound[Any]) -> list[str]:
    return [each.service.__name__ for each in every(bound)]


# ---- finding them


def test_a_dependency_is_an_attribute_of_the_class() -> None:
    assert resolved(Bound(ByAttribute)) == Bound(ByAttribute, attributes={"leaf": Bound(Leaf)})


def test_a_dependency_is_the_default_of_a_constructor_parameter() -> None:
    assert resolved(Bound(ByParameter)) == Bound(ByParameter, kwargs={"leaf": Bound(Leaf, kwargs={"size": 2})})


def test_a_base_class_depends_for_those_below_it() -> None:
    @service
    class Below(ByAttribute):
        pass

    assert names(resolved(Bound(Below))) == ["Leaf", "Below"]


def test_an_attribute_that_hides_a_dependency_is_none() -> None:
    @service
    class Below(ByAttribute):
        leaf = Leaf(3)

    assert names(resolved(Bound(Below))) == ["Below"]


def test_dependencies_of_dependencies_come_first() -> None:
    @service
    class Above:
        middle: Handle[ByAttribute] = depends(ByAttribute)
        other: Handle[ByParameter] = depends(ByParameter)

    assert names(resolved(Bound(Above))) == ["Leaf", "ByAttribute", "Leaf", "ByParameter", "Above"]


def test_a_service_without_dependencies_stays_as_it_is() -> None:
    assert resolved(Bound(Leaf, (3,))) == Bound(Leaf, (3,))


# ---- naming another one


@pytest.mark.parametrize(
    ("bound", "size"),
    [
        (ByAttribute.bind(), ()),  # type: ignore[attr-defined]
        (ByAttribute.bind(leaf=Leaf.bind(size=3)), (("size", 3),)),  # type: ignore[attr-defined]
        (ByParameter.bind(), (("size", 2),)),  # type: ignore[attr-defined]
        (ByParameter.bind(leaf=Leaf.bind(size=3)), (("size", 3),)),  # type: ignore[attr-defined]
        (ByParameter.bind("word", Leaf.bind(size=3)), (("size", 3),)),  # type: ignore[attr-defined]
        (ByParameter.bind(leaf=depends(Leaf.bind(size=3))), (("size", 3),)),  # type: ignore[attr-defined]
        (ByParameter.bind("word", depends(Leaf.bind(size=3))), (("size", 3),)),  # type: ignore[attr-defined]
        (ByAttribute.bind(leaf=depends(Leaf.bind(size=3))), (("size", 3),)),  # type: ignore[attr-defined]
    ],
)
def test_bind_names_another_one(bound: Bound[Any], size: tuple[tuple[str, int], ...]) -> None:
    leaf, _ = every(resolved(bound))
    assert tuple(leaf.kwargs.items()) == size
    assert len(define(bound).dependencies) == 1


def test_bind_names_a_service_that_runs_elsewhere() -> None:
    leaf, _ = every(resolved(ByAttribute.bind(leaf=depends(Leaf, url="http://10.0.0.1:8001"))))  # type: ignore[attr-defined]
    assert leaf.url == "http://10.0.0.1:8001"


def test_an_object_of_ones_own_takes_the_place_of_a_service() -> None:
    own = Leaf(7)
    assert names(resolved(ByParameter.bind(leaf=own))) == ["ByParameter"]  # type: ignore[attr-defined]


def test_resolving_twice_is_resolving_once() -> None:
    once = resolved(ByAttribute.bind(leaf=Leaf.bind(size=3)))  # type: ignore[attr-defined]
    assert resolved(once) == once


# ---- what is the same


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (Bound(Leaf), Bound(Leaf), True),
        (Bound(Leaf), Bound(ByAttribute), False),
        (Bound(Leaf, (1,)), Bound(Leaf, (1,)), True),
        (Bound(Leaf, (1,)), Bound(Leaf, (2,)), False),
        (Bound(Leaf, (1,)), Bound(Leaf, (True,)), False),
        (Bound(Leaf, (1,)), Bound(Leaf), False),
        (Bound(Leaf, (), {"size": 1}), Bound(Leaf, (), {"size": 1}), True),
        (Bound(Leaf, (), {"size": 1}), Bound(Leaf, (), {"size": 2}), False),
        (Bound(Leaf, (), {"size": 1}), Bound(Leaf), False),
        (Bound(Leaf, url="http://a"), Bound(Leaf, url="http://a"), True),
        (Bound(Leaf, url="http://a"), Bound(Leaf, url="http://b"), False),
        (Bound(Leaf, url="http://a"), Bound(Leaf), False),
        (Bound(ByAttribute, (), {}, {"leaf": Bound(Leaf)}), Bound(ByAttribute, (), {}, {"leaf": Bound(Leaf)}), True),
        (
            Bound(ByAttribute, (), {}, {"leaf": Bound(Leaf)}),
            Bound(ByAttribute, (), {}, {"leaf": Bound(Leaf, (2,))}),
            False,
        ),
    ],
)
def test_what_is_bound_alike_is_one_service(one: Bound[Any], other: Bound[Any], equal: bool) -> None:
    assert same(one, other) is equal
    assert same(one, one)


class Touchy:
    """Cannot be compared."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("do not compare")

    __hash__ = None  # type: ignore[assignment]


class Array:
    """Compares to an array, as numpy's do."""

    def __eq__(self, other: object) -> Any:
        return [True]

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("kind", [Touchy, Array])
def test_arguments_that_cannot_be_compared_are_the_same_where_they_are_one_object(kind: Callable[[], object]) -> None:
    one = kind()
    assert same(Bound(Leaf, (one,)), Bound(Leaf, (one,)))
    assert not same(Bound(Leaf, (one,)), Bound(Leaf, (kind(),)))


# ---- mistakes


def test_a_circle_is_told(written: Callable[[str], Any], told: Callable[[Callable[[], object]], str]) -> None:
    module = written(
        """
from headrace import depends, endpoint, service

@service
class Egg:
    def __init__(self, hen=None):
        pass

    @endpoint
    async def hatch(self) -> str:
        return ""

@service
class Hen:
    egg = depends(Egg)

    @endpoint
    async def lay(self) -> str:
        return ""

Egg.hen = depends(Hen)
"""
    )
    assert told(lambda: define(module.Hen)) == (
        "HR20 services depend on each other in a circle: Egg -> Hen -> Egg\n"
        "  app.py:5\n"
        "    class Egg:\n"
        "          ^\n"
        "  Each is started after those that it depends on, so none could be the first.\n"
        "  fix: depends(Hen, url=...)  # or a third service that both depend on\n"
    )


def test_a_service_that_depends_on_itself_is_a_circle() -> None:
    @service
    class Snake:
        @endpoint
        async def bite(self) -> str:
            return ""

    Snake.tail = depends(Snake)  # type: ignore[attr-defined]
    with pytest.raises(DefinitionError, match="in a circle: Snake -> Snake"):
        resolved(Bound(Snake))


def test_a_chain_of_one_class_that_is_bound_by_hand_is_no_circle() -> None:
    @service
    class Link:
        def __init__(self, following: Any = None) -> None:
            pass

    chain = Link.bind(Link.bind(following=Link.bind()))  # type: ignore[attr-defined]
    assert names(resolved(chain)) == ["Link", "Link", "Link"]


@pytest.mark.parametrize(
    "url",
    ["localhost:8001", "ftp://host", "http://", "", "http://host/?a=1", "http://host/#a", "http://ho st", "\nhttp://a"],
)
def test_what_is_no_url_is_told(url: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        resolved(ByAttribute.bind(leaf=depends(Leaf, url=url)))  # type: ignore[attr-defined]
    (mistake,) = caught.value.mistakes
    assert (mistake.code, mistake.what) == ("HR20", f"depends(Leaf, url={url!r}) is not the address of a service")
    assert mistake.fix == 'depends(Leaf, url="http://127.0.0.1:8001")'


@pytest.mark.parametrize("url", ["http://127.0.0.1:8001", "https://models.internal/leaf", "http://[::1]:8001/"])
def test_what_is_a_url_is_taken(url: str) -> None:
    leaf, _ = every(resolved(ByAttribute.bind(leaf=depends(Leaf, url=url))))  # type: ignore[attr-defined]
    assert leaf.url == url


def test_what_a_service_elsewhere_depends_on_is_its_own_business() -> None:
    tree = resolved(Bound(ByAttribute, url="http://127.0.0.1:8001"))
    assert names(tree) == ["ByAttribute"]


# ---- before the start


def test_a_service_that_was_constructed_by_hand_says_what_to_do() -> None:
    with pytest.raises(AttributeError) as caught:
        _ = ByAttribute().leaf.read
    assert str(caught.value) == (
        "Leaf.read is not there yet: the service that depends on it was constructed by hand. Serve it, use "
        "headrace.testing.connect, or pass a Leaf() of your own to its constructor"
    )


async def test_a_plain_object_can_take_the_place_in_a_unit_test() -> None:
    assert await ByParameter(leaf=Leaf(4)).read() == 4


def test_what_python_asks_of_any_object_is_answered() -> None:
    dependency = depends(Leaf)
    assert not hasattr(copy.copy(dependency), "__len__")
    assert not callable(dependency)


def test_a_dataclass_can_have_dependencies() -> None:
    @service
    @dataclass(frozen=True)
    class Above:
        leaf: Handle[Leaf] = depends(Leaf)

        @endpoint
        async def read(self) -> AsyncIterator[int]:
            yield await self.leaf.read()

    assert [each.name for each in define(Above).dependencies] == ["Leaf"]


def test_bind_names_another_one_for_the_attribute_and_the_parameter_of_a_dataclass() -> None:
    @service
    @dataclass
    class Above:
        leaf: Handle[Leaf] = depends(Leaf)

        @endpoint
        async def read(self) -> int:
            return await self.leaf.read()

    definition = define(Above.bind(leaf=Leaf.bind(size=3)))  # type: ignore[attr-defined]
    assert [each.bound.kwargs for each in definition.dependencies] == [{"size": 3}]
