import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import Cancelled, InvalidItem, MissingFooter, MissingHeader, OutOfOrder, StreamError
from headrace.streams.yields import refused, short_path

HERE = short_path(__file__)
FIRST = 16  # the line of `def three`


# fmt: off
def three() -> Iterator[str]:
    yield "a"
    yield (
        "b"
    )
    yield from inner()


def inner() -> Iterator[str]:
    yield "c"


async def two() -> AsyncIterator[str]:
    yield "a"
    yield "b"
# fmt: on


def advanced(times: int) -> Iterator[str]:
    source = three()
    for _ in range(times):
        next(source)
    return source


@pytest.mark.parametrize(
    ("times", "place"),
    [
        pytest.param(1, "17, three", id="at its first yield"),
        pytest.param(2, "18, three", id="at a yield of several lines"),
        pytest.param(3, "25, inner", id="inside what it yields from"),
    ],
)
def test_the_place_is_the_yield_where_the_generator_waits(times: int, place: str) -> None:
    source = advanced(times)
    error = refused(InvalidItem("item 1 is int, expected str"), source)
    assert str(error) == f"HR08 item 1 is int, expected str ({HERE}:{place})"


async def test_the_place_in_an_async_generator_is_its_yield() -> None:
    source = two()
    await anext(source)
    await anext(source)
    assert str(refused(OutOfOrder("a Header after Item"), source)) == f"HR10 a Header after Item ({HERE}:30, two)"
    await source.aclose()


def test_a_generator_that_has_returned_is_named_by_its_first_line() -> None:
    source = three()
    list(source)
    assert str(refused(MissingFooter("no footer"), source)) == f"HR10 no footer ({HERE}:{FIRST}, three)"


def test_a_method_is_named_with_its_class() -> None:
    class Poet:
        def write(self) -> Iterator[int]:
            yield 1

    source = Poet().write()
    next(source)
    assert str(refused(InvalidItem("wrong"), source)).endswith(", Poet.write)")


@pytest.mark.parametrize("source", [None, iter([1]), iter(range(3))])
def test_what_is_no_generator_has_no_line(source: Any) -> None:
    assert str(refused(MissingHeader("no header"), source)) == "HR10 no header"


@pytest.mark.parametrize("kind", [InvalidItem, OutOfOrder, MissingHeader, MissingFooter])
def test_a_refusal_keeps_its_class(kind: type[StreamError]) -> None:
    assert type(refused(kind("what"), None)) is kind


def test_a_refusal_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    refused(InvalidItem("wrong"), advanced(1))
    assert [record.getMessage() for record in caplog.records] == [f"HR08 wrong ({HERE}:17, three)"]


@pytest.mark.parametrize("error", [Cancelled(), StreamError("of the user's own")])
def test_any_other_error_stays_as_it_is(error: StreamError, caplog: pytest.LogCaptureFixture) -> None:
    assert refused(error, advanced(1)) is error
    assert caplog.records == []


def test_a_path_below_the_current_folder_is_relative() -> None:
    assert short_path(str(Path.cwd() / "a" / "b.py")) == os.path.join("a", "b.py")


def test_a_path_outside_of_it_stays_whole() -> None:
    assert short_path("/usr/lib/b.py") == "/usr/lib/b.py"
