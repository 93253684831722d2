"""JSON (RFC 8259) on one line: text that every reader takes for a single line, whatever it believes a line end is.

JSON escapes the control characters but allows U+0085, U+2028 and U+2029 as they are. Clients that cut lines
with Python's `str.splitlines` and its like end a line there, so these three are written as `\\uXXXX`.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import from_json

from headrace.errors import WireError


def escape_line_ends(data: bytes) -> bytes:
    """Takes JSON in UTF-8. In JSON these characters stand inside strings only, so each may be replaced where it is."""
    if data.isascii():
        return data
    for raw, escaped in _ESCAPES:
        data = data.replace(raw, escaped)
    return data


def write_line(value: Any) -> bytes:
    """Writes what is ours to write: dicts, lists, numbers and text. Half a surrogate pair becomes a question mark."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return escape_line_ends(text.encode("utf-8", "replace"))


def read_json(data: bytes) -> Any:
    """Any JSON value in UTF-8; raises WireError for anything else, NaN and Infinity included."""
    try:
        return from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise WireError(f"not JSON: {error}") from error


_ESCAPES = (
    ("\u0085".encode(), b"\\u0085"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)
