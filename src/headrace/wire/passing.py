"""The events of a stream as they are: checked for readers in the same process, unchecked where others made them."""

from __future__ import annotations

from typing import Any

from headrace.wire.encoding import declared
from headrace.wire.events import End, Failure, Footer, Header
from headrace.wire.stream_types import StreamTypes


class PassingEncoder:
    """An encoder (`encoding.Encoder`) whose records are values: `Header`, bare items, `Footer`, `End`, `Failure`."""

    heartbeat = b""
    in_band = True

    def __init__(self, types: StreamTypes) -> None:
        self._types = types
        self.item = types.item.check  # the value as the declared type has it

    def header(self, value: Any) -> Any:
        """The header, its data as the declared type has it."""
        return Header(declared(self._types.header, "header").check(value))

    def footer(self, value: Any) -> Any:
        """The footer, its data as the declared type has it."""
        return Footer(declared(self._types.footer, "footer").check(value))

    def end(self, end: End) -> Any:
        """The end itself."""
        return end

    def failure(self, failure: Failure) -> Any:
        """The failure itself."""
        return failure


class AsItIs:
    """An encoder of what others have encoded. Endings are told by the transport."""

    heartbeat = b""
    in_band = False

    def item(self, value: Any) -> Any:
        """The value itself."""
        return value

    def header(self, value: Any) -> Any:
        """There is none."""
        return declared(None, "header")

    def footer(self, value: Any) -> Any:
        """There is none."""
        return declared(None, "footer")

    def end(self, end: End) -> bytes:
        """Nothing."""
        return b""

    def failure(self, failure: Failure) -> bytes:
        """Nothing."""
        return b""
