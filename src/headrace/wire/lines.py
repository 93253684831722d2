"""Lines out of bytes that come in pieces: ended by LF, CR or CRLF, in any mix and across the pieces.

The rule is the one of the WHATWG event stream; JSON, which has no bare CR or LF inside, can be cut by it as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headrace.errors import RecordTooLarge


class Lines:
    """Keeps the unfinished line between pieces and looks at every byte once, however small the pieces are."""

    def __init__(self, limit: int) -> None:
        self._limit = limit  # bytes of one line
        self._unfinished = bytearray()
        self._after_cr = False

    @property
    def unfinished(self) -> bool:
        """Whether bytes wait for the end of their line."""
        return bool(self._unfinished)

    def read(self, data: bytes) -> Iterator[bytes]:
        """The lines that these bytes complete, without their ends; raises RecordTooLarge before it keeps too much."""
        if not data:
            return
        if self._after_cr:  # this LF belongs to a line end whose line is already out
            data = data.removeprefix(b"\n")
        self._after_cr = data.endswith(b"\r")
        *lines, rest = _LINE_END.split(data)
        for line in lines:
            self._keep(line)
            complete = bytes(self._unfinished)
            self._unfinished.clear()
            yield complete
        self._keep(rest)

    def _keep(self, piece: bytes) -> None:
        size = len(self._unfinished) + len(piece)
        if size > self._limit:
            raise RecordTooLarge(f"a line of {size} bytes or more; the limit is {self._limit}")
        self._unfinished += piece


_LINE_END = re.compile(rb"\r\n|\r|\n")
