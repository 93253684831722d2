import pytest

from headrace.errors import NotAcceptable
from headrace.wire.document import DocumentEncoder
from headrace.wire.events import Event
from headrace.wire.formats import FORMATS, choose, essence
from headrace.wire.frames import FrameEncoder
from headrace.wire.gathered import GatheredEncoder
from headrace.wire.ndjson import NdjsonEncoder
from headrace.wire.raw import BytesEncoder
from headrace.wire.sse import SseEncoder
from headrace.wire.stream_types import StreamTypes, stream_types
from headrace.wire.text import TextEncoder

TEXT, BYTES, JSON, OWN = (stream_types(item) for item in (str, bytes, dict, Event[str]))
TYPED_TEXT = stream_types(str, header_type=dict)
TYPED_BYTES = stream_types(bytes, footer_type=dict)

UTF8_TEXT = "text/plain; charset=utf-8"
EVENTS = "text/event-stream; charset=utf-8"
LINES = "application/x-ndjson"
FRAMES = "application/vnd.headrace.frames"
OCTETS = "application/octet-stream"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "types", "media_type", "content_type"),
    [
        # The defaults.
        (None, TEXT, None, UTF8_TEXT),
        ("", TEXT, None, UTF8_TEXT),
        ("*/*", TEXT, None, UTF8_TEXT),
        (BROWSER, TEXT, None, UTF8_TEXT),
        (None, BYTES, None, OCTETS),
        (None, BYTES, "audio/wav", "audio/wav"),
        ("*/*", BYTES, "audio/wav", "audio/wav"),
        (None, JSON, None, LINES),
        ("*/*", JSON, None, LINES),
        (BROWSER, JSON, None, LINES),
        (None, OWN, None, LINES),
        (None, TYPED_TEXT, None, LINES),
        (None, TYPED_BYTES, None, LINES),
        (None, TYPED_BYTES, "audio/wav", LINES),
        (None, TEXT, "text/markdown", "text/markdown; charset=utf-8"),
        (None, JSON, "text/markdown", LINES),
        # As asked.
        ("text/plain", TEXT, None, UTF8_TEXT),
        ("text/plain", TEXT, "text/markdown", UTF8_TEXT),
        ("text/markdown", TEXT, "text/markdown", "text/markdown; charset=utf-8"),
        (
            "text/markdown",
            TEXT,
            "Text/Markdown; Charset=UTF-8; variant=GFM",
            "Text/Markdown; Charset=UTF-8; variant=GFM",
        ),
        ("application/octet-stream", BYTES, None, OCTETS),
        ("application/octet-stream", BYTES, "audio/wav", OCTETS),
        ("audio/wav", BYTES, "audio/wav", "audio/wav"),
        ("audio/*", BYTES, "audio/pcm;rate=16000", "audio/pcm;rate=16000"),
        ("application/x-ndjson", TEXT, None, LINES),
        ("application/jsonl", TEXT, None, "application/jsonl"),
        ("application/jsonl", BYTES, None, "application/jsonl"),
        ("text/event-stream", TEXT, None, EVENTS),
        ("text/event-stream", BYTES, "audio/wav", EVENTS),
        ("text/event-stream", JSON, None, EVENTS),
        ("text/event-stream", OWN, None, EVENTS),
        ("text/event-stream", TYPED_TEXT, None, EVENTS),
        ("application/json", TEXT, None, "application/json"),
        ("application/json", TYPED_BYTES, None, "application/json"),
        ("TEXT/Event-Stream; charset=utf-8", JSON, None, EVENTS),
        (FRAMES, TEXT, None, FRAMES),
        (FRAMES, JSON, "text/markdown", FRAMES),
        ("*/*, application/vnd.headrace.frames", JSON, None, LINES),
        ("application/vnd.headrace.frames, */*;q=0.9", TYPED_TEXT, None, FRAMES),
        # Frames tell where bytes stand as they are; no wildcard picks them.
        (FRAMES, BYTES, "audio/wav", f"{FRAMES}; item=bytes"),
        (FRAMES, TYPED_BYTES, None, f"{FRAMES}; item=bytes"),
        (
            FRAMES,
            stream_types(str, header_type=bytes, footer_type=bytes),
            None,
            f"{FRAMES}; header=bytes; footer=bytes",
        ),
        (FRAMES, stream_types(Event[bytes]), None, FRAMES),
        (f"application/*, {LINES};q=0, application/jsonl;q=0", JSON, None, "application/json"),
        # Header and footer are lost only for who asks for exactly that.
        ("text/plain", TYPED_TEXT, None, UTF8_TEXT),
        ("application/octet-stream", TYPED_BYTES, None, OCTETS),
        ("audio/wav", TYPED_BYTES, "audio/wav", "audio/wav"),
        ("text/*", TYPED_TEXT, None, EVENTS),
        ("application/*", TYPED_BYTES, None, LINES),
        ("text/plain, */*", TYPED_TEXT, None, UTF8_TEXT),
        # Weights, precision, order.
        ("text/plain;q=0.5, text/event-stream", TEXT, None, EVENTS),
        ("text/plain;q=0.5, text/event-stream;q=0.4", TEXT, None, UTF8_TEXT),
        ("text/event-stream, text/plain", TEXT, None, EVENTS),
        ("application/json, text/plain, */*", TEXT, None, "application/json"),
        ("application/json, application/x-ndjson", JSON, None, "application/json"),
        ("application/jsonl, application/x-ndjson", JSON, None, "application/jsonl"),
        ("text/*", TEXT, None, UTF8_TEXT),
        ("text/*", JSON, None, EVENTS),
        ("text/*, text/plain;q=0.1", TEXT, None, EVENTS),
        ("application/*", TEXT, None, LINES),
        ("application/*", BYTES, "audio/wav", OCTETS),
        ("*/*, text/plain;q=0", TEXT, None, LINES),
        ("*/*, application/x-ndjson;q=0", JSON, None, "application/jsonl"),
        ("text/html, text/event-stream;q=0.1", JSON, None, EVENTS),
        ("rubbish", JSON, None, LINES),
    ],
)
def test_a_stream_is_answered_in(
    accept: str | None, types: StreamTypes, media_type: str | None, content_type: str
) -> None:
    assert choose(accept, types, media_type=media_type).content_type == content_type


