"""Reads streams only as far as a measurement needs it: how many items there are, and how the stream ended.

A reader is fed with bytes cut anywhere. Streams of headrace tell their ending and are truncated without it; those of
others end with their response. Plain items, which are nearly all there is, are counted without being taken apart.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol

from headrace.cli.completion import failure
from headrace.errors import RecordTooLarge, StreamTruncated, WireError
from headrace.wire.decoding import MAX_RECORD
from headrace.wire.formats import essence
from headrace.wire.sse import EventStreamParser, ServerSentEvent

SSE = "text/event-stream"
NDJSON = ("application/x-ndjson", "application/jsonl")


class Reader(Protocol):
    """Of one stream.

    Attributes:
        output_tokens, input_tokens: as the server told them; None where it does not.
    """

    output_tokens: int | None
    input_tokens: int | None

    def feed(self, data: bytes) -> int:
        """The number of items that these bytes complete.

        Raises:
            StreamError: the failure that the server tells in the stream.
            WireError: the bytes are not of the format.
        """

    def finish(self, complete: bool) -> int:
        """The response has ended, cleanly or not. The number of items that only its end completed.

        Raises:
            StreamTruncated: the stream had not ended.
        """


class PieceReader:
    """Bytes and text as they are, and whatever else: every read is an item."""

    output_tokens: int | None = None
    input_tokens: int | None = None

    def feed(self, data: bytes) -> int:
        """One."""
        return 1

    def finish(self, complete: bool) -> int:
        """None."""
        if not complete:
            raise StreamTruncated("the connection was cut in the stream")
        return 0


class _RecordReader(ABC):
    """Takes whole records out of bytes, and counts those that are plain items at once.

    Args:
        tells_its_ending: it is truncated without.
    """

    output_tokens: int | None = None
    input_tokens: int | None = None
    _END: bytes
    _ITEM: re.Pattern[bytes]

    def __init__(self, tells_its_ending: bool) -> None:
        self._tells_its_ending = tells_its_ending
        self._ended = False
        self._rest = b""

    def feed(self, data: bytes) -> int:
        """See `Reader.feed`."""
        data = self._rest + data
        end = data.rfind(self._END)
        cut = 0 if end < 0 else end + len(self._END)
        records, self._rest = data[:cut], data[cut:]
        if len(self._rest) > MAX_RECORD:
            raise RecordTooLarge(f"a record of {len(self._rest)} bytes or more; the limit is {MAX_RECORD}")
        if not records:
            return 0
        other, items = self._ITEM.subn(b"", records)
        return self._read(records) if other else items

    def finish(self, complete: bool) -> int:
        """See `Reader.finish`."""
        items = self._last() if complete and not self._ended else 0
        if not self._ended and (self._tells_its_ending or not complete):
            raise StreamTruncated("the stream was cut before its ending")
        return items

    @abstractmethod
    def _read(self, records: bytes) -> int:
        """The items of whole records that are not all plain ones."""

    def _last(self) -> int:
        return 0


class EventReader(_RecordReader):
    """Server-sent events: ours, and others' with `[DONE]` or no ending at all."""

    _END = b"\n\n"
    _ITEM = re.compile(rb"(?:id:[^\r\n]*\n)?data:(?! ?\[DONE\])[^\r\n]*\n\n")

    def __init__(self, tells_its_ending: bool) -> None:
        super().__init__(tells_its_ending)
        self._parser: EventStreamParser | None = None

    def feed(self, data: bytes) -> int:
        """See `Reader.feed`."""
        if self._parser is None and b"\r" not in data:
            return super().feed(data)
        if self._parser is None:  # lines end in other ways here; the standard's parser knows all of them
            self._parser, data, self._rest = EventStreamParser(), self._rest + data, b""
        return self._count(self._parser, data)

    def _read(self, records: bytes) -> int:
        return self._count(EventStreamParser(), records)  # nothing is carried over from one record to the next

    def _count(self, parser: EventStreamParser, data: bytes) -> int:
        return sum([self._event(event) for event in parser.feed(data)])

    def _event(self, event: ServerSentEvent) -> bool:
        """Whether it is an item."""
        if event.event == "error":
            raise failure(_document(event.data))
        self._ended = self._ended or event.event == "end" or event.data == "[DONE]"
        return event.event not in ("header", "footer", "end") and event.data != "[DONE]"


class LineReader(_RecordReader):
    """Newline-delimited JSON: ours, and others', whose every line is an item."""

    _END = b"\n"
    _ITEM = re.compile(rb'\{"item":[^\n]*\}\r?\n')

    def _read(self, records: bytes) -> int:
        return sum([self._line(line.strip()) for line in records.split(b"\n")])

    def _last(self) -> int:
        return int(self._line(self._rest.strip()))

    def _line(self, line: bytes) -> bool:
        """Whether it is an item."""
        found = _OPENING.match(line)
        name = found[1] if found else b""
        if name == b"error":
            raise failure(_document(line.decode("utf-8", "replace")))
        if self._tells_its_ending and line and name not in (b"item", b"header", b"footer", b"end"):
            raise WireError(f"a line that is no event: {line[:80]!r}")
        self._ended = self._ended or (self._tells_its_ending and name == b"end")
        return bool(line) and not (self._tells_its_ending and name != b"item")


_OPENING = re.compile(rb'\{[ \t]*"([a-z]+)"[ \t]*:')


def reader_for(headers: Mapping[str, str], wire: str | None) -> Reader:
    """The reader of a response with these headers.

    Args:
        headers: names in lower case.
        wire: what was asked for, and nothing else will do: `sse` or `ndjson`.

    Raises:
        WireError: it is something else.
    """
    kind = essence(headers.get("content-type", ""))
    ours = "headrace-stream-id" in headers
    if wire in ("sse", "ndjson") and kind not in ((SSE,) if wire == "sse" else NDJSON):
        raise WireError(f"the answer is {kind or 'of no type'}, not {wire}")
    if kind == SSE:
        return EventReader(ours)
    return LineReader(ours) if kind in NDJSON else PieceReader()


def _document(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
