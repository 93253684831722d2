"""Finds the place of a mistake in the user's code: a part of a function, or the user's own frame of a traceback."""

from __future__ import annotations

import ast
import inspect
import linecache
import os
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from headrace.errors import Mistake, Place, SetupError
from headrace.streams.yields import short_path

_NOT_THE_USERS = tuple(
    os.path.join(os.path.realpath(path), "")
    for path in (
        os.path.dirname(os.path.dirname(__file__)),
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    )
)

_REASON_CHARACTERS = 300

_STEPS = ("__init__", "on_start")

RETURN = "->"
"""The word that stands for the return annotation."""


def place_of(function: Callable[..., Any], word: str = "") -> Place | None:
    """A part of a function, under the caret; None where there is no source.

    Args:
        function: what decorators made of it is looked through.
        word: a parameter, `RETURN`, or a name in an annotation; the function's own name if it is empty or not there.
    """
    function = inspect.unwrap(function)
    try:
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError, SyntaxError):
        return None
    node = _definition(lines)
    if node is None:
        return _place(function, first, lines[0], _column(lines[0], "lambda"))
    found = next(_parts(node, word), None) if word else None
    if found is not None:
        line = found.lineno - 2  # the tree begins with a line of our own
        return _place(function, first + line, lines[line], _characters(lines[line], found.col_offset) + 1)
    line = node.lineno - 2
    return _place(function, first + line, lines[line], _column(lines[line], node.name))


def place_of_class(cls: type) -> Place | None:
    """The `class` line of a class."""
    try:
        lines, first = inspect.getsourcelines(cls)
    except (OSError, TypeError, SyntaxError):
        return None
    start = next((n for n, text in enumerate(lines) if text.lstrip().startswith("class ")), 0)
    return _place(cls, first + start, lines[start], _column(lines[start], cls.__name__))


def place_of_error(error: BaseException) -> Place | None:
    """Where an exception was raised, seen from the user's code: the last frame that is theirs."""
    frames = user_frames(error.__traceback__)
    if not frames:
        return None
    frame = frames[-1]
    column = 0
    if frame.colno is not None and frame.line:
        raw = linecache.getline(frame.filename, frame.lineno or 0)
        column = max(_characters(raw, frame.colno) - (len(raw) - len(raw.lstrip())), 0) + 1
    return Place(short_path(frame.filename), frame.lineno or 0, frame.line or "", column)


def setup_mistake(definition_name: str, error: BaseException) -> Mistake:
    """HR12: the service could not be started.

    Args:
        definition_name: the service's.
        error: the `SetupError`, or what the user's code raised.
    """
    cause = error.__cause__ if isinstance(error, SetupError) and error.__cause__ is not None else error
    step = error.step if isinstance(error, SetupError) else ""
    if not step:
        step = next((frame.name for frame in user_frames(cause.__traceback__) if frame.name in _STEPS), "")
    place = place_of_error(cause)
    who = f"{definition_name}.{step} raised" if step else f"{definition_name} could not be started:"
    return Mistake(
        "HR12",
        f"{who} {described(cause)}",
        place,
        "A service that cannot start answers nothing, so the server does not start either.",
        _fix(cause, place, step),
    )


def described(error: BaseException) -> str:
    """The kind and the first line of an exception."""
    line = (str(error).strip() or "\n").splitlines()[0]
    name = type(error).__name__
    if len(line) > _REASON_CHARACTERS:
        line = line[: _REASON_CHARACTERS - 3] + "..."
    return f"{name}: {line}" if line else name


def _fix(error: BaseException, place: Place | None, step: str) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"python -m pip install {error.name.partition('.')[0]}"
    if isinstance(error, KeyError) and place is not None and "environ" in place.text and error.args:
        return f"export {error.args[0]}=..."
    if isinstance(error, OSError) and isinstance(error.filename, str):
        return f"ls -ld {error.filename!r}  # is it there, seen from {os.getcwd()}, and may this user read it?"
    if place is None:
        return f"what {step or 'the service'} needs must be there when the service starts"
    return f"what line {place.line} needs must be there when the service starts"


def user_frames(trace: TracebackType | None) -> list[traceback.FrameSummary]:
    """The frames of a traceback that are neither ours nor of an installed package or the standard library."""
    return [frame for frame in traceback.extract_tb(trace) if is_users(frame.filename)]


def is_users(filename: str) -> bool:
    """Whether a file is the user's own: neither ours nor of an installed package or the standard library."""
    path = os.path.realpath(filename)
    installed = path.startswith(_NOT_THE_USERS) or not {"site-packages", "dist-packages"}.isdisjoint(path.split(os.sep))
    return not filename.startswith("<") and not installed


def _definition(lines: list[str]) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    try:
        tree = ast.parse("if 1:\n" + "".join(lines) if lines[0][:1].isspace() else "\n" + "".join(lines))
    except SyntaxError:
        return None  # a lambda in the middle of a call, for instance
    body = tree.body[0].body if isinstance(tree.body[0], ast.If) else tree.body
    return body[0] if isinstance(body[0], (ast.FunctionDef, ast.AsyncFunctionDef)) else None


def _parts(node: ast.FunctionDef | ast.AsyncFunctionDef, word: str) -> Iterator[ast.expr | ast.arg]:
    """The parts of a signature that the word may mean, the likeliest first."""
    if word == RETURN:
        yield from (node.returns,) if node.returns else ()
        return
    arguments = node.args
    parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    parameters += [each for each in (arguments.vararg, arguments.kwarg) if each is not None]
    yield from (each for each in parameters if each.arg == word)
    annotations = [each.annotation for each in parameters] + [node.returns]
    for annotation in annotations:
        for part in ast.walk(annotation) if annotation is not None else ():
            if isinstance(part, ast.Name) and part.id == word:
                yield part


def _place(owner: Any, line: int, text: str, column: int) -> Place:
    indent = len(text) - len(text.lstrip())
    return Place(short_path(inspect.getsourcefile(owner) or "?"), line, text.strip(), column - indent if column else 0)


def _characters(text: str, offset: int) -> int:
    """An offset in UTF-8 bytes, as the parser counts, in characters."""
    return len(text.encode()[:offset].decode("utf-8", "replace"))


def _column(text: str, word: str) -> int:
    """Where `word` stands as a whole word, 1-based; 0 when it does not."""
    at = text.find(word)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(word) : at + len(word) + 1]
        if not (_continues(before) or _continues(after)):
            return at + 1
        at = text.find(word, at + 1)
    return 0


def _continues(character: str) -> bool:
    return f"a{character}".isidentifier() if character else False
