"""Finds the place of a mistake in the user's code: a line of a function, or the user's own frame of a traceback."""

from __future__ import annotations

import inspect
import linecache
import os
import sysconfig
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

from headrace.errors import Place

_NOT_THE_USERS = tuple(
    os.path.join(os.path.realpath(path), "")
    for path in (
        os.path.dirname(os.path.dirname(__file__)),
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    )
)


def place_of(function: Callable[..., Any], word: str = "") -> Place | None:
    """The `def` line of a function, or the first line of its signature with `word`; the caret points at the word."""
    try:
        lines, first = inspect.getsourcelines(inspect.unwrap(function))
    except (OSError, TypeError):
        return None
    start = next((n for n, text in enumerate(lines) if text.lstrip().startswith(("def ", "async def "))), 0)
    for number, text in enumerate(lines[start:], start):
        if word and (column := _column(text, word)):
            return _place(function, first + number, text, column)
        if text.rstrip().endswith(":"):
            break
    return _place(function, first + start, lines[start], _column(lines[start], function.__name__))


def place_of_class(cls: type) -> Place | None:
    """The `class` line of a class."""
    try:
        lines, first = inspect.getsourcelines(cls)
    except (OSError, TypeError):
        return None
    start = next((n for n, text in enumerate(lines) if text.lstrip().startswith("class ")), 0)
    return _place(cls, first + start, lines[start], _column(lines[start], cls.__name__))


def _place(owner: Any, line: int, text: str, column: int) -> Place:
    indent = len(text) - len(text.lstrip())
    return Place(short_path(inspect.getsourcefile(owner) or "?"), line, text.strip(), column - indent if column else 0)


def _column(text: str, word: str) -> int:
    """Where `word` stands as a whole word, 1-based; 0 when it does not."""
    at = text.find(word)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(word) : at + len(word) + 1]
        if not (before.isidentifier() or before.isdigit() or after.isidentifier() or after.isdigit()):
            return at + 1
        at = text.find(word, at + 1)
    return 0


def place_of_error(error: BaseException) -> Place | None:
    """Where an exception was raised, seen from the user's code: the last frame that is theirs."""
    frames = user_frames(error.__traceback__)
    if not frames:
        return None
    frame = frames[-1]
    column = 0
    if frame.colno is not None and frame.line:
        raw = linecache.getline(frame.filename, frame.lineno or 0)
        column = max(frame.colno - (len(raw) - len(raw.lstrip())), 0) + 1
    return Place(short_path(frame.filename), frame.lineno or 0, frame.line or "", column)


def user_frames(trace: TracebackType | None) -> list[traceback.FrameSummary]:
    """The frames of a traceback that are neither ours nor of an installed package or the standard library."""
    return [frame for frame in traceback.extract_tb(trace) if _is_users(frame.filename)]


def _is_users(filename: str) -> bool:
    return not filename.startswith("<") and not os.path.realpath(filename).startswith(_NOT_THE_USERS)


def short_path(path: str) -> str:
    """The path as the user would type it: relative when it is below the current folder."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative
