"""A value that a stream cannot take, told with the line that yielded it.

HR08 is a value of the wrong type, HR10 one that comes where it must not. Whoever made the mistake reads the message: in
the answer, where it is the failure's text, and in the log.
"""

from __future__ import annotations

import logging
import os
from types import CodeType, FrameType
from typing import Any

from headrace.errors import InvalidItem, MissingFooter, MissingHeader, OutOfOrder, StreamError

_CODES: dict[type[StreamError], str] = {
    InvalidItem: "HR08",
    OutOfOrder: "HR10",
    MissingHeader: "HR10",
    MissingFooter: "HR10",
}

logger = logging.getLogger("headrace.streams")


def refused(error: StreamError, source: Any) -> StreamError:
    """The refusal of a value, with its code and the place where it came from; any other error as it is.

    Args:
        error: raised while a value of the source was recorded, or at its end.
        source: the iterator that yields the values; only of a generator the line is known.
    """
    code = _CODES.get(type(error))
    if code is None:
        return error
    place = _place(source)
    message = f"{code} {error.message} ({place})" if place else f"{code} {error.message}"
    logger.error("%s", message)
    return type(error)(message)


def short_path(path: str) -> str:
    """The path as the user would type it: relative when it is below the current folder."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def _place(source: Any) -> str | None:
    """`app.py:15, Chat.generate`: the `yield` where a generator waits, or its first line where it has returned."""
    code: CodeType | None = getattr(source, "ag_code", None) or getattr(source, "gi_code", None)
    if code is None:
        return None
    frame: FrameType | None = getattr(source, "ag_frame", None) or getattr(source, "gi_frame", None)
    while (inner := getattr(source, "gi_yieldfrom", None)) is not None and hasattr(inner, "gi_frame"):
        source, code, frame = inner, inner.gi_code, inner.gi_frame
    line = code.co_firstlineno if frame is None else frame.f_lineno
    return f"{short_path(code.co_filename)}:{line}, {code.co_qualname.rpartition('<locals>.')[2]}"
