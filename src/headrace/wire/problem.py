"""Problem documents (RFC 9457, application/problem+json): a failure of which nothing of the stream was sent before."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from headrace.errors import StreamError
from headrace.wire.endings import read_object
from headrace.wire.events import Failure

MEDIA_TYPE = "application/problem+json"


def problem(error: StreamError, *, stream_id: str = "", items_sent: int = 0) -> dict[str, Any]:
    """The members of the document. The error's own members come after the standard ones and never replace them."""
    document: dict[str, Any] = {
        "type": f"urn:headrace:error:{quote(error.code, safe='')}",
        "title": _sendable(type(error).default_message()),
        "status": error.status,
        "detail": _sendable(error.message),
        "code": error.code,
        "retryable": error.retryable,
        "stream_id": stream_id,
        "items_sent": items_sent,
    }
    return document | {name: value for name, value in error.members.items() if name not in document}


def read_problem(data: bytes) -> Failure:
    """The failure that a problem document tells, ours or another's; raises WireError for what is no JSON object."""
    members = read_object(data, "problem document")
    return Failure(
        code=_member(members, "code", "") or "internal",
        message=_member(members, "detail", "") or _member(members, "title", ""),
        retryable=_member(members, "retryable", False),
        stream_id=_member(members, "stream_id", ""),
        items_sent=_member(members, "items_sent", 0),
    )


def _member(members: dict[str, Any], name: str, default: Any) -> Any:
    # RFC 9457, section 3.1: a member whose type is not the specified one must be ignored.
    value = members.get(name, default)
    return value if type(value) is type(default) else default


def _sendable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