@pytest.mark.parametrize(
    ("accept", "types", "media_type", "content_type"),
    [
        (None, TEXT, None, UTF8_TEXT),
        (None, TEXT, "text/html", "text/html; charset=utf-8"),
        (None, BYTES, None, OCTETS),
        (None, BYTES, "image/png", "image/png"),
        (None, JSON, None, "application/json"),
        ("*/*", JSON, None, "application/json"),
        (BROWSER, JSON, None, "application/json"),
        ("text/html", TEXT, "text/html", "text/html; charset=utf-8"),
        ("image/*", BYTES, "image/png", "image/png"),
        ("application/json", TEXT, None, "application/json"),
        ("application/json", BYTES, "image/png", "application/json"),
        ("application/json, text/plain;q=0.9", TEXT, None, "application/json"),
    ],
)
def test_one_value_is_answered_in(
    accept: str | None, types: StreamTypes, media_type: str | None, content_type: str
) -> None:
    assert choose(accept, types, unary=True, media_type=media_type).content_type == content_type


@pytest.mark.parametrize(
    ("accept", "types", "unary", "available"),
    [
        (
            "text/html",
            JSON,
            False,
            [LINES, "application/jsonl", "text/event-stream", FRAMES, "application/json"],
        ),
        (
            "text/plain, application/octet-stream",
            JSON,
            False,
            [LINES, "application/jsonl", "text/event-stream", FRAMES, "application/json"],
        ),
        ("text/event-stream, application/x-ndjson", JSON, True, ["application/json"]),
        ("image/png", TEXT, True, ["image/gif", "text/plain", "application/json"]),
        ("*/*;q=0", BYTES, True, ["image/gif", "application/octet-stream", "application/json"]),
        ("application/octet-stream, text/plain", OWN, True, ["application/json"]),
    ],
)
def test_nothing_acceptable_names_what_there_is(
    accept: str, types: StreamTypes, unary: bool, available: list[str]
) -> None:
    with pytest.raises(NotAcceptable) as caught:
        choose(accept, types, unary=unary, media_type="image/gif")
    assert list(caught.value.available) == available
    assert caught.value.message == (
        f"none of the accepted media types is available; there are: {', '.join(caught.value.available)}"
    )


@pytest.mark.parametrize(
    ("accept", "types", "unary", "encoder"),
    [
        ("text/plain", TEXT, False, TextEncoder),
        ("application/octet-stream", BYTES, False, BytesEncoder),
        ("text/event-stream", JSON, False, SseEncoder),
        ("application/jsonl", JSON, False, NdjsonEncoder),
        (FRAMES, JSON, False, FrameEncoder),
        ("application/json", JSON, False, GatheredEncoder),
        ("application/json", JSON, True, DocumentEncoder),
    ],
)
def test_the_choice_makes_its_encoder(accept: str, types: StreamTypes, unary: bool, encoder: type) -> None:
    choice = choose(accept, types, unary=unary)
    assert type(choice.answer().encoder) is encoder
    assert choice.answer().encoder is not choice.answer().encoder


def test_formats_that_tell_no_failure_in_band_say_so() -> None:
    types: dict[str | None, StreamTypes] = {"text": TEXT, "bytes": BYTES, None: JSON}
    facts = {row.name: (row.encoder(types[row.only]).in_band, row.gathers) for row in FORMATS}
    assert facts == {
        "text": (False, False),
        "bytes": (False, False),
        "ndjson": (True, False),
        "sse": (True, False),
        "frames": (True, False),
        "json": (False, True),
        "document": (False, True),
    }


@pytest.mark.parametrize("media_type", ["text/plain", "Text/Plain; charset=utf-8", " text/plain ;x=1"])
def test_the_essence_is_the_media_type_without_its_parameters(media_type: str) -> None:
    assert essence(media_type) == "text/plain"


def test_a_choice_is_remembered_by_what_it_depends_on() -> None:
    text, other = stream_types(str), stream_types(str)
    chosen = choose("text/event-stream", text)
    assert choose("text/event-stream", text) is chosen
    assert choose("text/event-stream", other).types is other
    assert choose("application/x-ndjson", text).format.name == "ndjson"
    assert choose(None, text, media_type="text/markdown").content_type == "text/markdown; charset=utf-8"
    assert choose(None, text, unary=True).format.name == "text"


def test_every_answer_of_a_choice_has_an_encoder_of_its_own() -> None:
    choice = choose("text/event-stream", stream_types(str))
    assert choice.answer().encoder is not choice.answer().encoder


def test_a_refusal_is_not_remembered() -> None:
    types = stream_types(str)
    for _ in range(2):
        with pytest.raises(NotAcceptable):
            choose("image/png", types)
