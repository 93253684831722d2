"""What a codec is: the values of one declared type, as JSON bytes and back.

The JSON is RFC 8259 in UTF-8 on one line (`json_line`). What is not of the declared type is refused before it is
written. Binary frames carry `pack`'s payload instead, which is the same JSON where a type has nothing better.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol


class Codec(Protocol):
    """Values of one declared type to JSON bytes and back."""

    name: str  # for people: "str", "Token", "list[int]"

    @property
    def kind(self) -> Literal["text", "bytes", "json"]:
        """`text` for `str`, `bytes` for `bytes`: plain streams can carry them. `json` for all others."""

    def dumps(self, value: Any) -> bytes:
        """One line of JSON; raises InvalidItem for what is not a value of the type."""

    def loads(self, data: bytes) -> Any:
        """Raises WireError for what is not JSON and InvalidItem for JSON that is not a value of the type."""

    def pack(self, value: Any) -> bytes:
        """The payload of a binary frame; raises InvalidItem for what is not a value of the type."""
        return self.dumps(value)

    def unpack(self, data: bytes) -> Any:
        """What `pack` wrote; raises WireError and InvalidItem as `loads` does."""
        return self.loads(data)

    def check(self, value: Any) -> Any:
        """The value as the declared type has it (a dict becomes its model); raises InvalidItem."""

    def schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of what `dumps` writes."""
