"""What an upstream says that went wrong, as an error of ours: its status, its message, and when to come back.

A refused key is the operator's, not the caller's: 401 and 403 become 502. Messages are passed on, since they say what
to change, but not the secrets that some of them quote.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias

from headrace.engines.refusals import ContextTooLong, UpstreamFailed, entry
from headrace.errors import InvalidArguments, StreamError

Redact: TypeAlias = Callable[[str], str]

MAX_MESSAGE = 1000
"""Characters of an upstream's message that are passed on."""

_KEPT = (404, 408, 413, 429)  # statuses below 500 that mean the same to our caller
_STATUSES = {  # what failures that are told inside of a stream have instead of a status
    "context_length_exceeded": 400,
    "invalid_request_error": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "overloaded_error": 503,
    "server_overloaded": 503,
}


@dataclass(frozen=True, slots=True)
class Complaint:
    """A failure in the upstream's own words.

    Attributes:
        status: of its answer, or what its code stands for; 502 where neither is known.
        kind: the `type`.
        param: the name of the parameter that it does not like.
        retry_after: seconds.
        final: whether it says that a retry does not help.
    """

    message: str = ""
    status: int = 502
    code: str = ""
    kind: str = ""
    param: str = ""
    retry_after: float | None = None
    final: bool = False

    def error(self, redact: Redact) -> StreamError:
        """The error of a generation that has not begun."""
        if self.status in (401, 403):
            message = f"the model's server refused this server's key (status {self.status}); its operator can mend that"
            return final(UpstreamFailed(message, 502))
        if self._too_long:
            return ContextTooLong(*self._refused(redact, "too_long"))
        if self.status in (400, 422):
            return InvalidArguments(*self._refused(redact, self.code or self.kind or "refused"))
        return self.failure(redact)

    def failure(self, redact: Redact) -> UpstreamFailed:
        """The error of a generation that breaks off."""
        status = self.status if self.status in _KEPT or 500 <= self.status <= 599 else 502
        code = f" ({self.code})" if self.code else ""
        message = redact(self.message) or f"the model's server answered with status {self.status}"
        error = UpstreamFailed(f"{message}{code}", status, self.retry_after)
        helps = self.status in (408, 409, 429) or self.status >= 500
        return error if helps and not self.final else final(error)

    @property
    def _too_long(self) -> bool:
        # vLLM, llama.cpp and others have no code for it, so their message is all that there is to know it by
        said = self.status in (400, 413, 422) and "maximum context length" in self.message
        return self.code in ("context_length_exceeded", "exceed_context_size_error") or said

    def _refused(self, redact: Redact, kind: str) -> tuple[str, list[dict[str, str]]]:
        message = redact(self.message) or "the model's server refused the request"
        return message, [entry(_pointer(self.param), message, kind)]


def told_by_status(status: int, body: Any, headers: Mapping[str, str]) -> Complaint:
    """What an answer complains about that is an error.

    Args:
        status: of the answer.
        body: its JSON, or its text; the member `error` of it will do.
        headers: names in lower case.
    """
    final = headers.get("x-should-retry", "").lower() == "false"
    found = _read(body)
    return Complaint(found.message, status, found.code, found.kind, found.param, _retry_after(headers), final)


def told_in_stream(record: Mapping[str, Any], event: str = "message") -> Complaint | None:
    """What a record of a stream complains about; None: it is no error.

    Args:
        record: its JSON.
        event: its event's name.
    """
    if record.get("error"):
        return _read(record)
    return _read(record) if event == "error" or record.get("object") == "error" else None


def final(error: UpstreamFailed) -> UpstreamFailed:
    """The same error, which a retry does not help."""
    error.retryable = False
    return error


def redaction(keys: Iterable[str]) -> Redact:
    """What takes these keys, and what looks like one, out of a text; and cuts it where it is too long."""
    literal = [key for key in map(str.strip, keys) if len(key) > 3]  # one with a line end is quoted without

    def redact(text: str) -> str:
        for key in literal:
            text = text.replace(key, "[hidden]")
        text = _SECRETS.sub("[hidden]", text)
        return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}..."

    return redact


_SECRETS = re.compile(
    r"\b(?:sk|pk|gsk|xai|org|proj|key)[-_](?=[\w*.-]*[\d*])[\w*.-]{6,}"  # keys, and whose they are, also half hidden
    r"|\beyJ[\w-]{8,}(?:\.[\w-]+)*"  # tokens of Entra and others (RFC 7519)
    r"|(?<=://)[^/\s@]+(?=@)"
)


def _read(body: Any) -> Complaint:
    """Of the forms that are in use: `{"error": {...}}` of OpenAI, `{"detail": ...}` of FastAPI, text, and more."""
    if isinstance(body, Mapping) and body.get("error"):
        body = body["error"]
    if not isinstance(body, Mapping):
        return Complaint(body.strip() if isinstance(body, str) else "")
    message = body.get("message") or body.get("detail") or body.get("error") or ""
    message = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
    code, kind, param = (_text(body.get(name)) for name in ("code", "type", "param"))
    return Complaint(message, _status(body.get("code"), code, kind), code, kind, param)


def _status(number: Any, code: str, kind: str) -> int:
    if isinstance(number, int) and 400 <= number <= 599:
        return number
    return _STATUSES.get(code) or _STATUSES.get(kind) or 502


def _retry_after(headers: Mapping[str, str]) -> float | None:
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        if _NUMBER.fullmatch(value := headers.get(name, "").strip()):
            return float(value) / unit
    try:  # a date means something beside the date of the answer, which is of the same clock
        later, now = (parsedate_to_datetime(headers[name]) for name in ("retry-after", "date"))
        return max(0.0, (later - now).total_seconds())
    except (KeyError, ValueError, TypeError):
        return None


_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


def _pointer(param: str) -> str:
    """`messages[0].role` as a JSON pointer."""
    parts = [part for part in re.split(r"[.\[\]/]+", param) if part]
    return "".join(f"/{part}" for part in parts)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else ""
