import enum
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from types import FunctionType
from typing import Annotated, Any

import pytest

from headrace.batching import batch
from headrace.services.decorators import EndpointOptions, NoMethod
from headrace.services.method import Method, Unreadable, default_text, parameter_text, wrong_kind


def call(*args: Any) -> Any: ...


async def wait(*args: Any) -> Any: ...


def each(*args: Any) -> Iterator[Any]:
    yield


async def stream(*args: Any) -> AsyncIterator[Any]:
    yield


def wrapped(wrapper: FunctionType, function: FunctionType) -> Callable[..., Any]:
    copy = FunctionType(wrapper.__code__, wrapper.__globals__)
    return functools.wraps(function)(copy)


class Poet:
    def write(self, topic: str, missing: "Poem", lines: Annotated[int, "how many"] = 4) -> "list[str]":  # type: ignore[name-defined] # noqa: F821
        return [topic]


def method(marked: Callable[..., Any]) -> Method:
    return Method(Poet, "write", marked, EndpointOptions())


@pytest.mark.parametrize(
    ("marked", "yields", "is_async"),
    [
        (call, False, False),
        (wait, False, True),
        (each, True, False),
        (stream, True, True),
        (wrapped(call, stream), True, True),
        (wrapped(call, wait), False, True),
        (wrapped(wait, call), False, True),
        (wrapped(stream, each), True, True),
        (wrapped(each, call), True, False),
    ],
)
def test_the_outermost_decorator_that_is_async_or_yields_decides(marked: Any, yields: bool, is_async: bool) -> None:
    found = method(marked)
    assert (found.yields, found.is_async) == (yields, is_async)


class Passing:
    def ask(self) -> AsyncIterator[str]:
        return stream()

    async def waits(self) -> AsyncIterator[str]:
        return stream()

    def iterates(self) -> Iterator[str]:
        return each()

    def without_items(self) -> AsyncIterator:  # type: ignore[type-arg]
        return stream()


@pytest.mark.parametrize(
    ("name", "yields"), [("ask", True), ("waits", False), ("iterates", False), ("without_items", False)]
)
def test_a_def_that_says_an_async_stream_returns_one_that_is_made_elsewhere(name: str, yields: bool) -> None:
    found = Method(Passing, name, getattr(Passing, name), EndpointOptions())
    assert found.yields == yields
    assert found.is_async == (name in ("ask", "waits"))
    if name == "ask":
        assert found.first_line("self") == "def ask(self) -> AsyncIterator[str]:"


def test_the_signature_has_types_and_the_unreadable_ones_are_noted() -> None:
    found = method(Poet.write)
    assert [each.annotation for each in found.signature.parameters.values()] == [
        inspect.Parameter.empty, str, Unreadable, Annotated[int, "how many"],
    ]  # fmt: skip
    assert found.signature.return_annotation == list[str]
    assert [mistake.what for mistake in found.mistakes] == [
        "Poet.write(missing): the type Poem cannot be read: name 'Poem' is not defined"
    ]


def test_the_first_line_is_written_anew() -> None:
    assert method(Poet.write).first_line("self") == "def write(self) -> list[str]:"
    assert method(wait).first_line("self, a: int", "str") == "async def write(self, a: int) -> str:"
    assert method(lambda self: 1).first_line("self") == "def write(self):"


@pytest.mark.parametrize("marked", [call, wait, wrapped(call, stream), functools.cache(call)])
def test_functions_are_methods(marked: Any) -> None:
    assert wrong_kind(Poet, "write", marked) is None


@pytest.mark.parametrize(
    ("marked", "kind"),
    [
        (staticmethod(call), "staticmethod"),
        (classmethod(call), "classmethod"),
        (property(call), "property"),
        (NoMethod(property(call), EndpointOptions()), "property"),
        (functools.cached_property(call), "cached_property"),
        (functools.partialmethod(call, 1), "partialmethod"),
        (functools.partial(call, 1), "partial"),
        (lambda self: 1, "lambda"),
        (Poet, "class"),
        (Poet(), "Poet"),
        (NoMethod(3, EndpointOptions()), "int"),
    ],
)
def test_other_things_are_not(marked: Any, kind: str) -> None:
    mistake = wrong_kind(Poet, "write", marked)
    assert mistake is not None
    assert (mistake.code, mistake.what) == ("HR18", f"Poet.write is a {kind}, not a method")


def test_what_is_batched_is_no_endpoint_itself() -> None:
    @batch
    async def write(self: Any, topics: list[str]) -> list[str]:
        return topics

    mistake = wrong_kind(Poet, "write", write)
    assert mistake is not None
    assert (mistake.code, mistake.what) == ("HR18", "Poet.write is batched, and an endpoint at the same time")
    assert "async for text in self.write(prompt)" in mistake.fix


class Color(enum.Enum):
    RED = "red"


class Rude:
    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("default", "text"),
    [
        (4, "4"),
        ("a", "'a'"),
        ((), "()"),
        (None, "None"),
        (Color.RED, "Color.RED"),
        (object(), "..."),
        (Rude(), "..."),
        ("a" * 39, "..."),
    ],
)
def test_a_default_is_written_for_people(default: Any, text: str) -> None:
    assert default_text(default) == text


def test_parameters_are_written_for_people() -> None:
    def many(a, b: "int", c=1, *d: str, e: Annotated[float, "doc"] = 0.5, **f: int) -> None: ...  # type: ignore[no-untyped-def]

    assert [parameter_text(each) for each in inspect.signature(many).parameters.values()] == [
        "a", "b: int", "c=1", "*d: str", "e: float = 0.5", "**f: int",
    ]  # fmt: skip
