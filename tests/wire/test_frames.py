import base64
import gc
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import (
    HeadraceError,
    InvalidItem,
    MissingFooter,
    MissingHeader,
    OutOfOrder,
    RecordTooLarge,
    StreamTruncated,
    WireError,
)
from headrace.wire.array import Array
from headrace.wire.events import End, Failure, Footer, Header, Item, StreamEvent
from headrace.wire.frames import FrameDecoder, FrameEncoder, Frames
from headrace.wire.stream_types import StreamTypes, stream_types, unknown_types

VECTORS = json.loads((Path(__file__).parents[2] / "spec/vectors/frames.json").read_text())["cases"]
TYPES: dict[str, Any] = {"text": str, "bytes": bytes, "any": Any, "array": Array, "arrays": list[Array]}
ERRORS = {
    "malformed": WireError,
    "too_large": RecordTooLarge,
    "invalid_item": InvalidItem,
    "out_of_order": OutOfOrder,
    "missing_header": MissingHeader,
    "missing_footer": MissingFooter,
    "truncated": StreamTruncated,
}


def types_of(declared: dict[str, str]) -> StreamTypes:
    if declared["item"] == "unknown":
        return unknown_types()
    item, header, footer = (TYPES.get(declared.get(name, "")) for name in ("item", "header", "footer"))
    return stream_types(item, header_type=header, footer_type=footer)


