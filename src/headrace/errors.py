"""Every error of headrace, in one tree. Each class owns its wire code, its HTTP status and whether a retry helps.

    HeadraceError
    ├── StreamError                 a stream that did not complete; subclass it for errors of your own
    │   ├── InternalError           internal             500
    │   ├── InvalidItem             invalid_item         500
    │   ├── MissingHeader           missing_header       500
    │   ├── MissingFooter           missing_footer       500
    │   ├── OutOfOrder              out_of_order         500
    │   ├── AnswerTooLarge          answer_too_large     500
    │   ├── FirstItemTimeout        timeout_first_item   504  retryable
    │   ├── ItemTimeout             timeout_item         504  retryable
    │   ├── DeadlineExceeded        deadline_exceeded    504
    │   ├── Cancelled               cancelled            499
    │   │   └── ClientGone          cancelled            499
    │   ├── SlowReader              slow_reader          408
    │   ├── Overloaded              overloaded           503  retryable
    │   │   └── RateLimited         rate_limited         429  retryable
    │   ├── WorkerLost              worker_lost          502  retryable
    │   ├── ShuttingDown            shutting_down        503  retryable
    │   ├── ResumeLost              resume_lost          410
    │   ├── StreamTruncated         truncated            502  (made by readers: the ending never came)
    │   ├── ConnectionFailed        connection_failed    502  retryable  (made by clients: no answer began)
    │   ├── UpstreamFailed          upstream_failed      502  (of the model behind; `headrace.engines.refusals`)
    │   └── RequestError            a request refused before any of the user's code ran
    │       ├── AmbiguousRequest    ambiguous_request    400
    │       ├── MalformedBody       malformed_body       400
    │       ├── Unauthorized        unauthorized         401
    │       ├── ForbiddenHost       forbidden_host       403
    │       ├── ForbiddenOrigin     forbidden_origin     403
    │       ├── NotFound            not_found            404
    │       ├── MethodNotAllowed    method_not_allowed   405
    │       ├── NotAcceptable       not_acceptable       406
    │       ├── RequestTimeout      request_timeout      408
    │       ├── BodyTooLarge        body_too_large       413
    │       ├── UnsupportedMediaType unsupported_media_type 415
    │       ├── InvalidArguments    invalid_arguments    422
    │       │   ├── ContextTooLong  context_length_exceeded 422  (`headrace.engines.refusals`)
    │       │   └── ModelNotFound   model_not_found      404  (`headrace.openai.refusals`)
    │       └── HeadTooLarge        head_too_large       431
    ├── WireError                   bytes that are not of the format; raised by decoders
    │   └── RecordTooLarge          a line, an event or a frame above the limit
    ├── SetupError                  the service could not be started; its __cause__ is the user's own error
    ├── DefinitionError             mistakes in the user's code, all of them, each with a code (HRnn)
    ├── ConfigError                 a setting that does not exist, or a wrong value (`headrace.config`)
    ├── NoRequest                   `context` was read outside a request (`headrace.services.context`)
    ├── NoInstance                  a mounted app's method was called without its service (`headrace.server.app_routes`)
    ├── Unfinished                  a mounted app returned in the middle of a response (`headrace.server.asgi_mount`)
    ├── InvalidCheckpoint           a model's file cannot be run (`headrace.engines.tiny.checkpoint`)
    └── ResponseAborted             the connection is cut to tell a failure (`headrace.server.response`)

`status` is what an HTTP client sees when nothing of the stream was sent yet; later the code travels inside the stream
(`docs/wire-format.md`). Codes are part of the wire format and never change meaning. `received` makes the errors of the
tree again from what the wire told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self


class HeadraceError(Exception):
    """Everything that headrace raises on purpose."""


class StreamError(HeadraceError):
    """A stream that did not complete.

    Subclass it to give an error of your own a code, a status and a message that clients may see:

        class ModelBusy(StreamError):
            code = "model_busy"
            status = 429
            retryable = True

    Any other exception reaches clients as `internal`, without its text.

    In a client, `stream_id` and `items_sent` say which stream it was and how many items came before.
    """

    code: str = "stream_error"
    status: int = 500
    retryable: bool = False
    stream_id: str = ""
    items_sent: int = 0

    def __init__(self, message: str = "") -> None:
        super().__init__(message or type(self).default_message())

    @property
    def message(self) -> str:
        """The text that clients see."""
        return str(self.args[0])

    @property
    def headers(self) -> Mapping[str, str]:
        """Extra response headers when this error becomes a status (`Allow`, `Retry-After`, ...)."""
        return {}

    @property
    def members(self) -> Mapping[str, Any]:
        """Extra members of the problem document (RFC 9457, section 3.2)."""
        return {}

    @classmethod
    def default_message(cls) -> str:
        """The first line of the class's docstring: what happened, for a reader who knows nothing else."""
        return (cls.__doc__ or cls.code).strip().splitlines()[0]

    @classmethod
    def rebuild(cls, message: str, members: Mapping[str, Any], headers: Mapping[str, str]) -> Self:
        """The error again, in a client, from what the wire told of it; a class with more to tell extends this.

        The arguments of a class's own `__init__` did not travel, so it is not called. Nothing in the members and the
        headers (names in lower case) can be relied on.
        """
        error = cls.__new__(cls)
        StreamError.__init__(error, message)
        return error


