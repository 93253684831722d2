import enum
import inspect
import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Optional

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from headrace.errors import InvalidArguments, InvalidItem, MalformedBody, RequestError
from headrace.services.arguments import Arguments, body_parameter
from headrace.wire.codec import BytesCodec, TextCodec
from headrace.wire.events import Footer, Header


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1


@dataclass
class Options:
    size: int = 1
    names: list[str] = field(default_factory=list)


class Node(BaseModel):
    next: Optional["Node"] = None


class Size(msgspec.Struct):
    width: int
    height: int = 1


def arguments(method: Callable[..., Any]) -> Arguments:
    return Arguments(method.__name__, list(inspect.signature(method).parameters.values()), None)


def refusal_of(call: Callable[[], object]) -> RequestError | None:
    try:
        call()
    except RequestError as error:
        return error
    return None


def write(topic: str, lines: int = 4) -> None: ...


def deep(a: str) -> None: ...


def many(
    text: str,
    number: float = 0.5,
    flag: bool = False,
    color: Color = Color.RED,
    either: int | list[int] = 1,
    node: Node | None = None,
    options: Options = Options(),  # noqa: B008
    table: dict[str, list[int]] | None = None,
) -> None: ...


def test_the_values_are_checked_and_defaults_are_left_to_the_method() -> None:
    assert arguments(write).from_json(b'{"topic": "rain"}') == {"topic": "rain"}
    assert arguments(write).from_json(b'{"topic": "rain", "lines": 2}') == {"topic": "rain", "lines": 2}


def test_an_empty_body_is_an_empty_object() -> None:
    def nothing_needed(lines: int = 4) -> None: ...

    assert arguments(nothing_needed).from_json(b"") == {}
    with pytest.raises(InvalidArguments) as caught:
        arguments(write).from_json(b"")
    assert caught.value.message == "HR16 /topic: Field required"


def test_the_last_of_equal_names_counts() -> None:
    assert arguments(write).from_json(b'{"topic": "a", "topic": "b"}') == {"topic": "b"}


@pytest.mark.parametrize(
    "body",
    [
        b"\xff", b" ", b"{", b'{"topic": "\xff"}', b'{"topic": "\\ud800"}', b"\xef\xbb\xbf{}", b"[" * 100_000,
        b'{"topic":' * 500, b'{"topic": "a", "lines": ' + b"9" * 5000 + b"}", b'{"topic": "a", "lines": NaN}',
        b'{"topic": "a", "lines": -Infinity}', b"topic=rain", b'{"topic": "a"} {}', b'{"topic": "a\n"}',
    ],
    ids=lambda body: repr(body[:20]),
)  # fmt: skip
def test_what_is_not_json_is_a_malformed_body(body: bytes) -> None:
    with pytest.raises(MalformedBody, match="the body is not JSON: ") as caught:
        arguments(write).from_json(body)
    assert len(caught.value.message) < 200