def plain(value: Any) -> Any:
    """A value as the vectors have it: bytes in base64, arrays as they are in JSON."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, np.ndarray):
        return {"dtype": value.dtype.str, "shape": list(value.shape), "data": plain(value.tobytes())}
    if isinstance(value, list):
        return [plain(member) for member in value]
    return {name: plain(member) for name, member in value.items()} if isinstance(value, dict) else value


def record_of(event: StreamEvent) -> dict[str, Any]:
    match event:
        case End(items, first_item_ms, duration_ms):
            times = {"first_item_ms": first_item_ms, "duration_ms": duration_ms}
            return {"end": {"items": items} | {name: time for name, time in times.items() if time is not None}}
        case Failure(code, message, retryable, stream_id, items_sent):
            members = {"code": code, "message": message, "retryable": retryable}
            return {"error": members | {"stream_id": stream_id, "items_sent": items_sent}}
    return {type(event).__name__.lower(): plain(event.data)}


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["name"])
def test_frames_read_as_the_vectors_say_however_they_are_cut(case: dict[str, Any], ways_to_arrive: Any) -> None:
    for pieces in ways_to_arrive(bytes.fromhex(case["hex"])):
        decoder = FrameDecoder(
            types_of(case["types"]), limit=case.get("limit", 10_000), needs_end=case.get("needs_end", True)
        )
        events, error = [], None
        try:
            for piece in pieces:
                events += decoder.feed(piece)
            events += decoder.finish(case.get("complete", True))
        except HeadraceError as raised:
            error = type(raised)
        assert [record_of(event) for event in events] == case["events"]
        assert error == (ERRORS[case["error"]] if case["error"] else None)


def test_the_vectors_have_names_of_their_own() -> None:
    names = [case["name"] for case in VECTORS]
    assert len(names) == len(set(names))


# -- writing


def test_each_event_is_a_frame() -> None:
    encoder = FrameEncoder(stream_types(Any, header_type=int, footer_type=int))
    assert encoder.header(1) == b"\x02\x00\x00\x00\x011"
    assert encoder.item({"a": "é"}) == b'\x03\x00\x00\x00\x0a{"a":"\xc3\xa9"}'
    assert encoder.footer(2) == b"\x04\x00\x00\x00\x012"
    assert encoder.end(End(1)) == b'\x05\x00\x00\x00\x0b{"items":1}'
    assert encoder.failure(Failure("x", "m")) == (
        b'\x06\x00\x00\x00\x4a{"code":"x","message":"m","retryable":false,"stream_id":"","items_sent":0}'
    )
    assert encoder.heartbeat == b"\x07\x00\x00\x00\x00"
    assert encoder.in_band is True


@pytest.mark.parametrize(("size", "head"), [(253, b"\x03\0\0\0\xff"), (254, b"\x03\0\0\1\0"), (65534, b"\x03\0\1\0\0")])
def test_short_and_long_items_have_the_same_form(size: int, head: bytes) -> None:
    text = "a" * size
    assert FrameEncoder(stream_types(str)).item(text) == head + b'"' + text.encode() + b'"'


def test_bytes_are_not_wrapped() -> None:
    encoder = FrameEncoder(stream_types(bytes, header_type=bytes, footer_type=bytes))
    assert encoder.header(b"\xff") == b"\x02\x00\x00\x00\x01\xff"
    assert encoder.item(memoryview(b"\x00")) == b"\x03\x00\x00\x00\x01\x00"
    assert encoder.footer(b"") == b"\x04\x00\x00\x00\x00"


def test_the_example_of_the_page_is_what_is_written() -> None:
    encoder = FrameEncoder(stream_types(dict[str, Array]))
    assert encoder.item({"a": np.array([1.5, 2.5], np.float32)}) == (
        bytes.fromhex("03 00000048 00 00 0001 00000034 00000008")
        + b'{"a":{"dtype":"<f4","shape":[2],"segment":0}}       '
        + bytes.fromhex("0000c03f 00002040")
    )


def test_an_array_takes_hardly_more_than_its_numbers() -> None:
    array = np.zeros(1_000_000, np.float32)
    assert len(FrameEncoder(stream_types(np.ndarray)).item(array)) < 1.02 * array.nbytes


def test_a_batch_is_one_frame() -> None:
    encoder = FrameEncoder(stream_types(str))
    assert encoder.batch(["a", "bc"]) == b'\x08\x00\x00\x00\x0f\x00\x00\x00\x03"a"\x00\x00\x00\x04"bc"'
    assert encoder.batch([]) == b""


def test_a_batch_is_cut_where_it_grows_too_large() -> None:
    types = stream_types(bytes)
    written = FrameEncoder(types, limit=20).batch([b"12345", b"6789", b"0", b"1234567890123456", b"x"])
    assert [kind for kind, _ in Frames(20).read(written)] == [8, 8, 8, 8]
    decoder = FrameDecoder(types, limit=20)
    assert [event.data for event in decoder.feed(written) if isinstance(event, Item)] == [
        *(b"12345", b"6789", b"0", b"1234567890123456", b"x")
    ]


def test_a_batch_takes_a_megabyte() -> None:
    types = stream_types(bytes)
    written = FrameEncoder(types).batch([bytes(400_000)] * 5)
    assert [len(payload) for _, payload in Frames(2**24).read(written)] == [800_008, 800_008, 400_004]


def test_an_item_larger_than_a_batch_has_one_alone() -> None:
    written = FrameEncoder(stream_types(bytes)).batch([bytes(2_000_000), b"x"])
    assert [len(payload) for _, payload in Frames(2**24).read(written)] == [2_000_004, 5]


@pytest.mark.parametrize("value", [5, "\ud800"])
def test_what_does_not_fit_is_refused(value: Any) -> None:
    encoder = FrameEncoder(stream_types(str, header_type=str, footer_type=str))
    for write in (encoder.header, encoder.item, encoder.footer):
        with pytest.raises(InvalidItem):
            write(value)
    with pytest.raises(InvalidItem):
        encoder.batch(["a", value])


def test_header_and_footer_must_be_declared() -> None:
    encoder = FrameEncoder(stream_types(str))
    for write in (encoder.header, encoder.footer):
        with pytest.raises(InvalidItem, match="in a stream that declares none"):
            write("a")


@pytest.mark.parametrize("limit", [10, 1000])
def test_what_no_reader_would_take_is_not_written(limit: int) -> None:
    encoder = FrameEncoder(stream_types(bytes, header_type=bytes, footer_type=bytes), limit=limit)
    assert len(encoder.item(bytes(limit))) == limit + 5
    message = f"of {limit + 1} bytes, and a frame carries at most {limit}: split it"
    for write in (encoder.header, encoder.item, encoder.footer):
        with pytest.raises(InvalidItem, match=message):
            write(bytes(limit + 1))
    with pytest.raises(InvalidItem, match=message):
        encoder.batch([b"a", bytes(limit - 3)])
    assert len(encoder.batch([bytes(limit - 4)])) == limit + 5
    assert encoder.failure(Failure("x", "m" * limit)).startswith(b"\x06")


def test_no_limit_is_larger_than_a_length_can_tell() -> None:
    FrameEncoder(stream_types(str), limit=4294967295)
    with pytest.raises(
        ValueError, match="a limit of 4294967296 bytes; the length of a frame can be 4294967295 at most"
    ):
        FrameEncoder(stream_types(str), limit=4294967296)


# -- reading


def outcome(types: StreamTypes, pieces: list[bytes], limit: int = 1000) -> tuple[list[str], str]:
    decoder = FrameDecoder(types, limit=limit)
    events: list[StreamEvent] = []
    try:
        for piece in pieces:
            events += decoder.feed(piece)
        return [repr(event) for event in events + decoder.finish()], ""
    except HeadraceError as error:
        return [repr(event) for event in events], str(error)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b"\x09\0\0\0\0",
            "a frame of kind 9; there are 2 header, 3 item, 4 footer, 5 end, 6 error, 7 ping, 8 batch. Are these bytes "
            "frames at all?",
        ),
        (b"\x03\0\0\x27\x11", "a frame of kind item with 10001 bytes; the limit is 10000"),
        (b"\x07\0\0\0\x02ab", "a ping with 2 bytes; a ping is empty"),
        (b"\x08\0\0\0\0", "an item batch without items"),
        (b"\x08\0\0\0\x02ab", "an item batch that ends inside a length: 2 of its 4 bytes"),
        (b"\x08\0\0\0\x05\0\0\0\x02a", "an item of 2 bytes in a batch that has 1 left"),
        (b"", "the stream was cut between two frames, before any item: no end came"),
        (b'\x03\0\0\0\x03"a"\x07\0\0\0\0', "the stream was cut between two frames, after item 1: no end came"),
        (b"\x03\0", "the stream was cut inside the head of a frame: 2 of its 5 bytes came"),
        (b'\x03\0\0\0\x04"ab', "the stream was cut inside a frame of kind item: 3 of its 4 bytes came"),
        (b"\x05\0\0\0\x04", "the stream was cut inside a frame of kind end: 0 of its 4 bytes came"),
        (
            b'\x05\0\0\0\x0b{"items":0}\x03',
            "bytes after the ending: they stop inside the head of a frame: 1 of its 5 bytes came",
        ),
    ],
)
def test_every_mistake_has_its_message(data: bytes, message: str) -> None:
    assert outcome(stream_types(str), [data], limit=10_000)[1] == message


def test_the_limit_is_sixteen_mebibytes_unless_told() -> None:
    decoder = FrameDecoder(stream_types(bytes))
    assert decoder.feed(b"\x03\x01\x00\x00\x00") == []
    with pytest.raises(RecordTooLarge, match="with 16777217 bytes; the limit is 16777216"):
        FrameDecoder(stream_types(bytes)).feed(b"\x03\x01\x00\x00\x01")


def test_a_length_above_the_limit_is_refused_before_anything_is_kept() -> None:
    frames = Frames(limit=100)
    with pytest.raises(RecordTooLarge):
        list(frames.read(b"\x03\0\0\0\x65" + bytes(50)))
    assert frames.unfinished() == ""


@pytest.fixture
def without_collector() -> Iterator[None]:
    """It looks at every object there is, which grows with the tests that ran before."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_a_large_frame_in_small_pieces_costs_a_fixed_time_per_byte(without_collector: None) -> None:
    def seconds(size: int) -> float:
        data = FrameEncoder(stream_types(bytes)).item(bytes(size))
        pieces = [data[place : place + 64] for place in range(0, len(data), 64)]
        started = time.process_time()
        decoder = FrameDecoder(stream_types(bytes))
        events = [event for piece in pieces for event in decoder.feed(piece)]
        spent = time.process_time() - started
        assert len(events) == 1
        return spent

    assert min(seconds(8_000_000) for _ in range(3)) < 60 * min(seconds(400_000) for _ in range(3))


