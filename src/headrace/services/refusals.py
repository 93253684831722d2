"""Errors of pydantic as the answer 422 (HR16): a JSON pointer (RFC 6901) and a short sentence for each.

What the client sent is never repeated at length, and the whole answer stays near one kilobyte however large and however
wrong the body was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from headrace.errors import InvalidArguments
from headrace.services.structs import ERROR_TYPE

ERRORS_SHOWN = 8
"""More errors than this are counted and not listed."""

ERRORS_READ = 1000
"""Of more errors than this only the number is told: a body of a million wrong items must not hold up the others."""

DETAIL_CHARACTERS = 150
POINTER_CHARACTERS = 120
LIST_CHARACTERS = 700
EXAMPLE_CHARACTERS = 300


def refusal(error: ValidationError, sent: Any, example: Any) -> InvalidArguments:
    """The refusal of arguments.

    Args:
        error: what pydantic found.
        sent: the arguments before they were checked; pointers lead into this.
        example: arguments that fit; left out when they are too long to read.
    """
    count = error.error_count()
    if count > ERRORS_READ:
        found = [{"pointer": "", "detail": f"{count} values do not fit", "type": "too_many_errors"}]
        return InvalidArguments(f"HR16 the arguments: {found[0]['detail']}", found, _short_example(example))
    listed: list[dict[str, str]] = []
    room = LIST_CHARACTERS
    for each in error.errors(include_url=False, include_input=False)[:ERRORS_SHOWN]:
        entry = {
            "pointer": shortened(pointer(_steps(each, sent)), POINTER_CHARACTERS),
            "detail": shortened(each["msg"], DETAIL_CHARACTERS),
            "type": shortened(each["type"], 40),
        }
        room -= len(json.dumps(entry))
        if listed and room < 0:
            break
        listed.append(entry)
    more = f" (and {count - len(listed)} more)" if count > len(listed) else ""
    where = listed[0]["pointer"] or "the arguments"
    return InvalidArguments(f"HR16 {where}: {listed[0]['detail']}{more}", listed, _short_example(example))


def pointer(steps: Sequence[str | int]) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def shortened(text: str, characters: int) -> str:
    """The text, or its beginning."""
    return text if len(text) <= characters else text[: characters - 3] + "..."


def _steps(error: ErrorDetails, sent: Any) -> list[str | int]:
    """The way to the value. pydantic's own has names of types between the steps, where a union chose among them."""
    steps: list[str | int] = []
    at = sent
    location = error["loc"]
    for number, step in enumerate(location):
        if _holds(at, step):
            at = at[step]
        elif not (number == len(location) - 1 and error["type"].startswith("missing")):
            continue
        steps.append(step)
    if error["type"] == ERROR_TYPE:
        steps += error.get("ctx", {}).get("path", [])
    return steps


def _holds(value: Any, step: str | int) -> bool:
    if isinstance(value, Mapping):
        return step in value
    return isinstance(value, (list, tuple)) and isinstance(step, int) and step < len(value)


def _short_example(example: Any) -> Any:
    return example if len(json.dumps(example)) <= EXAMPLE_CHARACTERS else None
