"""What the formats without any frame have in common: they carry the items and nothing around them.

The transport alone tells their ending: cleanly for an end, broken off for a failure.
"""

from __future__ import annotations

from typing import Any

from headrace.wire.encoding import declared
from headrace.wire.events import End, Failure
from headrace.wire.stream_types import StreamTypes


class BareEncoder:
    """Header and footer are checked, so that a stream fails alike in every format, and not carried."""

    heartbeat = b""
    in_band = False

    def __init__(self, types: StreamTypes) -> None:
        self._types = types

    def header(self, value: Any) -> bytes:
        """Nothing."""
        declared(self._types.header, "header").check(value)
        return b""

    def footer(self, value: Any) -> bytes:
        """Nothing."""
        declared(self._types.footer, "footer").check(value)
        return b""

    def end(self, end: End) -> bytes:
        """Nothing: the transport ends cleanly."""
        return b""

    def failure(self, failure: Failure) -> bytes:
        """Nothing: the transport must break off."""
        return b""
