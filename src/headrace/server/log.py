"""One line per stream, for people or as JSON; and the formatters of the server's log.

Nothing that a client or an exception says can begin a line of its own, move the cursor or fill the disk: what is not
printable is escaped, a traceback is indented, and both have a bound. Credentials are replaced wherever a name or a
scheme announces them, in messages and in tracebacks; the query of a request is in no line of ours, and one that stands
in a URL of somebody else's line is dropped. A bare secret that nothing announces cannot be recognised.
"""

from __future__ import annotations

import functools
import json
import logging
import re
import time
from typing import Any

from headrace.errors import ClientGone, RequestError, StreamError
from headrace.server.request import HttpRequest
from headrace.streams.stream import Stream

access = logging.getLogger("headrace.access")

FIELDS = "headrace_fields"
"""The attribute of a log record that has a stream's values, for formatters."""

VALUE_CHARACTERS = 200
TEXT_CHARACTERS = 8 * 1024
"""Of a message, and of a traceback."""

REDACTED = "[redacted]"

# Every pattern begins with fixed words and repeats only what cannot be divided in two ways, so that the time grows with
# the length of the text and not faster. A name is looked for from its telling part on: `x-api-key: k` by `key: k`.
_HINTS = ("key", "token", "secret", "passw", "credential", "authorization", "cookie", "bearer", "://")
_QUOTE = r"""\\{0,3}["']"""
_SEPARATOR = rf"""(?:[ \t]{{0,3}}[:=]|{_QUOTE}[ \t]{{0,3}}[:=,])[ \t]{{0,3}}"""  # `n: `, `n=`, `"n": `, `b'n', `
_QUOTED = r"""[bf]?\\{0,3}(?:"(?:[^"\\\n]|\\.)*+"?|'(?:[^'\\\n]|\\.)*+'?)|[\[({][^\])}\n]*+"""  # or several in brackets
_HEADER = re.compile(
    rf"""((?:authorization|cookies?){_SEPARATOR})(?:{_QUOTED}|[^\s"'][^\n"']*+)""",  # to the end of the line
    re.IGNORECASE,
)
_NAMED = re.compile(
    rf"""((?:key|token|secret|passw|credential)(?!\w{{0,64}}(?:error|exception|interrupt)\b)"""
    rf"""(?!s\s?[:=]\s?\d{{1,9}}\b)[\w.-]{{0,64}}+{_SEPARATOR})(?:{_QUOTED}|[^\s,;&)\]}}"']++)""",
    re.IGNORECASE,
)
_BEARER = re.compile(r"(\bbearer\s{1,3})[\w.~+/=-]{4,}+", re.IGNORECASE)
_USER_INFO = re.compile(r"""(://)[^\s/?#"'@]{1,512}+(?=@)""")
_QUERY = re.compile(r"""(://[^\s?#"'<>]{1,512}+\?)[^\s#"'<>]++""")


def log_stream(request: HttpRequest, status: int, stream: Stream, error: StreamError | None) -> None:
    """Logs how a stream ended: complete, stopped by its client, refused, or failed with a code."""
    if not access.isEnabledFor(logging.INFO):
        return
    fields = {
        **_request_fields(request),
        "stream_id": stream.id,
        "endpoint": stream.endpoint,
        "status": status,
        "items": stream.items,
        "first_item_ms": _milliseconds(stream.first_item_seconds),
        "duration_ms": _milliseconds(stream.seconds),
        "end": "ok" if error is None else error.code,
    }
    _log(_line(fields, stream, error), fields)


def log_refusal(request: HttpRequest, status: int, error: StreamError) -> None:
    """Logs a request that reached no endpoint."""
    if not access.isEnabledFor(logging.INFO):
        return
    fields = {**_request_fields(request), "status": status, "end": error.code}
    _log(f"{_asked(fields)} {status} {error.code}", fields)


