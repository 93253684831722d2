"""Arguments as a request carries them."""

import dataclasses
import datetime
import enum
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel, Field

from headrace.client.arguments import Payload, Upload, pack


class Color(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int


class Model(BaseModel):
    name: str = Field(alias="Name")


class Struct(msgspec.Struct):
    y: int


def content(value: Any) -> bytes:
    data = pack({"v": value}, "POST").content
    assert isinstance(data, bytes)
    return data


def test_arguments_are_one_json_object() -> None:
    assert pack({"a": 1, "b": "x"}, "POST") == Payload("", b'{"a":1,"b":"x"}', "application/json")
    assert pack({}, "POST") == Payload("", b"{}", "application/json")


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (None, b"null"),
        (Point(1), b'{"x":1}'),
        (Model(Name="n"), b'{"Name":"n"}'),
        (Struct(2), b'{"y":2}'),
        ([Struct(2), {"deep": Point(1)}], b'[{"y":2},{"deep":{"x":1}}]'),
        (Color.RED, b'"red"'),
        (datetime.date(2026, 11, 20), b'"2026-11-20"'),
        ("NaN Infinity \u2028", b'"NaN Infinity \\u2028"'),
        ((1, 2), b"[1,2]"),
        (Path("a/b"), b'"a/b"'),
    ],
)
def test_values_are_written_as_json(value: Any, data: bytes) -> None:
    assert content(value) == b'{"v":%b}' % data


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (object(), "it holds a value of type object"),
        ([1, object()], "it holds a value of type object"),
        (float("nan"), "NaN and Infinity are not JSON"),
        ("\ud800", "surrogates not allowed"),
        ({"inner": b"\xff"}, "invalid utf-8"),
    ],
)
def test_what_is_no_json_is_refused_by_the_name_of_its_argument(value: Any, reason: str) -> None:
    with pytest.raises(TypeError, match="argument 'v' cannot be sent as JSON: ") as caught:
        pack({"good": 1, "v": value}, "POST")
    assert reason in str(caught.value)


@pytest.mark.parametrize("data", [b"abc", bytearray(b"abc"), memoryview(b"abc")])
def test_bytes_are_the_body_and_the_others_the_query(data: Any) -> None:
    others = {"text": "a b&c", "n": 2, "yes": True, "none": None, "color": Color.RED, "list": [1]}
    assert pack({"data": data, **others}, "POST") == Payload(
        "text=a+b%26c&n=2&yes=true&color=red&list=%5B1%5D", b"abc", "application/octet-stream"
    )


def test_get_has_all_in_the_query() -> None:
    assert pack({"to": 2}, "GET") == Payload("to=2", b"", None)
    with pytest.raises(ValueError, match="a GET request has no body for the argument 'data'"):
        pack({"data": b"x"}, "GET")


async def _values() -> AsyncIterator[int]:
    yield 1


def test_two_bodies_are_one_too_many() -> None:
    for second in (b"y", io.BytesIO(), iter([1]), _values()):
        with pytest.raises(ValueError, match="'a' and 'b' would both be the body"):
            pack({"a": b"x", "n": 1, "b": second}, "POST")


def upload(value: Any) -> Upload:
    found = pack({"data": value}, "POST").content
    assert isinstance(found, Upload)
    return found


def looked(*values: Any) -> Upload:
    one = upload(iter(values))
    one.look(list(values[:1]))
    return one


def test_lists_and_the_like_are_values_and_iterators_are_bodies() -> None:
    assert content([1]) == b'{"v":[1]}'
    assert not upload(iter([1])).looked
    assert not upload(_values()).looked


def test_the_first_value_decides_how_an_iterator_is_sent() -> None:
    raw, lines, nothing = looked(b"x", b"y"), looked({"a": 1}), looked()
    assert (raw.content_type, raw.begin(), raw.encode(bytearray(b"y"))) == ("application/octet-stream", [b"x"], b"y")
    assert (lines.content_type, lines.begin()) == ("application/x-ndjson", [b'{"a":1}\n'])
    assert (nothing.content_type, nothing.begin(), nothing.empty) == ("application/x-ndjson", [], True)
    assert not lines.empty


def test_text_is_lines_of_json_too() -> None:
    assert looked("a\n").begin() == [b'"a\\n"\n']


def test_an_upload_is_started_when_it_is_begun() -> None:
    one = looked(b"x")
    assert not one.started
    one.begin()
    assert one.started


def test_a_body_has_one_kind_of_values() -> None:
    with pytest.raises(TypeError, match="'data' yields str after bytes"):
        looked(b"x").encode("y")
    with pytest.raises(TypeError, match="'data' yields bytes after other values"):
        looked("x").encode(b"y")
    with pytest.raises(TypeError, match="'data' cannot be sent as JSON"):
        looked(1).encode(object())


def test_the_first_value_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(TypeError, match="'data' cannot be sent as JSON"):
        looked(object())


def test_a_file_is_read_in_pieces_and_left_open() -> None:
    file = io.BytesIO(b"x" * 150_000)
    one = upload(file)
    assert [len(piece) for piece in one.source] == [65536, 65536, 18928]  # type: ignore[union-attr]
    assert not file.closed


def test_a_file_that_was_opened_as_text_is_refused() -> None:
    one = upload(io.StringIO("text"))
    with pytest.raises(TypeError, match="opened as text; open it with mode 'rb'"):
        one.look([next(one.source)])  # type: ignore[arg-type]
