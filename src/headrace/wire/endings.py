"""The JSON of `End` and `Failure`, the same in every format that tells endings in its bytes.

The members are the fields of the two classes. A time that nobody measured is left out; the others have three decimals.
Unknown members are for later versions and are passed over.
"""

from __future__ import annotations

from typing import Any

from pydantic_core import to_json

from headrace.errors import WireError
from headrace.wire.events import End, Failure
from headrace.wire.json_line import read_json, write_line


def end_json(end: End) -> bytes:
    """`{"items": n}`, with the times that are known."""
    members: dict[str, Any] = {"items": end.items}
    if end.first_item_ms is not None:
        members["first_item_ms"] = round(end.first_item_ms, 3)
    if end.duration_ms is not None:
        members["duration_ms"] = round(end.duration_ms, 3)
    return to_json(members)  # numbers alone: there is no line end to escape


def failure_json(failure: Failure) -> bytes:
    """All five members, always."""
    return write_line(
        {
            "code": failure.code,
            "message": failure.message,
            "retryable": failure.retryable,
            "stream_id": failure.stream_id,
            "items_sent": failure.items_sent,
        }
    )


def read_end(data: bytes) -> End:
    """Raises WireError for what `end_json` would never write."""
    members = read_object(data, "end")
    return End(
        items=_member(members, "end", "items", int, None),
        first_item_ms=_time(members, "first_item_ms"),
        duration_ms=_time(members, "duration_ms"),
    )


def read_failure(data: bytes) -> Failure:
    """Raises WireError for what `failure_json` would never write. Only the code has to be there."""
    members = read_object(data, "error")
    return Failure(
        code=_member(members, "error", "code", str, None),
        message=_member(members, "error", "message", str, ""),
        retryable=_member(members, "error", "retryable", bool, False),
        stream_id=_member(members, "error", "stream_id", str, ""),
        items_sent=_member(members, "error", "items_sent", int, 0),
    )


def read_object(data: bytes, what: str) -> dict[str, Any]:
    """The members of a JSON object; raises WireError for anything else, naming `what` it should have been."""
    members = read_json(data)
    if not isinstance(members, dict):
        raise WireError(f"{type(members).__name__} for the {what}, expected an object")
    return members


def _member(members: dict[str, Any], what: str, name: str, expected: type, default: Any) -> Any:
    value = members.get(name, default)
    if type(value) is not expected:
        came = "nothing" if value is None else type(value).__name__
        raise WireError(f'{came} for "{name}" of the {what}, expected {expected.__name__}')
    return value


def _time(members: dict[str, Any], name: str) -> float | None:
    value = members.get(name)
    if value is None or type(value) in (int, float):
        return value
    raise WireError(f'{type(value).__name__} for "{name}" of the end, expected a number')
