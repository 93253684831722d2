"""What an endpoint without mistakes looks like; the mistakes stand in `test_mistake_texts`."""

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any, Literal

import msgspec
import pytest
from pydantic import Field
from shouting import OneVoice, Shouting, Word

from headrace.services.decorators import ENDPOINT, endpoint
from headrace.services.endpoint import EndpointDefinition, read_endpoint
from headrace.streams.deadlines import Timeouts
from headrace.wire.annotations import Stream
from headrace.wire.events import Footer, Header


class Poem(msgspec.Struct):
    text: str


def passed_on(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def threaded(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class Poet:
    @endpoint
    async def stream(self) -> AsyncIterator[str]:
        """Streams a poem.

        Word by word.
        """
        yield "rain"

    @endpoint(first_item_timeout=30, item_timeout=2.5, timeout=100)
    async def timed(self) -> AsyncIterator[str]:
        yield "rain"

    @endpoint
    def words(self) -> Iterator[str | Header[int]]:
        yield "rain"

    @endpoint(summary="Once.", path="/one", methods=("GET",), media_type="text/markdown; charset=utf-8")
    async def once(self, lines: Annotated[int, Field(ge=1)] = 4, *, kind: Literal["a.b"] = "a.b") -> str:
        return "rain"

    @endpoint
    def plain(self, poem: Poem, image: bytes | None = None) -> Poem:
        return poem

    @endpoint
    async def typed(self) -> Stream[str, int, float]:
        yield "rain"

    @endpoint
    def nothing(self) -> None: ...

    @endpoint
    @passed_on
    async def logged(self, topic: str) -> AsyncIterator[str]:
        yield topic

    @endpoint
    @threaded
    def moved(self, topic: str) -> str:
        return topic

    @endpoint
    async def upload(self, body: AsyncIterator[bytes], name: str) -> int:
        return 0

    @endpoint(path="/poems/{book:path}/pages/{page}")
    def page(self, page: int, book: str, loud: bool = False) -> str:
        return book

    @endpoint(path="/shout", dialect=Shouting())
    async def shout(self, say: str, whole: bool = False) -> AsyncIterator[Word | None]:
        yield Word(say)

    @endpoint(path="/voices/{voice}", methods=("GET",), dialect=OneVoice())
    async def voice(self, data: bytes, options: dict[str, int]) -> Word:
        return Word("")

    @endpoint
    @functools.cache  # noqa: B019
    def cached(self) -> str:
        return "rain"


def read(name: str) -> EndpointDefinition:
    marked = vars(Poet)[name]
    found, mistakes = read_endpoint(Poet, name, marked, getattr(marked, ENDPOINT))
    assert mistakes == []
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "streams", "is_async", "returns", "signature"),
    [
        ("stream", True, True, "str*", "()"),
        ("words", True, False, "str*", "()"),
        ("once", False, True, "str", "(lines: int = 4, kind: Literal['a.b'] = 'a.b')"),
        ("plain", False, False, "Poem", "(poem: Poem, image: bytes | None = None)"),
        ("typed", True, True, "str*", "()"),
        ("nothing", False, False, "None", "()"),
        ("logged", True, True, "str*", "(topic: str)"),
        ("moved", False, True, "str", "(topic: str)"),
        ("upload", False, True, "int", "(body: AsyncIterator[bytes], name: str)"),
        ("cached", False, False, "str", "()"),
    ],
)
def test_kind_and_types_are_read(name: str, streams: bool, is_async: bool, returns: str, signature: str) -> None:
    found = read(name)
    assert (found.streams, found.is_async, found.returns, found.signature) == (streams, is_async, returns, signature)
    assert (found.label, found.attribute) == (f"Poet.{name}", name)


def test_timeouts_are_taken_over_and_off_by_default() -> None:
    assert read("timed").timeouts == Timeouts(first_item=30, item=2.5, total=100)
    assert read("once").timeouts == Timeouts()


def test_options_are_taken_over() -> None:
    found = read("once")
    assert (found.path, found.methods, found.media_type, found.summary) == (
        "/one",
        ("GET",),
        "text/markdown; charset=utf-8",
        "Once.",
    )


def test_without_options_the_method_tells_them() -> None:
    found = read("stream")
    assert (found.path, found.methods, found.media_type) == ("/stream", ("POST",), None)
    assert (found.summary, found.description) == ("Streams a poem.", "Word by word.")


def test_headers_and_footers_are_declared_types() -> None:
    types = read("typed").types
    assert types.header is not None
    assert types.footer is not None
    assert (types.header.name, types.footer.name) == ("int", "float")
    assert read("words").types.footer is None


def test_a_footer_alone_is_declared_too() -> None:
    class Counter:
        @endpoint
        def count(self) -> Iterator[int | Footer[str]]:
            yield 1

    found, _ = read_endpoint(Counter, "count", Counter.count, getattr(Counter.count, ENDPOINT))
    assert found is not None
    assert found.types.header is None
    assert found.types.footer is not None


def test_the_named_parts_of_a_path_are_arguments() -> None:
    found = read("page")
    assert found.pattern is not None
    assert (found.path, found.pattern.names) == ("/poems/{book:path}/pages/{page}", ("book", "page"))
    assert found.arguments.path is not None
    assert (found.arguments.path.names, found.arguments.names) == (("page", "book"), ("loud",))
    assert (read("stream").pattern, read("stream").arguments.path) == (None, None)


def test_a_path_is_filled_from_the_arguments_and_the_others_are_left() -> None:
    arguments = {"book": "a b", "page": 3, "loud": True}
    assert read("page").filled(arguments) == ("/poems/a%20b/pages/3", {"loud": True})
    assert read("stream").filled(arguments) == ("/stream", arguments)


@pytest.mark.parametrize(
    ("name", "path"),
    [("page", "/poems/text/pages/1"), ("voice", "/voices/voice"), ("shout", "/shout"), ("stream", "/stream")],
)
def test_an_example_of_a_path_has_something_in_each_place(name: str, path: str) -> None:
    assert read(name).example_path() == path


@pytest.mark.parametrize(
    ("name", "example"), [("shout", {"say": "text"}), ("voice", {}), ("page", {"loud": False}), ("stream", {})]
)
def test_an_example_of_a_body_is_the_dialects_own(name: str, example: Any) -> None:
    assert read(name).example() == example


def test_values_that_are_known_to_work_stand_in_the_examples() -> None:
    known = {"say": "hush", "voice": "alto/2", "book": "b c", "loud": True, "more": 1}
    assert read("shout").example(known) == {"say": "hush"}
    assert read("page").example(known) == {"loud": True}
    assert read("voice").example_path(known) == "/voices/alto/2"
    assert read("page").example_path(known) == "/poems/b%20c/pages/1"


def test_what_a_dialect_writes_is_held_against_its_class_alone() -> None:
    types = read("shout").types
    assert types.item.check(Word("\ud800")) == Word("\ud800")
    assert types.item.check(None) is None
    assert (read("shout").returns, read("voice").returns) == ("Word | None*", "Word")


def test_a_dialect_takes_the_body_and_the_path_and_fills_any_parameter() -> None:
    found = read("voice")
    assert found.dialect is not None
    assert (found.body, found.arguments.path) == (None, None)
    assert found.arguments.names == ("options",)
    assert read("upload").body is not None
