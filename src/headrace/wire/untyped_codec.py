"""The codec of a reader that does not know what a stream carries: any JSON, and arrays where a payload has some."""

from __future__ import annotations

from typing import Any

from headrace.errors import InvalidItem
from headrace.wire.model_codec import ModelCodec
from headrace.wire.segments import Segments


class UntypedCodec(ModelCodec):
    """Any JSON. An object of a binary frame that refers to an array becomes this array."""

    def __init__(self) -> None:
        super().__init__(Any)

    def read(self, data: bytes, segments: Segments | None = None) -> Any:
        """Raises WireError for what is not JSON and InvalidItem for a reference that makes no array."""
        value = super().read(data)
        if segments is None or not segments.unused:
            return value
        from headrace.wire.array import find_arrays  # needs numpy, which most readers never do

        try:
            return find_arrays(value, segments)
        except ValueError as error:
            raise InvalidItem(f"JSON with arrays: {error}") from error
