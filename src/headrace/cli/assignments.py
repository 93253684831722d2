"""Arguments of an endpoint as they are written on a command line: `topic=rain` is text, `lines:=4` is JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NoReturn


def read_assignments(words: Iterable[str]) -> dict[str, Any]:
    """The arguments by name.

    Raises:
        ValueError: a word is no assignment, its JSON is none, or a name comes twice.
    """
    arguments: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        as_json = name.endswith(":")
        name = name.removesuffix(":")
        if not (name and equals):
            raise ValueError(f"{word!r} is no argument; write NAME=TEXT or NAME:=JSON")
        if name in arguments:
            raise ValueError(f"the argument {name!r} is given twice")
        arguments[name] = _json(word, text) if as_json else text
    return arguments


def _json(word: str, text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        name = word.partition(":=")[0]
        raise ValueError(f"{word!r} has no JSON behind ':='; for text, write {name}={text}") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
