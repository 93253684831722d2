import enum
import subprocess
import sys
from typing import Any

import msgspec
import pytest

from headrace.errors import InvalidItem, WireError
from headrace.wire.codec import BytesCodec, TextCodec, codec_for
from headrace.wire.event_codec import EventCodec
from headrace.wire.events import Event
from headrace.wire.model_codec import ModelCodec
from headrace.wire.struct_codec import StructCodec


class Point(msgspec.Struct):
    x: int


class Colour(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("annotation", "codec", "kind", "name"),
    [
        (str, TextCodec, "text", "str"),
        (bytes, BytesCodec, "bytes", "bytes"),
        (int, ModelCodec, "json", "int"),
        (str | None, ModelCodec, "json", "str | None"),
        (Any, ModelCodec, "json", "Any"),
        (Event, EventCodec, "json", "Event[Any]"),
        (Event[bytes], EventCodec, "json", "Event[bytes]"),
        (Point, StructCodec, "json", "Point"),
        (list[Point], StructCodec, "json", "list[Point]"),
        (dict[str, Point | None], StructCodec, "json", "dict[str, Point | None]"),
    ],
)
def test_the_annotation_picks_the_codec(annotation: Any, codec: type, kind: str, name: str) -> None:
    made = codec_for(annotation)
    assert (type(made), made.kind, made.name) == (codec, kind, name)


@pytest.mark.parametrize(
    ("annotation", "raw"), [(Event, True), (Event[str], True), (Event[Any], True), (Event[int], False)]
)
def test_only_events_of_text_or_anything_are_read_raw(annotation: Any, raw: bool) -> None:
    made = codec_for(annotation)
    assert isinstance(made, EventCodec)
    assert made.raw is raw


def test_an_unresolved_annotation_is_refused() -> None:
    with pytest.raises(TypeError, match="'Token' is only a name"):
        codec_for("Token")


@pytest.mark.parametrize("annotation", [Event[str] | int, Event | None])
def test_an_event_in_a_union_is_refused(annotation: Any) -> None:
    with pytest.raises(TypeError, match="Event must be the item type itself"):
        codec_for(annotation)


def test_msgspec_is_not_imported_for_others() -> None:
    program = (
        "import sys; from headrace.wire.codec import codec_for; codec_for(list[int]); print('msgspec' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout == "False\n"
    )


@pytest.mark.parametrize(
    ("value", "data"),
    [("", b'""'), ("a\n", b'"a\\n"'), ("é", '"é"'.encode()), ("\u2028", b'"\\u2028"'), (Colour.RED, b'"red"')],
)
def test_text_is_a_json_string(value: str, data: bytes) -> None:
    assert TextCodec().dumps(value) == data
    assert TextCodec().loads(data) == value
    assert TextCodec().check(value) == value


@pytest.mark.parametrize("value", [5, None, b"a", ["a"], Event("a")])
def test_what_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(InvalidItem, match=f"^{type(value).__name__}, expected str$"):
        TextCodec().dumps(value)
    with pytest.raises(InvalidItem, match="expected str"):
        TextCodec().check(value)


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(InvalidItem, match="lone surrogate"):
        TextCodec().dumps("a\ud800")


@pytest.mark.parametrize("data", [b"", b'"a', b"a", b'"\xff"', b'"\\ud800"', b"NaN", b'"a" "b"'])
@pytest.mark.parametrize("codec", [TextCodec(), BytesCodec()])
def test_what_is_no_json_is_malformed(codec: TextCodec | BytesCodec, data: bytes) -> None:
    with pytest.raises(WireError, match="not JSON"):
        codec.loads(data)


def test_json_that_is_no_string_is_no_text() -> None:
    with pytest.raises(InvalidItem, match="JSON that is not of type str: int"):
        TextCodec().loads(b"5")


@pytest.mark.parametrize(("value", "data"), [(b"", b'""'), (b"\x00\xff", b'"AP8="'), (b"\xfb\xff\xfe", b'"+//+"')])
def test_bytes_are_base64_with_the_standard_alphabet(value: bytes, data: bytes) -> None:
    assert BytesCodec().dumps(value) == data
    assert BytesCodec().dumps(bytearray(value)) == data
    assert BytesCodec().dumps(memoryview(value)) == data
    assert BytesCodec().loads(data) == value


def test_checked_bytes_are_bytes() -> None:
    assert type(BytesCodec().check(memoryview(b"a"))) is bytes


def test_checked_bytes_are_not_copied() -> None:
    value = bytes(range(100))
    assert BytesCodec().check(value) is value


def test_what_is_no_bytes_is_refused() -> None:
    with pytest.raises(InvalidItem, match=r"^str, expected bytes$"):
        BytesCodec().dumps("a")


@pytest.mark.parametrize("data", [b"5", b'"AP8"', b'"_-8="', b'"AP 8="', '"é"'.encode()])
def test_json_that_is_no_base64_is_no_bytes(data: bytes) -> None:
    with pytest.raises(InvalidItem, match="JSON that is not of type bytes"):
        BytesCodec().loads(data)


def test_the_schemas_of_text_and_bytes() -> None:
    assert TextCodec().schema() == {"type": "string"}
    assert BytesCodec().schema() == {"type": "string", "contentEncoding": "base64"}
