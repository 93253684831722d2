"""The codec of msgspec Structs; loaded only where the declared type is one, so that msgspec stays optional.

msgspec checks types when it reads, not when a Struct is made or written, so whatever is written is read back once: it
is fast enough for that. Like pydantic it writes NaN as `null`; see `model_codec`.
"""

from __future__ import annotations

import json
from typing import Any, Literal

import msgspec

from headrace.errors import InvalidItem, WireError
from headrace.wire.codec_protocol import Codec
from headrace.wire.json_line import escape_line_ends
from headrace.wire.type_name import type_name


class StructCodec(Codec):
    """Values of a type made of msgspec Structs. A dict becomes the Struct it stands for."""

    kind: Literal["text", "bytes", "json"] = "json"

    def __init__(self, annotation: Any) -> None:
        """Makes the reader and the writer.

        Raises:
            TypeError: msgspec can make none.
        """
        self.name = type_name(annotation)
        self._annotation = annotation
        self._decode = msgspec.json.Decoder(annotation).decode
        self._encode = msgspec.json.Encoder().encode

    def dumps(self, value: Any) -> bytes:
        """One line of JSON; raises InvalidItem for what is not a value of the type."""
        return self._write(value)[1]

    def loads(self, data: bytes) -> Any:
        """Raises WireError for what is not JSON and InvalidItem for JSON that is not a value of the type."""
        try:
            return self._decode(data)
        except msgspec.ValidationError as error:
            raise InvalidItem(f"JSON that is not of type {self.name}: {_explain(error)}") from error
        except ValueError as error:
            raise WireError(f"not JSON: {error}") from error

    def check(self, value: Any) -> Any:
        """The value as the declared type has it; raises InvalidItem."""
        return self._write(value)[0]

    def schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of what `dumps` writes."""
        return msgspec.json.schema(self._annotation)

    def _write(self, value: Any) -> tuple[Any, bytes]:
        try:
            converted = msgspec.convert(value, self._annotation)
            data = self._encode(converted)
            self._decode(data)
            if b"null" in data:
                json.dumps(msgspec.to_builtins(converted), allow_nan=False)
        except (ValueError, TypeError, RecursionError) as error:
            raise InvalidItem(f"{type(value).__name__}, expected {self.name}: {_explain(error)}") from error
        return converted, escape_line_ends(data)


def _explain(error: Exception) -> str:
    text = str(error).replace("`", "")
    if "surrogate" in text:
        return "a lone surrogate cannot be written as UTF-8"
    if "not JSON compliant" in text:
        return "NaN and Infinity are not JSON"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return text[:1].lower() + text[1:]
