"""A request's body as a checked value: unknown members are passed over, known ones must be what they should be.

Clients send members that only some servers know, so those are tolerated. A known one of the wrong type or out of its
range is refused with a pointer to it, before anything is made of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from headrace.engines.refusals import entry
from headrace.errors import InvalidArguments, MalformedBody, WireError
from headrace.services import refusals
from headrace.services.json_shape import has_more_values
from headrace.wire.json_line import read_json

MAX_VALUES = 256 * 1024
"""Of a body, about; no conversation or list of prompts has more. While it is read, each takes some 60 bytes."""


class Body(BaseModel):
    """An object of a request. Numbers are not read from text, nor truth from numbers."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, allow_inf_nan=False)


B = TypeVar("B", bound=Body)


def read_body(kind: type[B], data: bytes, known: Mapping[str, Any] = {}) -> B:
    """The body as an object of this kind.

    Args:
        kind: what it must be.
        data: the body, whole.
        known: members that the path has told; they count, whatever the body says.

    Raises:
        MalformedBody: not JSON.
        InvalidArguments: JSON that does not fit, or that is too much to read.
    """
    if has_more_values(data, MAX_VALUES):
        detail = f"the body has more than {MAX_VALUES} values; send fewer prompts, and text instead of token ids"
        raise InvalidArguments(detail, [entry("", detail, "too_long")])
    try:
        value = read_json(data or b"{}")
    except WireError as error:
        raise MalformedBody(f"the body is {error}") from None
    if not isinstance(value, dict):
        detail = f"the body is JSON of type {type(value).__name__}; send an object"
        raise InvalidArguments(detail, [entry("", detail, "type")])
    value |= known
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise told(refusals.refusal(error, value, None)) from None


def form(value: Any) -> str:
    """The name of a value's Python type, for pydantic's `Discriminator` between unlike members of a union."""
    return type(value).__name__


def wrong(pointer: str, detail: str, kind: str = "invalid_value") -> InvalidArguments:
    """The refusal of one value.

    Args:
        pointer: into the body (RFC 6901).
        detail: what is wrong with it, and what to do.
        kind: `missing` and `unsupported` are told by codes of their own.
    """
    return told(InvalidArguments(detail, [entry(pointer, detail, kind)]))


def told(error: InvalidArguments) -> InvalidArguments:
    """The same refusal, with each value named as these APIs name it: `messages[0].role: ...`."""
    first = error.errors[0]
    name = parameter(first["pointer"])
    more = f" (and {len(error.errors) - 1} more)" if len(error.errors) > 1 else ""
    detail = f"{name}: {first['detail']}" if name else first["detail"]
    return InvalidArguments(detail + more, error.errors)


def parameter(pointer: str) -> str:
    """A JSON pointer as these APIs name a value: `messages[0].role` for `/messages/0/role`."""
    name = ""
    for step in pointer.split("/")[1:]:
        plain = step.replace("~1", "/").replace("~0", "~")
        name += f"[{plain}]" if plain.isdigit() else f".{plain}" if name else plain
    return name
