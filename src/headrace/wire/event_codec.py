"""The codec of `Event`: an item that brings its own SSE event name or id.

Only the data is written; the name and the id belong to SSE. They are checked here all the same, so that a stream does
not fail for the readers of one format alone. A separator in them would let a value forge fields and whole events
(CVE-2026-33128 and its kin), so every character that any known reader takes for one is refused: CR, LF and NUL by the
WHATWG standard, and what `str.splitlines` adds to them.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from headrace.errors import InvalidItem
from headrace.wire.codec_protocol import Codec
from headrace.wire.events import RESERVED_NAMES, Event


class EventCodec(Codec):
    """`Event`s whose data is of one type. Reading gives `Event(data)`: only SSE carries a name and an id.

    `raw` tells the reader of SSE that the data is text as it stands, never JSON.
    """

    kind: Literal["text", "bytes", "json"] = "json"

    def __init__(self, data: Codec, *, raw: bool) -> None:
        self.name = f"Event[{data.name}]"
        self.data = data
        self.raw = raw

    def dumps(self, value: Any) -> bytes:
        """The data alone, as one line of JSON; raises InvalidItem."""
        return self.data.dumps(self._event(value).data)

    def loads(self, data: bytes) -> Any:
        """Raises WireError for what is not JSON and InvalidItem for JSON that is not of the data's type."""
        return Event(self.data.loads(data))

    def pack(self, value: Any) -> bytes:
        """The data alone; raw bytes too as JSON, because the kind of an event is JSON. Raises InvalidItem."""
        data = self._event(value).data
        return self.data.dumps(data) if self.data.kind == "bytes" else self.data.pack(data)

    def unpack(self, data: bytes) -> Any:
        """Raises WireError and InvalidItem as `loads` does."""
        return Event(self.data.loads(data) if self.data.kind == "bytes" else self.data.unpack(data))

    def check(self, value: Any) -> Any:
        """The event with its data as the declared type has it; raises InvalidItem."""
        event = self._event(value)
        return Event(self.data.check(event.data), event.name, event.id)

    def schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of the data."""
        return self.data.schema()

    def _event(self, value: Any) -> Event[Any]:
        if not isinstance(value, Event):
            raise InvalidItem(f"{type(value).__name__}, expected {self.name}: yield Event(data, name=..., id=...)")
        _check_text("name", value.name)
        _check_text("id", value.id)
        if value.name in RESERVED_NAMES:
            raise InvalidItem(f'the event name "{value.name}" has a meaning of its own here; choose another')
        return value


_SEPARATORS = re.compile("[\0\n\v\f\r\x1c-\x1e\x85\u2028\u2029\ud800-\udfff]")


def _check_text(what: str, text: Any) -> None:
    if text is None:
        return
    if not isinstance(text, str):
        raise InvalidItem(f"{type(text).__name__} for the {what} of an Event, expected str")
    found = _SEPARATORS.search(text)
    if found is not None:
        raise InvalidItem(f"U+{ord(found[0]):04X} in the {what} of an Event: readers could take it for a line end")