def test_many_small_frames_in_one_piece_cost_a_fixed_time_each(without_collector: None) -> None:
    def seconds(count: int) -> float:
        data = FrameEncoder(stream_types(bytes)).item(b"a") * count
        started = time.process_time()
        assert len(FrameDecoder(stream_types(bytes)).feed(data)) == count
        return time.process_time() - started

    assert min(seconds(100_000) for _ in range(3)) < 60 * min(seconds(5_000) for _ in range(3))


STREAM = (
    FrameEncoder(stream_types(Any)).item({"a": [1, None]})
    + FrameEncoder(stream_types(Any)).batch(["b", 2])
    + FrameEncoder(stream_types(Array)).item(np.arange(5, dtype=np.int16))
    + FrameEncoder.heartbeat
    + FrameEncoder(stream_types(Any)).end(End(4))
)
READERS = [stream_types(Any), stream_types(str), stream_types(bytes), stream_types(Array), unknown_types()]


def pieces_of(data: bytes, step: int) -> list[bytes]:
    return [data[place : place + step] for place in range(0, len(data), step)]


@settings(deadline=None, max_examples=300)
@given(data=st.binary(max_size=80), step=st.integers(1, 9), types=st.sampled_from(READERS))
def test_whatever_comes_ends_in_events_or_in_one_of_our_errors(data: bytes, step: int, types: StreamTypes) -> None:
    assert outcome(types, pieces_of(data, step)) == outcome(types, [data])


