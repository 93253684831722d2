import json
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import InvalidItem, StreamTruncated, WireError
from headrace.wire.events import End, Event, Failure, Item
from headrace.wire.stream_types import stream_types
from headrace.wire.text import TextDecoder, TextEncoder

VECTORS = json.loads((Path(__file__).parents[2] / "spec/vectors/text.json").read_text())["cases"]
ERRORS = {"truncated": StreamTruncated, "malformed": WireError}


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["name"])
def test_text_reads_as_the_vectors_say_however_it_is_cut(case: dict[str, Any], ways_to_arrive: Any) -> None:
    for pieces in ways_to_arrive(bytes.fromhex(case["hex"])):
        decoder, events, error = TextDecoder(stream_types(str)), [], None
        try:
            for piece in pieces:
                events += decoder.feed(piece)
            events += decoder.finish(case.get("complete", True))
        except (StreamTruncated, WireError) as raised:
            error = type(raised)
        texts = [event.data for event in events if isinstance(event, Item)]
        assert "".join(texts) == case["text"]
        assert "" not in texts
        assert error == (ERRORS[case["error"]] if case["error"] else None)
        assert events[len(texts) :] == ([] if case["error"] else [End(len(texts))])


def test_a_character_is_never_split() -> None:
    decoder = TextDecoder(stream_types(str))
    assert decoder.feed(b"a\xf0\x9f") == [Item("a")]
    assert decoder.feed(b"\x8c") == []
    assert decoder.feed(b"\x8a!") == [Item("🌊!")]
    assert decoder.finish() == [End(2)]


def test_what_is_not_utf8_comes_after_the_text_before_it() -> None:
    decoder = TextDecoder(stream_types(str))
    assert decoder.feed(b"ab\xffcd") == [Item("ab")]
    with pytest.raises(WireError, match="not UTF-8: invalid start byte 0xff"):
        decoder.finish()


def test_items_go_out_as_their_text() -> None:
    encoder = TextEncoder(stream_types(str))
    assert encoder.item("é\u2028\n") == "é\u2028\n".encode()
    assert (encoder.end(End(1)), encoder.failure(Failure("x", "")), encoder.heartbeat, encoder.in_band) == (
        b"",
        b"",
        b"",
        False,
    )


@pytest.mark.parametrize("value", [5, b"a", None, Event("a")])
def test_what_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(InvalidItem, match=f"^{type(value).__name__}, expected str$"):
        TextEncoder(stream_types(str)).item(value)


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(InvalidItem, match="lone surrogate"):
        TextEncoder(stream_types(str)).item("a\udfff")


def test_streams_of_other_items_cannot_be_plain_text() -> None:
    with pytest.raises(TypeError, match="plain text carries items of type str, not int"):
        TextEncoder(stream_types(int))


def test_a_header_is_checked_and_not_carried() -> None:
    encoder = TextEncoder(stream_types(str, header_type=int))
    assert encoder.header(5) == b""
    with pytest.raises(InvalidItem, match="str, expected int"):
        encoder.header("a")
