"""Every legal stream survives every format, however its bytes are cut."""

import base64
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.wire.encoding import encode
from headrace.wire.events import RESERVED_NAMES, End, Event, Failure, Footer, Header, Item, StreamEvent
from headrace.wire.formats import FORMATS
from headrace.wire.frames import FrameDecoder, FrameEncoder
from headrace.wire.stream_types import stream_types

FORMAT = {row.name: row for row in FORMATS}

texts = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from('\r\n\0\u0085\u2028\u2029: "\\'), max_size=20
)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
anything = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
times = st.none() | st.integers(0, 10**9).map(lambda thousandths: thousandths / 1000)
endings = st.builds(End, st.integers(0), times, times) | st.builds(
    Failure, texts.filter(bool), texts, st.booleans(), texts, st.integers(0)
)
names = texts.filter(
    lambda text: text not in RESERVED_NAMES | {"message"} and len(text.splitlines()) == 1 and "\0" not in text
)
names = names.filter(lambda text: text.splitlines()[0] == text)
places = {str(place) for place in range(1, 20)}
own_events = st.builds(
    Event,
    # A CR is written and read as LF; the other data is read as text, so only text comes back the same.
    texts.map(lambda text: text.replace("\r\n", "\n").replace("\r", "\n")),
    st.none() | names,
    st.none() | names.filter(lambda text: text not in places),
)
ITEMS: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    bytes: st.binary(max_size=20),
    Any: anything,
    Event[str]: own_events,
}
cuts = st.lists(st.integers(0, 2000), max_size=10)


@st.composite
def streams(draw: st.DrawFn, item: Any) -> tuple[bool, bool, list[StreamEvent]]:
    """Whether there is a header and a footer, and the events of a legal stream."""
    header, footer, ending = draw(st.booleans()), draw(st.booleans()), draw(endings)
    events: list[StreamEvent] = [Header(draw(anything))] if header else []
    events += [Item(value) for value in draw(st.lists(ITEMS[item], max_size=6))]
    if footer and (isinstance(ending, End) or draw(st.booleans())):
        events.append(Footer(draw(anything)))
    elif isinstance(ending, Failure) and draw(st.booleans()):
        events = []
    return header, footer, [*events, ending]


def pieces(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place for place in places if place <= len(data)), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def through(name: str, item: Any, stream: tuple[bool, bool, list[StreamEvent]], places: list[int]) -> list[StreamEvent]:
    header, footer, events = stream
    types = stream_types(item, header_type=Any if header else None, footer_type=Any if footer else None)
    encoder, decoder = FORMAT[name].encoder(types), FORMAT[name].decoder(types)
    read: list[StreamEvent] = []
    for piece in pieces(b"".join(encoder.heartbeat + encode(encoder, event) for event in events), places):
        read += decoder.feed(piece)
    return read + decoder.finish()


@pytest.mark.parametrize("item", [str, bytes, Any, Event[str]], ids=str)
@settings(deadline=None)
@given(data=st.data(), places=cuts)
def test_sse_carries_every_stream(item: Any, data: st.DataObject, places: list[int]) -> None:
    stream = data.draw(streams(item))
    assert through("sse", item, stream, places) == stream[2]


@pytest.mark.parametrize("name", ["ndjson", "frames"])
@pytest.mark.parametrize("item", [str, bytes, Any], ids=str)
@settings(deadline=None)
@given(data=st.data(), places=cuts)
def test_lines_and_frames_carry_every_stream(name: str, item: Any, data: st.DataObject, places: list[int]) -> None:
    stream = data.draw(streams(item))
    assert through(name, item, stream, places) == stream[2]


@pytest.mark.parametrize("name", ["ndjson", "frames"])
@settings(deadline=None)
@given(stream=streams(Event[str]), places=cuts)
def test_lines_and_frames_carry_the_data_of_events(
    name: str, stream: tuple[bool, bool, list[StreamEvent]], places: list[int]
) -> None:
    expected = [Item(Event(event.data.data)) if isinstance(event, Item) else event for event in stream[2]]
    assert through(name, Event[str], stream, places) == expected


@settings(deadline=None)
@given(items=st.lists(anything), places=cuts)
def test_a_batch_carries_what_its_items_would(items: list[Any], places: list[int]) -> None:
    types = stream_types(Any)
    written = FrameEncoder(types).batch(items)
    decoder = FrameDecoder(types)
    read = [event for piece in pieces(written, places) for event in decoder.feed(piece)]
    assert read == [Item(item) for item in items]


@pytest.mark.parametrize(("name", "item"), [("text", str), ("bytes", bytes)])
@settings(deadline=None)
@given(data=st.data(), places=cuts)
def test_text_and_bytes_carry_the_concatenation(name: str, item: Any, data: st.DataObject, places: list[int]) -> None:
    stream = data.draw(streams(item))
    *items, ending = through(name, item, stream, places)
    sent = [event.data for event in stream[2] if isinstance(event, Item)]
    assert item().join(event.data for event in items if isinstance(event, Item)) == item().join(sent)
    assert ending == End(len(items))


@pytest.mark.parametrize("item", [str, bytes, Any], ids=str)
@settings(deadline=None)
@given(data=st.data(), places=cuts)
def test_a_gathered_document_carries_every_complete_stream(item: Any, data: st.DataObject, places: list[int]) -> None:
    stream = data.draw(streams(item).filter(lambda drawn: isinstance(drawn[2][-1], End)))
    header, footer, sent = stream
    read = through("json", item, stream, places)
    if header or footer or item is Any:
        assert read == [*sent[:-1], End(sum(isinstance(event, Item) for event in sent))]
    else:
        whole = item().join(event.data for event in sent if isinstance(event, Item))
        assert read == ([Item(whole), End(1)] if whole else [End(0)])


@settings(deadline=None)
@given(data=st.lists(st.binary(max_size=10)))
def test_base64_in_pieces_is_base64_of_the_whole(data: list[bytes]) -> None:
    encoder = FORMAT["json"].encoder(stream_types(bytes))
    written = b"".join(encoder.item(piece) for piece in data) + encoder.end(End(len(data)))
    assert written == b'"' + base64.b64encode(b"".join(data)) + b'"'
