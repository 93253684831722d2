import msgspec
import pytest

from headrace.errors import InvalidItem
from headrace.wire.codec import codec_for
from headrace.wire.codec_protocol import Codec
from headrace.wire.events import Event


class Point(msgspec.Struct):
    x: int


@pytest.mark.parametrize(
    ("codec", "value", "data"),
    [
        (codec_for(str), "a", b'"a"'),
        (codec_for(bytes), b"a", b'"YQ=="'),
        (codec_for(list[int]), [1], b"[1]"),
        (codec_for(Event[str]), Event("a"), b'"a"'),
        (codec_for(Point), Point(1), b'{"x":1}'),
    ],
)
def test_every_codec_writes_what_it_reads(codec: Codec, value: object, data: bytes) -> None:
    assert codec.dumps(value) == data
    assert codec.loads(data) == value
    assert codec.check(value) == value
    assert codec.kind in ("text", "bytes", "json")
    assert isinstance(codec.schema(), dict)


@pytest.mark.parametrize(
    ("codec", "value", "data"),
    [
        (codec_for(str), "a", b'"a"'),
        (codec_for(bytes), b"\x00a", b"\x00a"),
        (codec_for(list[int]), [1], b"[1]"),
        (codec_for(Event[str]), Event("a"), b'"a"'),
        (codec_for(Event[bytes]), Event(b"a"), b'"YQ=="'),
        (codec_for(Point), Point(1), b'{"x":1}'),
    ],
)
def test_every_codec_packs_what_it_unpacks(codec: Codec, value: object, data: bytes) -> None:
    assert codec.pack(value) == data
    assert codec.unpack(data) == value


@pytest.mark.parametrize("annotation", [str, bytes, int, Event[str], Event[bytes], Point])
def test_no_codec_packs_what_is_not_of_its_type(annotation: object) -> None:
    with pytest.raises(InvalidItem, match="expected"):
        codec_for(annotation).pack(None)
