from typing import Any

import pytest

from headrace.errors import WireError
from headrace.wire.answers import decoder_for
from headrace.wire.document import DocumentDecoder
from headrace.wire.encoding import encode
from headrace.wire.events import End, Footer, Header, Item
from headrace.wire.formats import FORMATS, choose
from headrace.wire.frames import FrameDecoder, FrameEncoder
from headrace.wire.gathered import GatheredDecoder
from headrace.wire.ndjson import NdjsonDecoder
from headrace.wire.raw import BytesDecoder
from headrace.wire.sse import SseDecoder
from headrace.wire.stream_types import StreamTypes, stream_types, unknown_types
from headrace.wire.text import TextDecoder

TEXT, BYTES, JSON, UNKNOWN = stream_types(str), stream_types(bytes), stream_types(dict), unknown_types()
FRAMES = "application/vnd.headrace.frames"


@pytest.mark.parametrize(
    ("content_type", "types", "decoder"),
    [
        ("text/plain; charset=utf-8", TEXT, TextDecoder),
        ("application/xml", TEXT, TextDecoder),
        ("", TEXT, TextDecoder),
        (None, TEXT, TextDecoder),
        ("application/octet-stream", BYTES, BytesDecoder),
        ("audio/wav", BYTES, BytesDecoder),
        ("text/csv; charset=utf-8", BYTES, BytesDecoder),
        ("", BYTES, BytesDecoder),
        ("application/x-ndjson", TEXT, NdjsonDecoder),
        ("Application/JSONL", JSON, NdjsonDecoder),
        ("text/event-stream; charset=utf-8", BYTES, SseDecoder),
        (FRAMES, JSON, FrameDecoder),
        (f"{FRAMES}; item=bytes", BYTES, FrameDecoder),
        ("application/json", TEXT, GatheredDecoder),
        ("application/json", JSON, GatheredDecoder),
        # Who does not know the types goes by the content type.
        ("text/plain", UNKNOWN, TextDecoder),
        ("text/markdown; charset=utf-8", UNKNOWN, TextDecoder),
        ("application/octet-stream", UNKNOWN, BytesDecoder),
        ("audio/wav", UNKNOWN, BytesDecoder),
        ("", UNKNOWN, BytesDecoder),
        (None, UNKNOWN, BytesDecoder),
        ("application/x-ndjson", UNKNOWN, NdjsonDecoder),
        ("text/event-stream; charset=utf-8", UNKNOWN, SseDecoder),
        (FRAMES, UNKNOWN, FrameDecoder),
        ("application/json", UNKNOWN, DocumentDecoder),
    ],
)
def test_the_content_type_picks_the_decoder(content_type: str | None, types: StreamTypes, decoder: type) -> None:
    assert type(decoder_for(content_type, types)) is decoder


@pytest.mark.parametrize(
    ("content_type", "types", "decoder"),
    [
        ("application/json", TEXT, DocumentDecoder),
        ("application/json", JSON, DocumentDecoder),
        ("text/plain", TEXT, TextDecoder),
        ("image/png", BYTES, BytesDecoder),
        ("application/json", UNKNOWN, DocumentDecoder),
        ("image/png", UNKNOWN, BytesDecoder),
    ],
)
def test_one_value_is_a_document(content_type: str, types: StreamTypes, decoder: type) -> None:
    assert type(decoder_for(content_type, types, unary=True)) is decoder


@pytest.mark.parametrize("content_type", ["text/html", "", None])
def test_an_answer_that_carries_no_such_items_is_refused(content_type: str | None) -> None:
    with pytest.raises(WireError, match=f'an answer of type "{content_type or ""}" for items of type dict; ask with'):
        decoder_for(content_type, JSON)


@pytest.mark.parametrize(
    ("parameters", "item", "header", "footer"),
    [
        ("", "x", "x", "x"),
        ("; item=bytes", b'"x"', "x", "x"),
        ("; header=bytes;footer=bytes", "x", b'"x"', b'"x"'),
        ("; ITEM=Bytes ; charset=utf-8", b'"x"', "x", "x"),
        ("; items=bytes; item=text", "x", "x", "x"),
    ],
)
def test_frames_say_where_bytes_stand_as_they_are(parameters: str, item: Any, header: Any, footer: Any) -> None:
    encoder = FrameEncoder(stream_types(str, header_type=str, footer_type=str))
    data = encoder.header("x") + encoder.item("x") + encoder.footer("x")
    decoder = decoder_for(FRAMES + parameters, UNKNOWN)
    assert decoder.feed(data) == [Header(header), Item(item), Footer(footer)]


@pytest.mark.parametrize("media_type", [name for row in FORMATS for name in row.media_types])
@pytest.mark.parametrize("knows", [True, False])
def test_every_choice_is_read_by_who_knows_the_types_and_by_who_does_not(media_type: str, knows: bool) -> None:
    kind, value = (bytes, b"\xff") if media_type == "application/octet-stream" else (str, "é")
    types = stream_types(kind)
    choice = choose(media_type, types)
    encoder = choice.answer().encoder
    decoder = decoder_for(choice.content_type, types if knows else UNKNOWN)
    events = decoder.feed(encode(encoder, Item(value)) + encode(encoder, End(1))) + decoder.finish()
    assert events == [Item(value), End(1)]