class InternalError(StreamError):
    """The service failed; the reason is in its log."""

    code = "internal"


class InvalidItem(StreamError):
    """The service yielded something that this stream cannot carry."""

    code = "invalid_item"


class MissingHeader(StreamError):
    """The stream declares a header and its first event was something else."""

    code = "missing_header"


class MissingFooter(StreamError):
    """The stream declares a footer and ended without one."""

    code = "missing_footer"


class OutOfOrder(StreamError):
    """An event came where the order of events does not allow it."""

    code = "out_of_order"


class AnswerTooLarge(StreamError):
    """The gathered answer passed its limit; ask for a streaming format."""

    code = "answer_too_large"


class FirstItemTimeout(StreamError):
    """The first item did not come in time."""

    code = "timeout_first_item"
    status = 504
    retryable = True


class ItemTimeout(StreamError):
    """The next item did not come in time."""

    code = "timeout_item"
    status = 504
    retryable = True


class DeadlineExceeded(StreamError):
    """The stream was not complete at its deadline."""

    code = "deadline_exceeded"
    status = 504


class Cancelled(StreamError):
    """The stream was stopped."""

    code = "cancelled"
    status = 499


class ClientGone(Cancelled):
    """The client left before the stream was complete."""


class SlowReader(StreamError):
    """The client did not read for longer than the write timeout."""

    code = "slow_reader"
    status = 408


