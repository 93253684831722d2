"""Newline-delimited JSON (application/x-ndjson, JSON Lines): one event per line, each an object with one member.

    {"header": ...}   {"item": ...}   {"footer": ...}   {"end": {...}}   {"error": {...}}

An empty line is the heartbeat; readers pass over it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from headrace.errors import StreamTruncated, WireError
from headrace.wire.decoding import MAX_RECORD, EventFeed
from headrace.wire.encoding import declared
from headrace.wire.endings import end_json, failure_json
from headrace.wire.events import End, Failure, StreamEvent
from headrace.wire.lines import Lines
from headrace.wire.stream_types import StreamTypes


class NdjsonEncoder:
    """Encoder of newline-delimited JSON."""

    heartbeat = b"\n"
    in_band = True

    def __init__(self, types: StreamTypes) -> None:
        self._types = types
        self._dumps = types.item.dumps

    def header(self, value: Any) -> bytes:
        """`{"header": ...}`."""
        return b'{"header":%b}\n' % declared(self._types.header, "header").dumps(value)

    def item(self, value: Any) -> bytes:
        """`{"item": ...}`."""
        return b'{"item":%b}\n' % self._dumps(value)

    def footer(self, value: Any) -> bytes:
        """`{"footer": ...}`."""
        return b'{"footer":%b}\n' % declared(self._types.footer, "footer").dumps(value)

    def end(self, end: End) -> bytes:
        """`{"end": {...}}`."""
        return b'{"end":%b}\n' % end_json(end)

    def failure(self, failure: Failure) -> bytes:
        """`{"error": {...}}`."""
        return b'{"error":%b}\n' % failure_json(failure)


class NdjsonDecoder(EventFeed):
    """Decoder of newline-delimited JSON; `limit` is the size of one line in bytes."""

    def __init__(self, types: StreamTypes, *, limit: int = MAX_RECORD) -> None:
        super().__init__(types)
        self._lines = Lines(limit)

    def read(self, data: bytes) -> Iterator[StreamEvent]:
        """The events that these bytes complete."""
        for line in self._lines.read(data):
            text = line.strip(_SPACE)
            if text:
                yield self._line(text)

    def finish(self, complete: bool = True) -> list[StreamEvent]:
        """See `Decoder.finish`. At a clean end the last line needs no newline (JSON Lines, section 3)."""
        last = self.feed(b"")  # an error that waits
        if complete and self._lines.unfinished:
            try:
                last = self.feed(b"\n")
            except WireError as error:
                raise StreamTruncated("the stream was cut inside a line") from error
        return last + super().finish(complete)

    def _line(self, line: bytes) -> StreamEvent:
        # Only the outer object is taken apart here, so that the value inside reaches its codec as it was sent.
        opening = _OPENING.match(line)
        if opening is None or not line.endswith(b"}"):
            raise WireError(
                'a line that is not {"item": ...}, {"header": ...}, {"footer": ...}, {"end": ...} or {"error": ...}'
            )
        return self.event(opening[1].decode(), line[opening.end() : -1])


_SPACE = b" \t"  # around JSON; CR and LF are line ends here
_OPENING = re.compile(rb'\{[ \t]*"([a-z]+)"[ \t]*:')
