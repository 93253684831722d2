import collections.abc
import typing
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable, Iterator
from typing import Annotated, Any, Literal

import pytest
from typing_extensions import TypeAliasType

from headrace.wire.annotations import (
    Stream,
    StreamAnnotation,
    is_stream_form,
    plain,
    read_stream,
    resolve,
    type_text,
)
from headrace.wire.events import Footer, Header

Tokens = TypeAliasType("Tokens", AsyncIterator[str])
Events = TypeAliasType("Events", str | Header[int])


@pytest.mark.parametrize(
    ("annotation", "item", "header", "footer", "is_async"),
    [
        (AsyncIterator[str], str, None, None, True),
        (typing.AsyncIterator[str], str, None, None, True),
        (AsyncIterable[str], str, None, None, True),
        (AsyncGenerator[str, None], str, None, None, True),
        (Iterator[str], str, None, None, False),
        (Iterable[str], str, None, None, False),
        (Generator[str, None, None], str, None, None, False),
        (Annotated[Iterator[str], "words"], str, None, None, False),
        (Tokens, str, None, None, True),
        (AsyncIterator[Events], str, int, None, True),
        (AsyncIterator[int | str], int | str, None, None, True),
        (Iterator[int | str | Header[float]], int | str, float, None, False),
        (Iterator[int | Footer[str] | Header[float]], int, float, str, False),
        (AsyncIterator[Annotated[int | Header[str], "doc"]], int, str, None, True),
        (AsyncIterator[str | None], str | None, None, None, True),
        (AsyncIterator[str | Header], str, Any, None, True),
        (AsyncIterator[Annotated[str, "doc"]], Annotated[str, "doc"], None, None, True),
        (Stream[str], str, None, None, True),
        (Stream[str, int], str, int, None, True),
        (Stream[str, int, float], str, int, float, True),
        (Stream[str, None, float], str, None, float, True),
        (Stream[int | str, bool], int | str, bool, None, True),
    ],
    ids=str,
)
def test_a_stream_is_read(annotation: Any, item: Any, header: Any, footer: Any, is_async: bool) -> None:
    assert read_stream(annotation) == StreamAnnotation(item, header, footer, is_async)


@pytest.mark.parametrize("annotation", [str, None, list[str], Any, dict[str, AsyncIterator[str]], Literal["a"]])
def test_other_annotations_are_no_streams(annotation: Any) -> None:
    assert read_stream(annotation) is None


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (Stream, "Stream needs its item type: Stream[str], Stream[Item, Header, Footer]"),
        (AsyncIterator, "AsyncIterator needs its item type: AsyncIterator[str]"),
        (collections.abc.Generator, "Generator needs its item type: Generator[str]"),
        (Iterator[Header[str]], "a stream has one item type, at most one Header and at most one Footer"),
        (
            Iterator[int | Footer[str] | Footer[int]],
            "a stream has one item type, at most one Header and at most one Footer",
        ),
    ],
    ids=str,
)  # fmt: skip
def test_a_stream_that_cannot_be_read_says_why(annotation: Any, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        read_stream(annotation)
    assert str(caught.value) == message


@pytest.mark.parametrize("types", [(), (str, int, float, bool)])
def test_a_stream_has_at_most_three_types(types: Any) -> None:
    with pytest.raises(TypeError, match="an item type, a header and a footer"):
        Stream[types]


@pytest.mark.parametrize("form", [AsyncIterator, AsyncIterable, AsyncGenerator, Iterator, Iterable, Generator])
def test_the_iterator_forms_are_stream_forms(form: Any) -> None:
    assert is_stream_form(form)


@pytest.mark.parametrize("form", [list, str, None, Any])
def test_other_forms_are_not(form: Any) -> None:
    assert not is_stream_form(form)


def test_metadata_and_aliases_are_taken_off() -> None:
    assert plain(Annotated[TypeAliasType("Size", Annotated[int, "px"]), "doc"]) is int


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        ("Annotated[str, 'x']", "Annotated[str, 'x']"),
        ("'Poem'", "Poem"),
        (Annotated[float, "doc"], "float"),
        (Annotated[float, "doc"] | None, "float | None"),
        (Literal["gpt.4"], "Literal['gpt.4']"),
        (dict[str, list[int]], "dict[str, list[int]]"),
        (AsyncIterator[str | Header[int]], "AsyncIterator[str | Header[int]]"),
        (None, "None"),
    ],
    ids=str,
)
def test_a_type_is_written_as_people_write_it(annotation: Any, text: str) -> None:
    assert type_text(annotation) == text


class Shop:
    class Item: ...

    def sell(self, item: "Item", price: "Price") -> None: ...  # type: ignore[name-defined] # noqa: F821

    def list(self) -> "list[str]": ...


def test_a_name_is_looked_up_in_the_module_and_then_in_the_class() -> None:
    assert resolve("list[str]", Shop.list, Shop) == list[str]
    assert resolve("Item", Shop.sell, Shop) is Shop.Item
    assert resolve("Annotated[Item, 'doc']", Shop.sell, Shop) == Annotated[Shop.Item, "doc"]
    with pytest.raises(NameError):
        resolve("Price", Shop.sell, Shop)
