"""What the encoders of these APIs have in common, whether they stream an answer or gather it."""

from __future__ import annotations

from typing import Any

from headrace.wire.events import Failure


class Streaming:
    """An encoder of server-sent events. The heartbeat is a comment without a blank line, which clients would read."""

    heartbeat = b": keep-alive\n"
    in_band = True

    def header(self, value: Any) -> bytes:
        """Nothing: there is no place for one."""
        return b""

    def footer(self, value: Any) -> bytes:
        """Nothing: there is no place for one."""
        return b""


class Gathering:
    """An encoder of one document. Nothing leaves before its end, so a failure is a status."""

    heartbeat = b""
    in_band = False

    def header(self, value: Any) -> bytes:
        """Nothing: there is no place for one."""
        return b""

    def footer(self, value: Any) -> bytes:
        """Nothing: there is no place for one."""
        return b""

    def failure(self, failure: Failure) -> bytes:
        """Nothing: the answer is a status instead."""
        return b""
