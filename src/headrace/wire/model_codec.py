"""The codec of everything that pydantic has a schema for: models, dataclasses, TypedDicts, containers, scalars, `Any`.

Two things that pydantic lets pass are refused here. NaN and the infinities, which it writes as `null` without a word:
RFC 8259 has no form for them, and a reader would take the `null` for a value. And fields that were changed after their
object was made, which validation does not look at again: the serializer notices them.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Set
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import ErrorDetails, SchemaError

from headrace.errors import InvalidItem, WireError
from headrace.wire.codec_protocol import Codec
from headrace.wire.json_line import escape_line_ends, read_json
from headrace.wire.segments import Segments, split_payload
from headrace.wire.type_name import type_name


class ModelCodec(Codec):
    """Values of one type that pydantic knows. A dict becomes the model it stands for; "5" does not become an int."""

    kind: Literal["text", "bytes", "json"] = "json"

    def __init__(self, annotation: Any) -> None:
        """Makes the schema.

        Raises:
            TypeError: pydantic can make none.
        """
        self.name = type_name(annotation)
        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(annotation)
            self._validate_python = self._adapter.validator.validate_python
            self._validate_json = self._adapter.validator.validate_json
            self._to_json = self._adapter.serializer.to_json
        except (PydanticUserError, SchemaError, NameError, TypeError) as error:
            reason = str(error).partition("\n")[0]
            raise TypeError(f"{self.name} cannot be sent: pydantic has no schema for it ({reason})") from error

    def dumps(self, value: Any) -> bytes:
        """One line of JSON; raises InvalidItem for what is not a value of the type."""
        return self._write(value, self._validate(value))

    def loads(self, data: bytes) -> Any:
        """Raises WireError for what is not JSON and InvalidItem for JSON that is not a value of the type."""
        return self.read(data)

    def pack(self, value: Any) -> bytes:
        """JSON, with the numbers of arrays beside it as they stand in memory; raises InvalidItem."""
        segments = Segments()
        return segments.join(self._write(value, self._validate(value), segments))

    def unpack(self, data: bytes) -> Any:
        """Raises WireError and InvalidItem as `loads` does, and for arrays that nothing in the JSON refers to."""
        head, segments = split_payload(data)
        value = self.read(head, segments)
        if segments.unused:
            raise InvalidItem(f"array {segments.unused[0]} of the payload has no place in type {self.name}")
        return value

    def read(self, data: bytes, segments: Segments | None = None) -> Any:
        """A value from JSON and the arrays beside it; the errors of `loads`."""
        if b"NaN" in data or b"Infinity" in data:  # pydantic reads both; they may stand inside a text
            read_json(data)
        try:
            return self._validate_json(data, strict=True, context=segments)
        except ValidationError as error:
            first = _errors(error)[0]
            if first["type"] == "json_invalid":
                raise WireError(f"not JSON: {first['msg'].removeprefix('Invalid JSON: ')}") from error
            raise InvalidItem(f"JSON that is not of type {self.name}: {_explain(error)}") from error

    def check(self, value: Any) -> Any:
        """The value as the declared type has it; raises InvalidItem."""
        validated = self._validate(value)
        self._write(value, validated, Segments())
        return validated

    def schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of what `dumps` writes."""
        return self._adapter.json_schema(mode="serialization")

    def _validate(self, value: Any) -> Any:
        try:
            return self._validate_python(value, strict=True)
        except ValidationError as error:
            # Strict, pydantic takes no dict for a dataclass and no tuple for a list. Only containers get a second try.
            if not isinstance(value, _CONTAINERS):
                raise InvalidItem(self._refusal(value, _explain(error))) from error
        try:
            return self._validate_python(value, strict=False)
        except ValidationError as error:
            raise InvalidItem(self._refusal(value, _explain(error))) from error

    def _write(self, value: Any, validated: Any, segments: Segments | None = None) -> bytes:
        try:
            data = self._to_json(validated, by_alias=True, warnings="error", context=segments)
        except ValueError:
            data = self._write_doubted(value, validated, segments)
        if b"null" in data or b"NaN" in data or b"Infinity" in data:
            self._refuse_nan(value, validated)
        return escape_line_ends(data)

    def _write_doubted(self, value: Any, validated: Any, segments: Segments | None) -> bytes:
        # The serializer failed, or doubts a value without being sure. Reading back what it writes settles it, and says
        # where the mistake is.
        try:
            data = self._to_json(validated, by_alias=True, warnings="none", context=segments)
            self._validate_json(data, strict=True, context=segments)
        except ValidationError as error:
            raise InvalidItem(self._refusal(value, _explain(error))) from error
        except ValueError as error:
            raise InvalidItem(self._refusal(value, _reason(error))) from error
        return data

    def _refuse_nan(self, value: Any, validated: Any) -> None:
        plain = self._adapter.dump_python(validated, mode="python", warnings=False)
        try:
            json.dumps(plain, allow_nan=False, skipkeys=True, default=_members)
        except ValueError as error:
            raise InvalidItem(self._refusal(value, "NaN and Infinity are not JSON")) from error

    def _refusal(self, value: Any, reason: str) -> str:
        return f"{type(value).__name__}, expected {self.name}: {reason}"


_CONTAINERS = (dict, list, tuple, set, frozenset)


def _members(value: Any) -> Any:
    return list(value) if isinstance(value, (Set, deque)) else None


def _errors(error: ValidationError) -> list[ErrorDetails]:
    # The input stays out: the message may reach a client.
    return error.errors(include_url=False, include_context=False, include_input=False)


def _explain(error: ValidationError) -> str:
    errors = _errors(error)
    first = errors[0]
    text = first["msg"][:1].lower() + first["msg"][1:]
    if first["loc"]:
        place = ".".join(str(step) for step in first["loc"])
        text = f'field "{place}" missing' if first["type"] == "missing" else f'field "{place}": {text}'
    return text if len(errors) == 1 else f"{text} (and {len(errors) - 1} more)"


def _reason(error: ValueError) -> str:
    if "surrogate" in str(error):
        return "a lone surrogate cannot be written as UTF-8"
    return str(error).partition("\n")[0].removeprefix("Error serializing to JSON: ").removeprefix("ValueError: ")
