"""Refusals that name values as chat does, told by the names that another API has for them.

Engines, and the check of what a model can do, know a value by one name: `/max_tokens`, `/response_format`.
"""

from __future__ import annotations

from collections.abc import Mapping

from headrace.errors import InvalidArguments, StreamError
from headrace.openai.body import parameter


def renamed(error: StreamError, names: Mapping[str, str]) -> StreamError:
    """The same error, with other names for the values.

    Args:
        error: of any kind; only the arguments' errors name values.
        names: the pointer that an API has, by the first step of the one that chat has.
    """
    if not isinstance(error, InvalidArguments) or not error.errors:
        return error
    pointers = [_renamed(entry["pointer"], names) for entry in error.errors]
    entries = [{**entry, "pointer": pointer} for entry, pointer in zip(error.errors, pointers, strict=True)]
    before, message = f"{parameter(error.errors[0]['pointer'])}: ", error.message
    if message.startswith(before):
        message = f"{parameter(pointers[0])}: {message.removeprefix(before)}"
    return type(error).rebuild(message, {**error.members, "errors": entries}, error.headers)


def _renamed(pointer: str, names: Mapping[str, str]) -> str:
    _, first, *rest = pointer.split("/", 2) if pointer else ("", "")
    return "/".join((names.get(f"/{first}", f"/{first}"), *rest)) if first else pointer
