"""The arguments of a call as a request carries them: a JSON object, or one of them as the body and the rest as query.

An argument is the body itself when it is bytes, an open binary file, or an iterator. What an iterator yields decides
how it is sent, and the content type stands in the head, so its first value is looked at before anything is sent.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode

from pydantic_core import PydanticSerializationError, from_json, to_json

from headrace.wire.json_line import escape_line_ends

FILE_PIECE = 64 * 1024

BYTES = "application/octet-stream"
LINES = "application/x-ndjson"
JSON = "application/json"


class Upload:
    """A body that is made while it is sent.

    The values come from outside (`source`), since taking them may have to wait; here they become bytes.

    Attributes:
        name: the argument's.
        started: something of it was taken for sending, so that it cannot be sent again.
    """

    def __init__(self, name: str, source: Iterator[Any] | AsyncIterator[Any], *, file: bool = False) -> None:
        self.name = name
        self.source = source
        self.started = False
        self._file = file
        self._first: list[Any] | None = None

    @property
    def looked(self) -> bool:
        """The first value is known."""
        return self._first is not None

    @property
    def empty(self) -> bool:
        """There is no first value."""
        return self._first == []

    @property
    def content_type(self) -> str:
        """Raw where the values are bytes; lines of JSON for all others, and where there is none."""
        return BYTES if self._first and _is_bytes(self._first[0]) else LINES

    def look(self, first: list[Any]) -> None:
        """Takes the first value, or none of none.

        Raises:
            TypeError: it cannot be sent.
        """
        self._first = first
        for value in first:
            self.encode(value)

    def begin(self) -> list[bytes]:
        """What was looked at, for sending."""
        self.started = True
        return [self.encode(value) for value in self._first or ()]

    def encode(self, value: Any) -> bytes:
        """The bytes of one value.

        Raises:
            TypeError: it is not of the kind that the first one was, or no JSON.
        """
        if _is_bytes(value):
            if self.content_type is LINES:
                raise TypeError(f"argument {self.name!r} yields bytes after other values; yield one kind")
            return bytes(value)
        if self._file:
            raise TypeError(f"argument {self.name!r} is a file that was opened as text; open it with mode 'rb'")
        if self.content_type is BYTES:
            raise TypeError(f"argument {self.name!r} yields {type(value).__name__} after bytes; yield one kind")
        return _json(self.name, value) + b"\n"


@dataclass(frozen=True, slots=True)
class Payload:
    """What a request carries. `query` is encoded; None for the content type where there is no body."""

    query: str
    content: bytes | Upload
    content_type: str | None


def pack(arguments: Mapping[str, Any], method: str) -> Payload:
    """The arguments as a request of this method carries them.

    Raises:
        TypeError: an argument cannot be sent; the message names it.
        ValueError: two of them would have to be the body.
    """
    bodies = [name for name, value in arguments.items() if _is_body(value)]
    if len(bodies) > 1:
        raise ValueError(
            f"the arguments {bodies[0]!r} and {bodies[1]!r} would both be the body of the request; "
            "send one of them as text, base64 for instance, or in a request of its own"
        )
    if method == "GET":
        if bodies:
            raise ValueError(f"a GET request has no body for the argument {bodies[0]!r}; use another method")
        return Payload(_query(arguments), b"", None)
    if not bodies:
        members = (to_json(name) + b":" + _json(name, value) for name, value in arguments.items())
        return Payload("", b"{%b}" % b",".join(members), JSON)
    content = _content(bodies[0], arguments[bodies[0]])
    query = _query({name: value for name, value in arguments.items() if name != bodies[0]})
    return Payload(query, content, BYTES if isinstance(content, bytes) else None)


def _is_bytes(value: Any) -> bool:
    return isinstance(value, (bytes, bytearray, memoryview))


def _is_file(value: Any) -> bool:
    return callable(getattr(value, "read", None)) and not isinstance(value, AsyncIterable)


def _is_body(value: Any) -> bool:
    return _is_bytes(value) or _is_file(value) or isinstance(value, (Iterator, AsyncIterable))


def _content(name: str, value: Any) -> bytes | Upload:
    if _is_bytes(value):
        return bytes(value)
    if _is_file(value):
        return Upload(name, iter(partial(_read, value), b""), file=True)
    return Upload(name, value if isinstance(value, Iterator) else aiter(value))


def _read(file: Any) -> Any:
    return file.read(FILE_PIECE) or b""  # "" of a file that was opened as text


def _query(arguments: Mapping[str, Any]) -> str:
    """Text as it is, other values as their JSON; None is left out, since a query has nothing for it."""
    return urlencode({name: _text(name, value) for name, value in arguments.items() if value is not None})


def _text(name: str, value: Any) -> str:
    data = _json(name, value)
    plain = from_json(data)
    return plain if isinstance(plain, str) else data.decode()


def _json(name: str, value: Any) -> bytes:
    try:
        data = to_json(value, fallback=_plain)
        if b"NaN" in data or b"Infinity" in data:  # they may stand inside a text
            _refuse_nan(data)
    except (ValueError, TypeError, RecursionError) as error:
        reason = str(error).partition("\n")[0].removeprefix("Error serializing to JSON: ")
        reason = reason.removeprefix("PydanticSerializationError: ")
        raise TypeError(f"argument {name!r} cannot be sent as JSON: {reason}") from error
    return escape_line_ends(data)


def _refuse_nan(data: bytes) -> None:
    try:
        from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise ValueError("NaN and Infinity are not JSON") from error


def _plain(value: Any) -> Any:
    # Whoever holds a Struct has imported msgspec; nobody else needs it.
    msgspec = sys.modules.get("msgspec")
    if msgspec is not None and isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value)
    raise PydanticSerializationError(f"it holds a value of type {type(value).__name__}")
