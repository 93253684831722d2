"""A text as a JSON string on one line, fast: each piece of an answer is written this way."""

from __future__ import annotations

from json.encoder import encode_basestring

from headrace.wire.json_line import escape_line_ends


def json_text(text: str) -> bytes:
    """The string with its quotes. Half a surrogate pair becomes a question mark."""
    return escape_line_ends(encode_basestring(text).encode("utf-8", "replace"))
