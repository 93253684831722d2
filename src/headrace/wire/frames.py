"""Binary frames (application/vnd.headrace.frames): a kind, a length and a payload, and nothing to escape or to scan.

    kind: uint8 | length: uint32, big-endian | payload

    2 header   3 item   4 footer   5 end   6 error   7 ping, the heartbeat: empty   8 item batch: length | payload, ...

Payloads are what `Codec.pack` writes: JSON, raw bytes for `bytes`, and JSON with raw parts where there are arrays
(`segments`). Kinds 2, 3 and 4 with JSON are the layout of Truss Chains. `docs/wire-format.md` has all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Any

from headrace.errors import InvalidItem, RecordTooLarge, StreamTruncated, WireError
from headrace.wire.codec import Codec
from headrace.wire.decoding import MAX_RECORD, EventFeed
from headrace.wire.encoding import declared
from headrace.wire.endings import end_json, failure_json
from headrace.wire.events import End, Failure, Item, StreamEvent
from headrace.wire.stream_types import StreamTypes

HEADER, ITEM, FOOTER, END, ERROR, PING, BATCH = range(2, 9)
BATCH_SIZE = 1024 * 1024  # bytes after which a batch goes out and the next begins

_NAMES = {HEADER: "header", ITEM: "item", FOOTER: "footer", END: "end", ERROR: "error", PING: "ping", BATCH: "batch"}
_TAG = Struct(">BI")
_LENGTH = Struct(">I")
_LONGEST = 2**32 - 1
_SHORT_ITEMS = tuple(_TAG.pack(ITEM, length) for length in range(256))  # most items of text; the hot path


class FrameEncoder:
    """Encoder of binary frames; `limit` is the largest payload in bytes, so that nothing goes out that no reader takes.

    Endings are written whatever their size.
    """

    heartbeat = _TAG.pack(PING, 0)
    in_band = True

    def __init__(self, types: StreamTypes, *, limit: int = MAX_RECORD) -> None:
        if limit > _LONGEST:
            raise ValueError(f"a limit of {limit} bytes; the length of a frame can be {_LONGEST} at most")
        self._types = types
        self._pack = types.item.pack
        self._limit = limit
        self._short = min(limit + 1, len(_SHORT_ITEMS))

    def header(self, value: Any) -> bytes:
        """A frame of kind 2."""
        return self._frame(HEADER, declared(self._types.header, "header").pack(value))

    def item(self, value: Any) -> bytes:
        """A frame of kind 3."""
        payload = self._pack(value)
        length = len(payload)
        if length < self._short:
            return _SHORT_ITEMS[length] + payload
        return self._frame(ITEM, payload)

    def batch(self, values: Iterable[Any]) -> bytes:
        """Frames of kind 8 with all these items, as few as keep the size of a frame in bounds; nothing for none."""
        frames: list[bytes] = []
        parts: list[bytes] = []
        size = 0
        for payload in [self._pack(value) for value in values]:
            if parts and size + _LENGTH.size + len(payload) > min(BATCH_SIZE, self._limit):
                frames.append(self._frame(BATCH, b"".join(parts)))
                parts, size = [], 0
            parts += (_LENGTH.pack(len(payload)), payload)
            size += _LENGTH.size + len(payload)
        if parts:
            frames.append(self._frame(BATCH, b"".join(parts)))
        return b"".join(frames)

    def footer(self, value: Any) -> bytes:
        """A frame of kind 4."""
        return self._frame(FOOTER, declared(self._types.footer, "footer").pack(value))

    def end(self, end: End) -> bytes:
        """A frame of kind 5."""
        payload = end_json(end)
        return _TAG.pack(END, len(payload)) + payload

    def failure(self, failure: Failure) -> bytes:
        """A frame of kind 6."""
        payload = failure_json(failure)
        return _TAG.pack(ERROR, len(payload)) + payload

    def _frame(self, kind: int, payload: bytes) -> bytes:
        length = len(payload)
        if length > self._limit:
            raise InvalidItem(f"{_NAMES[kind]} of {length} bytes, and a frame carries at most {self._limit}: split it")
        return _TAG.pack(kind, length) + payload


class Frames:
    """Frames out of bytes that come in pieces. Keeps the unfinished one and copies each byte a fixed number of times.

    A length above the limit is refused from the five bytes that say it, before anything of the payload is kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit  # bytes of one payload
        self._kept = bytearray()  # the beginning of an unfinished frame
        self._size = _TAG.size  # of that frame as far as it is known: its five bytes, then all of it

    def read(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The kind and the payload of each frame that these bytes complete.

        Raises:
            WireError: there is no such kind.
            RecordTooLarge: a payload above the limit.
        """
        place = 0
        while self._kept:
            piece = data[place : place + self._size - len(self._kept)]
            place += len(piece)
            self._kept += piece
            if len(self._kept) < self._size:
                return
            if self._size == _TAG.size:
                self._size += self._tag(self._kept, 0)[1]
            if len(self._kept) == self._size:
                kind, payload = self._kept[0], bytes(memoryview(self._kept)[_TAG.size :])
                self._kept, self._size = bytearray(), _TAG.size
                yield kind, payload
        while len(data) - place >= _TAG.size:
            kind, length = self._tag(data, place)
            end = place + _TAG.size + length
            if end > len(data):
                self._size = _TAG.size + length
                break
            yield kind, data[place + _TAG.size : end]
            place = end
        self._kept += data[place:]

    def unfinished(self) -> str:
        """Where in a frame the bytes stop, for people; empty between two frames."""
        if not self._kept:
            return ""
        if len(self._kept) < _TAG.size:
            return f"inside the head of a frame: {len(self._kept)} of its {_TAG.size} bytes came"
        came, length = len(self._kept) - _TAG.size, self._size - _TAG.size
        return f"inside a frame of kind {_NAMES[self._kept[0]]}: {came} of its {length} bytes came"

    def _tag(self, data: bytes | bytearray, place: int) -> tuple[int, int]:
        kind, length = _TAG.unpack_from(data, place)
        if kind not in _NAMES:
            known = ", ".join(f"{number} {name}" for number, name in _NAMES.items())
            raise WireError(f"a frame of kind {kind}; there are {known}. Are these bytes frames at all?")
        if length > self._limit:
            raise RecordTooLarge(f"a frame of kind {_NAMES[kind]} with {length} bytes; the limit is {self._limit}")
        return kind, length


class FrameDecoder(EventFeed):
    """Decoder of binary frames.

    Args:
        types: what the stream declares.
        limit: bytes of one payload; more raises RecordTooLarge.
        needs_end: False for writers that know no end frame: there the clean end of the bytes between two frames, after
            a footer where one is declared, is the end.
    """

    def __init__(self, types: StreamTypes, *, limit: int = MAX_RECORD, needs_end: bool = True) -> None:
        super().__init__(types)
        self._frames = Frames(limit)
        self._needs_end = needs_end
        self._items = 0

    def read(self, data: bytes) -> Iterator[StreamEvent]:
        """The events that these bytes complete."""
        for kind, payload in self._frames.read(data):
            if kind == ITEM:
                yield self._item(payload)
            elif kind == BATCH:
                yield from map(self._item, _members(payload))
            elif kind != PING:
                yield self.event(_NAMES[kind], payload)
            elif payload:
                raise WireError(f"a ping with {len(payload)} bytes; a ping is empty")

    def finish(self, complete: bool = True) -> list[StreamEvent]:
        """See `Decoder.finish`; the error says where the bytes were cut."""
        self.feed(b"")  # an error that waits
        place = self._frames.unfinished()
        if self.order.last in (End, Failure):
            if place:
                raise WireError(f"bytes after the ending: they stop {place}")
            return []
        if place:
            raise StreamTruncated(f"the stream was cut {place}")
        if self._needs_end or not complete:
            last = f"after item {self._items}" if self._items else "before any item"
            raise StreamTruncated(f"the stream was cut between two frames, {last}: no end came")
        self.order.advance(End)
        return [End(items=self._items)]

    def value(self, codec: Codec, data: bytes) -> Any:
        """Headers, items and footers are packed."""
        return codec.unpack(data)

    def _item(self, payload: bytes) -> StreamEvent:
        self.order.advance(Item)
        value = self.types.item.unpack(payload)
        self._items += 1
        return Item(value)


def _members(payload: bytes) -> Iterator[bytes]:
    if not payload:
        raise WireError("an item batch without items")
    place = 0
    while place < len(payload):
        if len(payload) - place < _LENGTH.size:
            raise WireError(f"an item batch that ends inside a length: {len(payload) - place} of its 4 bytes")
        length: int = _LENGTH.unpack_from(payload, place)[0]
        place += _LENGTH.size
        if length > len(payload) - place:
            raise WireError(f"an item of {length} bytes in a batch that has {len(payload) - place} left")
        yield payload[place : place + length]
        place += length