def _log(line: str, fields: dict[str, Any]) -> None:
    """As `access.info`, without its search of the stack for who calls: that is always here, and every request pays."""
    record = access.makeRecord(access.name, logging.INFO, __file__, 0, line, (), None, "log_stream")
    setattr(record, FIELDS, fields)
    access.handle(record)


def _request_fields(request: HttpRequest) -> dict[str, Any]:
    """What a line says of the request. Never its query: that is where secrets travel."""
    return {
        "method": request.method[:20],
        "path": (request.root_path + request.path)[:VALUE_CHARACTERS],
        "request_id": request.id,
    }


def _asked(fields: dict[str, Any]) -> str:
    return f"{shown(fields['method'])} {shown(fields['path'])}"


def _line(fields: dict[str, Any], stream: Stream, error: StreamError | None) -> str:
    head = f"{_asked(fields)} {stream.id[:8]}"
    if isinstance(error, ClientGone):
        stopping = stream.stop_seconds
        closed = "" if stopping is None else f"; generator closed in {stopping * 1000:.0f}ms"
        return f"{head} stopped by client after {stream.items} items, {stream.seconds:.1f}s{closed}"
    head += f" {fields['status']}"
    if isinstance(error, RequestError):
        return f"{head} {error.code}"
    first = stream.first_item_seconds
    parts = [head] if first is None else [head, f"first {first * 1000:.0f}ms"]
    parts.append(f"{stream.items} items")
    if first is not None and stream.items > 1 and stream.seconds > first:
        parts.append(f"{(stream.items - 1) / (stream.seconds - first):.1f}/s")
    parts.append(f"{stream.seconds:.1f}s")
    parts.append("end" if error is None else f"{shown(str(error.code))}: {shown(redacted(error.message))}")
    return " ".join(parts)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)


def shown(text: str, characters: int = VALUE_CHARACTERS) -> str:
    """The text on one line and without terminal escapes; of a long one its beginning and its end."""
    if len(text) > characters:
        half = characters // 2
        text = f"{text[:half]} ... {text[-half:]}"
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def redacted(text: str) -> str:
    """The text without the credentials in it: of headers and of names that tell one, of `Bearer`, and of URLs.

    Numbers of tokens (`max_tokens=128`) stay, and so do exceptions such as KeyError.
    """
    lowered = text.lower()
    if not any(hint in lowered for hint in _HINTS):
        return text
    for pattern in (_QUERY, _USER_INFO, _HEADER, _NAMED, _BEARER):
        text = pattern.sub(rf"\1{REDACTED}", text)
    return text


class TextFormatter(logging.Formatter):
    """`12:01:07 POST /write s_7Kq2 200 first 84ms 128 items 61.2/s 2.1s end`; other records with their level."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as text; the lines of its traceback are indented."""
        source = "" if hasattr(record, FIELDS) else f" {record.levelname} {record.name}:"
        message = shown(redacted(record.getMessage().strip()), TEXT_CHARACTERS)
        line = f"{_time_of_day(int(record.created))}{source} {message}"
        return "\n  ".join([line, *(shown(each, TEXT_CHARACTERS) for each in self._traceback(record).splitlines())])

    def _traceback(self, record: logging.LogRecord) -> str:
        return _shortened(redacted(self.formatException(record.exc_info))) if record.exc_info else ""


@functools.lru_cache(maxsize=4)
def _time_of_day(second: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(second))


class JsonFormatter(logging.Formatter):
    """One JSON object per line, in ASCII; a traceback is one string in it."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as JSON."""
        document: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _shortened(redacted(record.getMessage())),
            **{name: _safe(value) for name, value in getattr(record, FIELDS, {}).items()},
        }
        if record.exc_info:
            document["traceback"] = _shortened(redacted(self.formatException(record.exc_info)))
        return json.dumps(document, default=str).replace("\x7f", "\\u007f")


def _safe(value: Any) -> Any:
    return redacted(value) if isinstance(value, str) else value


def _shortened(text: str) -> str:
    half = TEXT_CHARACTERS // 2
    return text if len(text) <= TEXT_CHARACTERS else f"{text[:half]}\n...\n{text[-half:]}"