def test_a_text_that_speaks_of_nan_and_infinity_is_a_text() -> None:
    assert arguments(write).from_json(b'{"topic": "NaN and Infinity"}') == {"topic": "NaN and Infinity"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"null", "HR16 the arguments: Input should be an object"),
        (b"[]", "HR16 the arguments: Input should be an object"),
        (b"3", "HR16 the arguments: Input should be an object"),
        (b'"rain"', "HR16 the arguments: Input should be an object"),
        (b"{}", "HR16 /topic: Field required"),
        (b'{"topic": null}', "HR16 /topic: Input should be a valid string"),
        (b'{"topic": 3}', "HR16 /topic: Input should be a valid string"),
        (b'{"topic": "a", "line": 3}', "HR16 /line: Extra inputs are not permitted"),
        (b'{"topic": "a", "lines": 1.5}',
         "HR16 /lines: Input should be a valid integer, got a number with a fractional part"),
        (b'{"topic": "a", "lines": "9e9"}',
         "HR16 /lines: Input should be a valid integer, unable to parse string as an integer"),
    ],
)  # fmt: skip
def test_json_that_does_not_fit_is_told_with_a_pointer(body: bytes, message: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        arguments(write).from_json(body)
    assert caught.value.message == message
    assert caught.value.example == {"topic": "text"}


def test_numbers_that_are_not_finite_do_not_fit() -> None:
    def warm(temperature: float) -> None: ...

    with pytest.raises(InvalidArguments, match="HR16 /temperature: Input should be a finite number"):
        arguments(warm).from_json(b'{"temperature": 1e999}')
    with pytest.raises(InvalidArguments, match="HR16 /temperature: Input should be a finite number"):
        arguments(warm).from_query([("temperature", "nan")])


MANY = arguments(many)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
MEMBERS = st.dictionaries(
    st.sampled_from(["text", "number", "flag", "color", "either", "node", "options", "table", "~/"]), JSON
)


@given(MEMBERS.map(json.dumps).map(str.encode) | JSON.map(json.dumps).map(str.encode) | st.binary())
def test_no_body_at_all_raises_anything_but_a_refusal(body: bytes) -> None:
    error = refusal_of(lambda: MANY.from_json(body))
    if error is not None:
        assert error.status in (400, 422)
        assert len(json.dumps(error.members)) < 1600
        assert all(len(entry["detail"]) < 160 for entry in error.members.get("errors", ()))


# the query


def find(
    text: str = "",
    number: int = 0,
    flag: bool = False,
    color: Color = Color.RED,
    level: Level = Level.LOW,
    maybe: float | None = None,
    one: Literal[1, 2, "a"] = 1,
) -> None: ...


@pytest.mark.parametrize(
    ("pairs", "values"),
    [
        ([], {}),
        ([("text", "")], {"text": ""}),
        ([("number", "5")], {"number": 5}),
        ([("flag", "true")], {"flag": True}),
        ([("flag", "0")], {"flag": False}),
        ([("color", "green")], {"color": Color.GREEN}),
        ([("level", "1")], {"level": Level.LOW}),
        ([("maybe", "1.5")], {"maybe": 1.5}),
        ([("one", "2"), ("number", "3")], {"one": 2, "number": 3}),
        ([("one", "a")], {"one": "a"}),
    ],
)
def test_a_query_is_read_by_the_types(pairs: list[tuple[str, str]], values: dict[str, Any]) -> None:
    assert arguments(find).from_query(pairs) == values


@pytest.mark.parametrize(
    ("pairs", "pointer", "detail"),
    [
        ([("number", "")], "/number", "Input should be a valid integer, unable to parse string as an integer"),
        ([("flag", "maybe")], "/flag", "Input should be a valid boolean, unable to interpret input"),
        ([("color", "blue")], "/color", "Input should be 'red' or 'green'"),
        ([("one", "3")], "/one", "Input should be 1, 2 or 'a'"),
        ([("one", "x")], "/one", "Input should be 1, 2 or 'a'"),
        ([("colour", "red")], "/colour", "Extra inputs are not permitted"),
        ([("number", "1"), ("number", "2")], "/number", "given more than once"),
    ],
)
def test_a_query_that_does_not_fit_is_refused(pairs: list[tuple[str, str]], pointer: str, detail: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        arguments(find).from_query(pairs)
    assert (caught.value.errors[0]["pointer"], caught.value.errors[0]["detail"]) == (pointer, detail)


@given(st.lists(st.tuples(st.sampled_from(["text", "number", "flag", "one", "x/~"]), st.text())))
def test_no_query_at_all_raises_anything_but_a_refusal(pairs: list[tuple[str, str]]) -> None:
    error = refusal_of(lambda: arguments(find).from_query(pairs))
    assert error is None or error.status == 422


def test_only_scalars_come_from_a_query() -> None:
    assert arguments(find).unfit_for_query() == []
    assert MANY.unfit_for_query() == ["either", "node", "options", "table"]


def test_anything_at_all_is_no_scalar() -> None:
    def anything(value: Any) -> None: ...

    assert arguments(anything).unfit_for_query() == ["value"]


# the schema


def test_the_schema_has_the_defaults_as_json() -> None:
    properties = MANY.schema()["properties"]
    assert {name: each["default"] for name, each in properties.items() if "default" in each} == {
        "number": 0.5,
        "flag": False,
        "color": "red",
        "either": 1,
        "node": None,
        "options": {"size": 1, "names": []},
        "table": None,
    }


@pytest.mark.parametrize("default", [object(), float("nan"), None, "wide", {1: object()}, lambda: None])
def test_a_default_that_json_cannot_say_or_that_does_not_fit_is_not_shown(default: Any) -> None:
    parameter = inspect.Parameter("width", inspect.Parameter.KEYWORD_ONLY, default=default, annotation=float)
    made = Arguments("draw", [parameter], None)
    assert "default" not in made.schema()["properties"]["width"]
    assert made.example() == {"width": 1.0}
    assert made.from_json(b"") == {}


def test_the_schema_is_the_callers_own() -> None:
    made = arguments(write)
    made.schema()["properties"].clear()
    made.example().clear()
    assert list(made.schema()["properties"]) == ["topic", "lines"]
    assert made.example() == {"topic": "text"}


def test_arguments_are_required_when_one_has_no_default() -> None:
    assert arguments(write).required
    assert not arguments(find).required


def test_any_name_may_be_a_parameters() -> None:
    def odd(json: int, schema: str, copy: bool, model_config: float, self_: int, name: str, x_1: int = 2) -> None: ...

    body = b'{"json": 1, "schema": "a", "copy": true, "model_config": 1.5, "self_": 2, "name": "n"}'
    assert arguments(odd).from_json(body)["model_config"] == 1.5
    assert list(arguments(odd).schema()["properties"]) == [
        "json", "schema", "copy", "model_config", "self_", "name", "x_1",
    ]  # fmt: skip


def test_an_alias_is_the_name_in_json() -> None:
    def limit(count: Annotated[int, Field(alias="max-count")] = 3) -> None: ...

    assert arguments(limit).from_json(b'{"max-count": 5}') == {"count": 5}


def test_the_example_fits_where_the_schema_does_not_tell_everything() -> None:
    def pick(code: Annotated[str, Field(pattern="^[A-Z]$")], size: int = 3) -> None: ...

    made = arguments(pick)
    assert made.from_json(json.dumps(made.example()).encode()) == {"code": "A"}


def test_the_example_is_a_guess_where_nobody_can_tell() -> None:
    def unlock(key: Annotated[str, Field(pattern="^[a-f0-9]{64}$")]) -> None: ...

    assert arguments(unlock).example() == {"key": "text"}


def test_structs_are_converted_described_and_shown() -> None:
    def draw(size: Size, sizes: list[Size] | None = None, frame: Size = Size(3)) -> None: ...  # noqa: B008

    made = arguments(draw)
    assert made.from_json(b'{"size": {"width": 1}, "sizes": [{"width": 2}]}') == {"size": Size(1), "sizes": [Size(2)]}
    assert made.example() == {"size": {"width": 1}}
    assert made.schema()["$defs"]["Size"]["properties"]["height"] == {"type": "integer", "default": 1}
    assert made.schema()["properties"]["frame"] == {
        "$ref": "#/$defs/Size", "title": "Frame", "default": {"width": 3, "height": 1},
    }  # fmt: skip
    with pytest.raises(InvalidArguments) as caught:
        made.from_json(b'{"size": {"width": 1}, "sizes": [{"width": "x"}]}')
    assert caught.value.message == "HR16 /sizes/0/width: Expected int, got str"


@pytest.mark.parametrize("annotation", [Callable, type("Weird", (), {}), Annotated[str, Field(pattern="(")], "Name"])
def test_a_type_that_nobody_can_check_is_a_type_error_of_one_line(annotation: Any) -> None:
    parameter = inspect.Parameter("it", inspect.Parameter.KEYWORD_ONLY, annotation=annotation)
    with pytest.raises(TypeError) as caught:
        Arguments("draw", [parameter], None)
    assert "\n" not in str(caught.value)


# the body itself


def parameter(annotation: Any) -> inspect.Parameter:
    return inspect.Parameter("audio", inspect.Parameter.KEYWORD_ONLY, annotation=annotation)


def test_bytes_take_the_body_whole() -> None:
    body = body_parameter(parameter(Annotated[bytes, "a wav file"]))
    assert body is not None
    assert (body.name, body.items) == ("audio", None)


def test_an_async_iterator_takes_the_body_as_it_comes() -> None:
    chunks, lines = body_parameter(parameter(AsyncIterator[bytes])), body_parameter(parameter(AsyncIterator[str]))
    assert chunks is not None
    assert lines is not None
    assert isinstance(chunks.items, BytesCodec)
    assert isinstance(lines.items, TextCodec)


@pytest.mark.parametrize("annotation", [str, bytes | None, list[bytes], bytearray])
def test_other_parameters_leave_the_body_alone(annotation: Any) -> None:
    assert body_parameter(parameter(annotation)) is None


@pytest.mark.parametrize(
    "data", [b"[" * 65, b'{"a":' * 65, b'{"a": [' * 33, b'{"x": "' + b"[" * 70 + b'", "a": ' + b"[" * 65]
)
def test_json_nested_deeper_than_64_levels_is_refused_before_it_is_read(data: bytes) -> None:
    with pytest.raises(MalformedBody, match="nested more than 64 levels deep"):
        arguments(deep).from_json(data)


@pytest.mark.parametrize("data", [b'{"a": "%b"}' % (b"[{" * 100), b'{"a": "\\"%b"}' % (b"[" * 100)])
def test_brackets_in_a_text_are_no_levels(data: bytes) -> None:
    assert arguments(deep).from_json(data)["a"].endswith(("[", "{"))


# values from the same process


@dataclass
class Spot:
    x: int


def place(spot: Spot, name: str = "here") -> None: ...


def test_objects_are_taken_as_they_are_and_defaults_are_left_to_the_method() -> None:
    spot = Spot(3)
    values = arguments(place).from_values({"spot": spot})
    assert values == {"spot": spot}
    assert values["spot"] is spot


def test_values_are_checked_like_those_from_json() -> None:
    assert arguments(place).from_values({"spot": {"x": "3"}}) == {"spot": Spot(3)}
    with pytest.raises(InvalidArguments, match="/spot/x"):
        arguments(place).from_values({"spot": {"x": "three"}})


def body_arguments(annotation: Any) -> Arguments:
    body = body_parameter(parameter(annotation))
    assert body is not None
    return Arguments("take", [], body)


@pytest.mark.parametrize("value", [b"ab", bytearray(b"ab"), memoryview(b"ab")])
def test_a_body_of_bytes_is_bytes(value: Any) -> None:
    taken = body_arguments(bytes).from_values({"audio": value})["audio"]
    assert (taken, type(taken)) == (b"ab", bytes)


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (bytes, "ab", "/audio: str, expected bytes"),
        (bytes, [98], "/audio: list, expected bytes"),
        (AsyncIterator[str], "ab", "/audio: str, expected an AsyncIterator[str]"),
        (AsyncIterator[bytes], b"ab", "/audio: bytes, expected an AsyncIterator[bytes]"),
        (AsyncIterator[str], {"a": 1}, "/audio: dict, expected an AsyncIterator[str]"),
        (AsyncIterator[str], 3, "/audio: int, expected an AsyncIterator[str]"),
    ],
)
def test_a_body_of_another_kind_is_refused(annotation: Any, value: Any, message: str) -> None:
    with pytest.raises(InvalidArguments, match=re.escape(message)):
        body_arguments(annotation).from_values({"audio": value})


