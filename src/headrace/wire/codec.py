"""The codec of a declared type: `codec_for` picks it, and the two that need no schema, text and bytes, stand here.

Bytes travel in JSON as a string in base64 with the standard alphabet and padding (RFC 4648, section 4).
"""

from __future__ import annotations

import base64
import sys
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic_core import to_json

from headrace.errors import InvalidItem
from headrace.wire.codec_protocol import Codec
from headrace.wire.event_codec import EventCodec
from headrace.wire.events import Event
from headrace.wire.json_line import escape_line_ends, read_json
from headrace.wire.model_codec import ModelCodec

__all__ = ["BytesCodec", "Codec", "TextCodec", "codec_for"]


def codec_for(annotation: Any) -> Codec:
    """The codec of a type annotation.

    Raises:
        TypeError: values of this type cannot be written as JSON; the message says why.
    """
    if isinstance(annotation, str):
        raise TypeError(f"the annotation {annotation!r} is only a name; resolve it first (typing.get_type_hints)")
    if annotation is str:
        return TextCodec()
    if annotation is bytes:
        return BytesCodec()
    if annotation is Event:
        return EventCodec(ModelCodec(Any), raw=True)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Event:
        return EventCodec(codec_for(arguments[0]), raw=arguments[0] in (str, Any))
    if origin in (Union, types.UnionType) and any(Event in (get_origin(one), one) for one in arguments):
        raise TypeError("Event must be the item type itself: write Event[A | B], not Event[A] | B")
    if _is_array(annotation):
        from headrace.wire.array import ArrayCodec

        return ArrayCodec(annotation)
    if _holds_struct(annotation):
        from headrace.wire.struct_codec import StructCodec

        return StructCodec(annotation)
    return ModelCodec(annotation)


class TextCodec(Codec):
    """`str`. The most frequent item by far, so it passes no schema."""

    kind: Literal["text", "bytes", "json"] = "text"
    name = "str"

    def dumps(self, value: Any) -> bytes:
        """One line of JSON; raises InvalidItem."""
        if not isinstance(value, str):
            raise InvalidItem(f"{type(value).__name__}, expected str")
        try:
            data = to_json(value)
        except ValueError as error:
            raise InvalidItem("str with a lone surrogate, which UTF-8 cannot carry") from error
        return data if data.isascii() else escape_line_ends(data)  # asked here too: this is the hot path

    def loads(self, data: bytes) -> Any:
        """Raises WireError for what is not JSON and InvalidItem for JSON that is not a string."""
        value = read_json(data)
        if not isinstance(value, str):
            raise InvalidItem(f"JSON that is not of type str: {type(value).__name__}")
        return value

    def check(self, value: Any) -> Any:
        """The value itself; raises InvalidItem."""
        self.dumps(value)
        return value

    def schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12)."""
        return {"type": "string"}


class BytesCodec(Codec):
    """`bytes`; `bytearray` and `memoryview` are as good. A binary frame carries them as they are."""

    kind: Literal["text", "bytes", "json"] = "bytes"
    name = "bytes"

    def dumps(self, value: Any) -> bytes:
        """A JSON string in base64; raises InvalidItem."""
        return b'"%b"' % base64.b64encode(self.check(value))

    def loads(self, data: bytes) -> Any:
        """Raises WireError for what is not JSON and InvalidItem for JSON that is not a string in base64."""
        value = read_json(data)
        if not isinstance(value, str):
            raise InvalidItem(f"JSON that is not of type bytes: {type(value).__name__}, expected a string in base64")
        try:
            return base64.b64decode(value, validate=True)
        except ValueError as error:
            raise InvalidItem(f"JSON that is not of type bytes: a string that is not base64 ({error})") from error

    def pack(self, value: Any) -> bytes:
        """The bytes themselves; raises InvalidItem."""
        data: bytes = self.check(value)
        return data

    def unpack(self, data: bytes) -> Any:
        """The bytes themselves."""
        return data

    def check(self, value: Any) -> Any:
        """The value as `bytes`; raises InvalidItem."""
        if type(value) is bytes:
            return value
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise InvalidItem(f"{type(value).__name__}, expected bytes")
        return bytes(value)

    def schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12, section 8.3 of its validation part)."""
        return {"type": "string", "contentEncoding": "base64"}


def _is_array(annotation: Any) -> bool:
    # Whoever declares an array has imported numpy; nobody else needs it.
    numpy = sys.modules.get("numpy")
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return numpy is not None and (get_origin(annotation) or annotation) is numpy.ndarray


def _holds_struct(annotation: Any) -> bool:
    # Whoever declares a Struct has imported msgspec; nobody else needs it.
    msgspec = sys.modules.get("msgspec")
    if msgspec is None:
        return False
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return True
    return any(_holds_struct(argument) for argument in (get_origin(annotation), *get_args(annotation)) if argument)
