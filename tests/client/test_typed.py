import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from shouting import Shouting, Shouts

from headrace.client import AsyncClient, Client
from headrace.client.typed import TypedClient, remote_methods
from headrace.server.app import Application
from headrace.services.decorators import endpoint, service
from headrace.wire.annotations import Stream
from headrace.wire.events import Footer, Header


@dataclass
class Line:
    text: str


@service
class Poet:
    def __init__(self) -> None:
        self.closed = 0

    @endpoint(path="/v2/write")
    async def write(self, topic: str, lines: int = 2) -> AsyncIterator[str]:
        try:
            for number in range(lines):
                yield f"{topic} {number}"
                await asyncio.sleep(0)
        finally:
            self.closed += 1

    @endpoint
    async def typed(self, topic: str) -> Stream[Line, dict[str, str], int]:
        yield Header({"language": "en"})
        yield Line(topic)
        yield Footer(1)

    @endpoint
    def sync(self, to: int) -> Iterator[int]:
        yield from range(to)

    @endpoint(methods=("GET",))
    async def add(self, a: int, b: int = 1) -> int:
        return a + b

    def no_endpoint(self) -> None: ...


def test_over_the_blocking_client_methods_give_what_they_would_give_themselves() -> None:
    with Client(app=Application(Poet)) as client:
        poet = client.typed(Poet)
        source: Any = poet
        assert list(source.write("rain", lines=3)) == ["rain 0", "rain 1", "rain 2"]
        assert list(source.typed("sun")) == [Header({"language": "en"}), Line("sun"), Footer(1)]
        assert list(poet.sync(3)) == [0, 1, 2]
        assert source.add(2) == 3


async def test_over_the_async_client_methods_give_what_they_would_give_themselves() -> None:
    async with AsyncClient(app=Application(Poet)) as client:
        poet = client.typed(Poet)
        assert [line async for line in poet.write("rain")] == ["rain 0", "rain 1"]
        assert [event async for event in poet.typed("sun")] == [Header({"language": "en"}), Line("sun"), Footer(1)]
        source: Any = poet
        assert [number async for number in source.sync(3)] == [0, 1, 2]
        assert await poet.add(2, b=5) == 7


async def test_closing_a_stream_stops_the_work() -> None:
    app = Application(Poet)
    async with AsyncClient(app=app) as client:
        lines: Any = client.typed(Poet).write("rain", lines=1_000_000)
        assert await anext(lines) == "rain 0"
        await lines.aclose()
        async with asyncio.timeout(5):
            while not app.runtime.instance.closed:
                await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda poet: poet.write(), "missing a required argument: 'topic'"),
        (lambda poet: poet.write("a", 1, 2), "too many positional arguments"),
        (lambda poet: poet.write("a", rhyme=True), "unexpected keyword argument 'rhyme'"),
    ],
)
def test_arguments_are_bound_as_the_method_binds_them(call: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        call(TypedClient(Poet, lambda method, arguments: None))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wrote", 'Poet has no endpoint "wrote". Did you mean "write"?'),
        ("no_endpoint", 'Poet has no endpoint "no_endpoint": it has add, sync, typed, write'),
    ],
)
def test_a_name_that_is_no_endpoint_is_told(name: str, said: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(TypedClient(Poet, lambda method, arguments: None), name)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("shout", "Shouts.shout speaks another API at /shout: call it with a client of that API"),
        ("voice", "Shouts.voice speaks another API at /voices/{voice}: call it with a client of that API"),
        (
            "read",
            "Shouts.read has named parts in its path: fill them in, and client.stream or client.call takes it: "
            "/books/{book:path}/pages/{page}",
        ),
    ],
)
def test_an_endpoint_that_is_not_called_by_name_says_what_to_do(name: str, said: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(TypedClient(Shouts, lambda method, arguments: None), name)
    assert str(caught.value) == said


async def test_what_is_told_of_named_parts_works() -> None:
    async with AsyncClient(app=Application(Shouts)) as client, client.stream("/books/a/b/pages/3", loud=True) as stream:
        assert [part async for part in stream] == ["a/b|", "3|", "True|"]


def test_a_class_whose_endpoints_all_speak_another_api_is_refused() -> None:
    class Loud:
        @endpoint(dialect=Shouting())
        async def shout(self, say: str) -> AsyncIterator[str]:
            yield say

        @endpoint(path="/{say}")
        async def whisper(self, say: str) -> AsyncIterator[str]:
            yield say

    with pytest.raises(TypeError) as caught:
        remote_methods(Loud)
    assert str(caught.value) == (
        "Loud.shout speaks another API at /shout: call it with a client of that API; "
        "Loud.whisper has named parts in its path: fill them in, and client.stream or client.call takes it: /{say}"
    )


def test_the_endpoints_are_what_an_editor_sees() -> None:
    assert dir(TypedClient(Poet, lambda method, arguments: None)) == ["add", "sync", "typed", "write"]
    assert dir(TypedClient(Shouts, lambda method, arguments: None)) == ["whisper"]


def test_path_and_method_are_those_of_the_endpoint() -> None:
    methods = remote_methods(Poet)
    assert [(each.path, each.method, each.streams) for each in methods.values()] == [
        ("/add", "GET", False),
        ("/sync", "POST", True),
        ("/typed", "POST", True),
        ("/v2/write", "POST", True),
    ]


def test_a_class_without_endpoints_is_refused() -> None:
    with pytest.raises(TypeError, match="dict has no endpoints"):
        remote_methods(dict)


def test_a_return_type_that_cannot_be_read_is_told_with_its_method() -> None:
    class Broken:
        @endpoint
        async def write(self) -> "AsyncIterator[Nowhere]":  # type: ignore[name-defined]  # noqa: F821
            yield ""

    with pytest.raises(TypeError, match=r"Broken\.write: its return type cannot be read: name .Nowhere."):
        remote_methods(Broken)