frames = st.tuples(st.integers(0, 10), st.binary(max_size=40)).map(
    lambda frame: bytes([frame[0]]) + len(frame[1]).to_bytes(4, "big") + frame[1]
)


@settings(deadline=None, max_examples=300)
@given(data=st.lists(frames, max_size=5), step=st.integers(1, 9), types=st.sampled_from(READERS))
def test_frames_of_anything_end_in_events_or_in_one_of_our_errors(
    data: list[bytes], step: int, types: StreamTypes
) -> None:
    assert outcome(types, pieces_of(b"".join(data), step)) == outcome(types, data)


@settings(deadline=None, max_examples=300)
@given(
    changes=st.lists(st.tuples(st.integers(0, len(STREAM) - 1), st.integers(0, 255)), max_size=4),
    end=st.integers(0, len(STREAM)),
    step=st.integers(1, 30),
    types=st.sampled_from(READERS),
)
def test_a_valid_stream_with_mistakes_ends_in_events_or_in_one_of_our_errors(
    changes: list[tuple[int, int]], end: int, step: int, types: StreamTypes
) -> None:
    data = bytearray(STREAM)
    for place, byte in changes:
        data[place] = byte
    cut = bytes(data[:end])
    assert outcome(types, pieces_of(cut, step)) == outcome(types, [cut])


@given(end=st.integers(0, len(STREAM) - 1))
def test_no_cut_looks_like_an_end(end: int) -> None:
    events, error = outcome(unknown_types(), [STREAM[:end]])
    assert "cut" in error
    assert not any(event.startswith("End") for event in events)


def test_header_item_and_footer_are_unpacked_alike() -> None:
    types = stream_types(Array, header_type=Array, footer_type=Array)
    encoder, array = FrameEncoder(types), np.ones(3)
    data = encoder.header(array) + encoder.item(array) + encoder.footer(array) + encoder.end(End(1))
    header, item, footer, end = FrameDecoder(types).feed(data)
    for event, kind in ((header, Header), (item, Item), (footer, Footer)):
        assert isinstance(event, kind)
        assert event.data.tolist() == [1.0, 1.0, 1.0]
    assert end == End(1)