async def events() -> AsyncIterator[Any]:
    yield Header({"a": 1})
    yield "x"
    yield Footer(1)


@pytest.mark.parametrize(("source", "items"), [(events(), ["x"]), (["x", "y"], ["x", "y"]), (iter("xy"), ["x", "y"])])
async def test_a_stream_is_passed_on_without_its_header_and_its_footer(source: Any, items: list[str]) -> None:
    passed = body_arguments(AsyncIterator[str]).from_values({"audio": source})["audio"]
    assert [item async for item in passed] == items


async def test_each_item_that_is_passed_on_is_checked() -> None:
    passed = body_arguments(AsyncIterator[str]).from_values({"audio": ["x", 3]})["audio"]
    assert await anext(passed) == "x"
    with pytest.raises(InvalidItem, match="int, expected str"):
        await anext(passed)


async def test_closing_what_is_passed_on_closes_its_source() -> None:
    closed: list[str] = []

    async def source() -> AsyncIterator[str]:
        try:
            yield "x"
            yield "y"
        finally:
            closed.append("closed")

    passed = body_arguments(AsyncIterator[str]).from_values({"audio": source()})["audio"]
    assert await anext(passed) == "x"
    await passed.aclose()
    assert closed == ["closed"]


# -- from the path


def of_path(method: Callable[..., Any], *names: str) -> Arguments:
    parameters = list(inspect.signature(method).parameters.values())
    path = Arguments(method.__name__, [each for each in parameters if each.name in names], None)
    return Arguments(method.__name__, [each for each in parameters if each.name not in names], None, path)