class Overloaded(StreamError):
    """The service has no place left; try again later."""

    code = "overloaded"
    status = 503
    retryable = True

    def __init__(self, message: str = "", retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after  # seconds

    @property
    def headers(self) -> Mapping[str, str]:
        """`Retry-After`, in seconds."""
        return {"retry-after": str(self.retry_after)}

    @classmethod
    def rebuild(cls, message: str, members: Mapping[str, Any], headers: Mapping[str, str]) -> Self:
        """With the seconds of `Retry-After`."""
        error = super().rebuild(message, members, headers)
        error.retry_after = _seconds(headers.get("retry-after", ""))
        return error


class RateLimited(Overloaded):
    """This key asks for more than its share; try again later."""

    code = "rate_limited"
    status = 429


class WorkerLost(StreamError):
    """The process that made this stream is gone."""

    code = "worker_lost"
    status = 502
    retryable = True


class ShuttingDown(StreamError):
    """The server is shutting down; another one can answer."""

    code = "shutting_down"
    status = 503
    retryable = True


class ResumeLost(StreamError):
    """The stream can no longer be resumed from the position asked for."""

    code = "resume_lost"
    status = 410


class StreamTruncated(StreamError):
    """The stream was cut: neither its end nor a failure arrived."""

    code = "truncated"
    status = 502


class ConnectionFailed(StreamError):
    """The server could not be reached, or the connection broke before it answered."""

    code = "connection_failed"
    status = 502
    retryable = True


class RequestError(StreamError):
    """A request that was refused before any of the service's own code ran."""

    code = "bad_request"
    status = 400


class AmbiguousRequest(RequestError):
    """The request is not valid HTTP, or can be read in two ways."""

    code = "ambiguous_request"


class MalformedBody(RequestError):
    """The body is not what its content type says."""

    code = "malformed_body"


class Unauthorized(RequestError):
    """This server asks for an API key."""

    code = "unauthorized"
    status = 401

    @property
    def headers(self) -> Mapping[str, str]:
        """`WWW-Authenticate`, as RFC 9110 section 11.6.1 asks of a 401."""
        return {"www-authenticate": "Bearer"}


class ForbiddenHost(RequestError):
    """This server does not answer under the name that the request calls it."""

    code = "forbidden_host"
    status = 403


class ForbiddenOrigin(RequestError):
    """Pages of this origin may not open a WebSocket here."""

    code = "forbidden_origin"
    status = 403


class NotFound(RequestError):
    """There is nothing at this path."""

    code = "not_found"
    status = 404


class MethodNotAllowed(RequestError):
    """The endpoint does not take this method."""

    code = "method_not_allowed"
    status = 405

    def __init__(self, message: str, allowed: Sequence[str]) -> None:
        super().__init__(message)
        self.allowed = tuple(allowed)

    @property
    def headers(self) -> Mapping[str, str]:
        """`Allow`, as RFC 9110 section 15.5.6 asks of a 405."""
        return {"allow": ", ".join(self.allowed)}

    @classmethod
    def rebuild(cls, message: str, members: Mapping[str, Any], headers: Mapping[str, str]) -> Self:
        """With the methods of `Allow`."""
        error = super().rebuild(message, members, headers)
        error.allowed = tuple(method for part in headers.get("allow", "").split(",") if (method := part.strip()))
        return error


class NotAcceptable(RequestError):
    """The endpoint cannot answer in any of the accepted media types."""

    code = "not_acceptable"
    status = 406

    def __init__(self, message: str, available: Sequence[str]) -> None:
        super().__init__(message)
        self.available = tuple(available)

    @property
    def members(self) -> Mapping[str, Any]:
        """The media types that would have worked."""
        return {"available": list(self.available)}

    @classmethod
    def rebuild(cls, message: str, members: Mapping[str, Any], headers: Mapping[str, str]) -> Self:
        """With the media types that would have worked."""
        error = super().rebuild(message, members, headers)
        error.available = tuple(each for each in _listed(members, "available") if isinstance(each, str))
        return error


class RequestTimeout(RequestError):
    """The request did not arrive in time."""

    code = "request_timeout"
    status = 408

    @property
    def headers(self) -> Mapping[str, str]:
        """`Connection: close`: what else comes on the connection is the rest of this request."""
        return {"connection": "close"}


class BodyTooLarge(RequestError):
    """The request body is larger than this server takes."""

    code = "body_too_large"
    status = 413


class UnsupportedMediaType(RequestError):
    """The endpoint does not take a body of this content type."""

    code = "unsupported_media_type"
    status = 415


class InvalidArguments(RequestError):
    """The arguments do not fit the endpoint's parameters.

    `errors` has one entry per error: `pointer` (RFC 6901, into the body), `detail`, `type`. `example` is a body that
    works.
    """

    code = "invalid_arguments"
    status = 422

    def __init__(self, message: str, errors: Sequence[Mapping[str, str]], example: Any = None) -> None:
        super().__init__(message)
        self.errors = tuple(errors)
        self.example = example

    @property
    def members(self) -> Mapping[str, Any]:
        """A pointer per error, and a body ready to send."""
        return {"errors": [dict(error) for error in self.errors], "example": self.example}

    @classmethod
    def rebuild(cls, message: str, members: Mapping[str, Any], headers: Mapping[str, str]) -> Self:
        """With the pointers and the example."""
        error = super().rebuild(message, members, headers)
        entries = (each for each in _listed(members, "errors") if isinstance(each, dict))
        error.errors = tuple({str(name): str(value) for name, value in entry.items()} for entry in entries)
        error.example = members.get("example")
        return error


class HeadTooLarge(RequestError):
    """The head of the request is larger than this server takes."""

    code = "head_too_large"
    status = 431


def received(
    code: str, message: str = "", members: Mapping[str, Any] = {}, headers: Mapping[str, str] = {}
) -> StreamError:
    """The error that the wire told: of the class with this code, the user's own classes included.

    Of several classes with one code it is the most general. A code that no class has makes a `StreamError` with the
    code and, where they were told, the status and whether a retry helps.

    Args:
        code: what every failure has.
        message: for people; the class's own where it is empty.
        members: those of the problem document, or of the failure in the stream.
        headers: those of the response, with names in lower case.
    """
    found = _class_of(code)
    error = (found or StreamError).rebuild(message, members, headers)
    if found is None:
        status, retryable = members.get("status"), members.get("retryable")
        error.code = code
        error.status = status if type(status) is int and 400 <= status <= 599 else StreamError.status
        error.retryable = retryable is True
    stream_id, items_sent = members.get("stream_id"), members.get("items_sent")
    error.stream_id = stream_id if isinstance(stream_id, str) else ""
    error.items_sent = items_sent if type(items_sent) is int else 0
    return error


def _class_of(code: str) -> type[StreamError] | None:
    level: list[type[StreamError]] = [StreamError]
    while level:
        for kind in level:
            if kind.code == code:
                return kind
        level = [child for kind in level for child in kind.__subclasses__()]
    return None


def _seconds(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 1


def _listed(members: Mapping[str, Any], name: str) -> list[Any]:
    value = members.get(name)
    return value if isinstance(value, list) else []


class WireError(HeadraceError):
    """Bytes that are not of the format they should be."""


class RecordTooLarge(WireError):
    """One line, event or frame is larger than the reader allows; nothing of it was kept."""


class SetupError(HeadraceError):
    """The service could not be started. The cause is the user's own error.

    `step` is what raised it: `__init__` or `on_start`; empty when neither did.
    """

    def __init__(self, message: str = "", step: str = "") -> None:
        super().__init__(message)
        self.step = step


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the user's code a mistake is: a line, and the column its caret points at (1-based; 0: no caret)."""

    file: str
    line: int
    text: str = ""
    column: int = 0


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in the user's code: what is wrong, where, why it matters and what to write instead."""

    code: str
    what: str
    place: Place | None = None
    why: str = ""
    fix: str = ""

    def __str__(self) -> str:
        lines = [f"{self.code} {self.what}"]
        if self.place is not None:
            lines.append(f"  {self.place.file}:{self.place.line}")
            if self.place.text:
                lines.append(f"    {self.place.text}")
                if self.place.column:
                    lines.append("    " + " " * (self.place.column - 1) + "^")
        if self.why:
            lines.append(f"  {self.why}")
        lines += [
            f"  fix: {line}" if number == 0 else f"       {line}" for number, line in enumerate(self.fix.splitlines())
        ]
        return "\n".join(lines)


class DefinitionError(HeadraceError):
    """Mistakes in the definition of a service, all of them together."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = tuple(mistakes)
