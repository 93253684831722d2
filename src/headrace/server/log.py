"""One line per stream, for people or as JSON; and the formatters of the server's log."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

from headrace.errors import ClientGone, RequestError, StreamError
from headrace.server.request import HttpRequest
from headrace.streams.stream import Stream

access = logging.getLogger("headrace.access")


def log_stream(request: HttpRequest, status: int, stream: Stream, error: StreamError | None) -> None:
    """Logs how a stream ended: complete, stopped by its client, refused, or failed with a code."""
    if not access.isEnabledFor(logging.INFO):
        return
    fields: dict[str, Any] = {
        "method": request.method,
        "path": request.path,
        "stream_id": stream.id,
        "request_id": request.id,
        "endpoint": stream.endpoint,
        "status": status,
        "items": stream.items,
        "first_item_ms": _milliseconds(stream.first_item_seconds),
        "duration_ms": _milliseconds(stream.seconds),
        "end": "ok" if error is None else error.code,
    }
    access.info("%s", _line(fields, stream, error), extra={"fields": fields})


def log_refusal(request: HttpRequest, error: RequestError) -> None:
    """Logs a request that reached no endpoint."""
    fields = {
        "method": request.method,
        "path": request.path,
        "request_id": request.id,
        "status": error.status,
        "end": error.code,
    }
    access.info("%s", f"{request.method} {_shown(request.path)} {error.status} {error.code}", extra={"fields": fields})


def _line(fields: dict[str, Any], stream: Stream, error: StreamError | None) -> str:
    head = f"{fields['method']} {_shown(fields['path'])} {stream.id[:8]}"
    if isinstance(error, ClientGone):
        return f"{head} stopped by client after {stream.items} items, {stream.seconds:.1f}s"
    head += f" {fields['status']}"
    if isinstance(error, RequestError):
        return f"{head} {error.code}"
    first = stream.first_item_seconds
    parts = [head] if first is None else [head, f"first {first * 1000:.0f}ms"]
    parts.append(f"{stream.items} items")
    if first is not None and stream.items > 1 and stream.seconds > first:
        parts.append(f"{(stream.items - 1) / (stream.seconds - first):.1f}/s")
    parts.append(f"{stream.seconds:.1f}s")
    parts.append("end" if error is None else f"{error.code}: {_shown(error.message)}")
    return " ".join(parts)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)


def _shown(text: str) -> str:
    """Text of a client on one line and without terminal escapes, at most 200 characters."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[:200])


class TextFormatter(logging.Formatter):
    """`12:01:07 POST /write s_7Kq2 200 first 84ms 128 items 61.2/s 2.1s end`; other records with their level."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(message)s", "%H:%M:%S")
        self._other = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """One record as text."""
        return super().format(record) if hasattr(record, "fields") else self._other.format(record)


class JsonFormatter(logging.Formatter):
    """One JSON object per line; a traceback is one string in it."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as JSON."""
        document: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            document["traceback"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=False, default=str)
