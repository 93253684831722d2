"""A service as a whole; the texts of its mistakes stand in `test_mistake_texts`."""

from collections.abc import AsyncIterator, Callable
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import pytest

from headrace.demo import Chat
from headrace.errors import DefinitionError
from headrace.services.decorators import Bound, endpoint, service
from headrace.services.definition import define


@service
class Base:
    """Says things.

    In many ways.
    """

    stub = MagicMock()

    def __init__(self, needed: str) -> None:
        raise AssertionError("nothing is constructed")

    @endpoint
    async def first(self) -> AsyncIterator[str]:
        yield "first"

    @endpoint
    def second(self) -> str:
        return "second"


@service(name="child")
class Child(Base):
    @endpoint
    def third(self) -> str:
        return "third"

    def second(self) -> str:
        return "no endpoint any more"

    @endpoint(path="/1st")
    async def first(self) -> AsyncIterator[str]:
        yield "first of the child"


def test_the_endpoints_are_in_the_order_of_the_class() -> None:
    definition = define(Base)
    assert [(each.label, each.path) for each in definition.endpoints] == [
        ("Base.first", "/first"),
        ("Base.second", "/second"),
    ]
    assert (definition.name, definition.description) == ("Base", "Says things.\n\nIn many ways.")
    assert definition.service is Base


def test_endpoints_are_inherited_and_overridden() -> None:
    definition = define(Child)
    assert definition.name == "child"
    assert [(each.label, each.path) for each in definition.endpoints] == [
        ("Child.first", "/1st"),
        ("Child.third", "/third"),
    ]


def test_a_class_is_read_without_its_constructors_arguments() -> None:
    assert define(Base).service is Base


def test_a_bound_service_is_read_with_them() -> None:
    assert define(Bound(Base, ("given",))).service is Base
    with pytest.raises(DefinitionError, match='HR12 Base needs "needed": bind it'):
        define(Bound(Base))


def test_the_demo_has_no_mistakes() -> None:
    paths = [each.path for each in define(Bound(Chat)).endpoints]
    assert {"/chat", "/complete"} <= set(paths)


SOURCE = """\
from headrace import endpoint, service


class Poet:
    @endpoint
    def write(self) -> str:
        return "rain"
"""


def test_a_class_without_the_mark_is_no_service(
    written: Callable[[str], ModuleType], told: Callable[[Callable[[], object]], str]
) -> None:
    module = written(SOURCE)
    assert told(lambda: define(module.Poet)) == (
        "HR02 Poet is not a service\n"
        "  app.py:4\n"
        "    class Poet:\n"
        "          ^\n"
        "  Only classes marked with @service are served.\n"
        "  fix: @service\n"
        "       class Poet:\n"
    )


def test_the_mark_of_a_parent_is_not_enough() -> None:
    class Heir(Base): ...

    with pytest.raises(DefinitionError, match="HR02 Heir is not a service"):
        define(Heir)


def test_an_object_is_no_service(told: Callable[[Callable[[], object]], str]) -> None:
    thing: Any = Chat()
    assert told(lambda: define(thing)) == (
        "HR02 an object of Chat cannot be served\n"
        "  headrace constructs the service itself, once per replica.\n"
        "  fix: app = Chat.bind(...)\n"
    )


def test_hooks_that_need_nothing_are_no_mistakes() -> None:
    @service
    class Fine:
        on_stop = None

        async def on_start(self, *args: int, size: int = 3, **kwargs: int) -> None: ...

        @endpoint
        def write(self) -> str:
            return "rain"

    assert len(define(Fine).endpoints) == 1