def page(book: str, number: int, color: Color = Color.RED, loud: bool = False) -> None: ...


def test_what_comes_from_the_path_is_no_part_of_the_body() -> None:
    taken = of_path(page, "book", "number")
    assert taken.from_path({"book": "7", "number": "7"}) == {"book": "7", "number": 7}
    assert taken.from_json(b'{"loud": true}') == {"loud": True}
    assert list(taken.schema()["properties"]) == ["color", "loud"]
    assert (taken.names, taken.required) == (("color", "loud"), False)
    with pytest.raises(InvalidArguments, match="/number: "):
        taken.from_json(b'{"number": 7}')
    with pytest.raises(InvalidArguments, match="/book: "):
        taken.from_query([("book", "a")])


def test_a_part_of_the_path_that_does_not_fit_is_refused_by_its_name() -> None:
    with pytest.raises(InvalidArguments) as refused:
        of_path(page, "book", "number").from_path({"book": "a", "number": "b"})
    assert [each["pointer"] for each in refused.value.errors] == ["/number"]


def test_without_parts_nothing_comes_from_the_path() -> None:
    assert arguments(page).from_path({}) == {}


def test_a_call_from_the_same_process_brings_them_together() -> None:
    taken = of_path(page, "book", "number")
    given = {"book": "a", "number": 3, "color": Color.GREEN}
    assert taken.from_values(given) == given
    with pytest.raises(InvalidArguments, match="/number: "):
        taken.from_values({"book": "a", "number": "many"})
    with pytest.raises(InvalidArguments, match="/book: "):
        taken.from_values({"number": 3})
