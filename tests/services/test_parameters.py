"""Parameters that become arguments; the mistakes stand in `test_mistake_texts`."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

from headrace.services.arguments import Arguments
from headrace.services.decorators import EndpointOptions
from headrace.services.method import Method
from headrace.services.parameters import own_parameters, read_arguments, takes_self


def method(function: Callable[..., Any], **options: Any) -> Method:
    return Method(type("Poet", (), {}), "write", function, EndpointOptions(**options))


def read(function: Callable[..., Any], **options: Any) -> Arguments:
    found = method(function, **options)
    arguments = read_arguments(found)
    assert found.mistakes == []
    assert arguments is not None
    return arguments


def test_parameters_are_members_of_the_json_object() -> None:
    def write(self: Any, topic: str, *, lines: int = 4) -> None: ...

    assert read(write).from_json(b'{"topic": "rain"}') == {"topic": "rain"}


def test_bytes_take_the_body_and_the_others_come_from_the_query() -> None:
    def write(self: Any, image: Annotated[bytes, "a picture"], size: int = 4) -> None: ...

    arguments = read(write)
    assert arguments.body is not None
    assert (arguments.body.name, arguments.body.items) == ("image", None)
    assert arguments.from_query([("size", "3")]) == {"size": 3}


def test_an_async_iterator_reads_the_body_as_it_arrives() -> None:
    async def write(self: Any, lines: AsyncIterator[int]) -> None: ...

    body = read(write).body
    assert body is not None
    assert body.items is not None
    assert body.items.name == "int"


def test_an_iterator_does_so_in_a_def() -> None:
    def write(self: Any, lines: Iterator[int], times: int = 1) -> None: ...

    arguments = read(write)
    assert arguments.body is not None
    assert arguments.body.items is not None
    assert arguments.body.items.name == "int"
    assert [arguments.is_stream(name) for name in ("lines", "times", "other")] == [True, False, False]


def test_a_body_of_bytes_is_no_iterator() -> None:
    def write(self: Any, image: bytes) -> None: ...

    assert not read(write).is_stream("image")


def test_scalars_come_by_get() -> None:
    def write(self: Any, topic: str, lines: int | None = None) -> None: ...

    assert read(write, methods=("GET",)).unfit_for_query() == []


def test_self_is_not_an_argument() -> None:
    def write(self: Any, topic: str) -> None: ...
    def quiet(_self: Any) -> None: ...

    assert takes_self(method(write))
    assert [each.name for each in own_parameters(method(write))] == ["topic"]
    assert own_parameters(method(quiet)) == []


def test_without_self_all_parameters_are_the_methods_own() -> None:
    def write(topic: str) -> None: ...

    found = method(write)
    assert takes_self(found)
    assert [mistake.what for mistake in found.mistakes] == ["Poet.write has no self"]
    assert [each.name for each in own_parameters(found)] == ["topic"]


def test_arguments_with_a_mistake_are_none() -> None:
    def write(self: Any, topic) -> None: ...  # type: ignore[no-untyped-def]

    assert read_arguments(method(write)) is None
