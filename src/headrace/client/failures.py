"""What went wrong, as errors of our tree: refusals by a server, ours or another's, and what the transport raises.

Foreign errors are translated here and nowhere else. What the caller cannot act on is not told apart.
"""

from __future__ import annotations

import re
import ssl

import httpx2

from headrace.client.steps import Head
from headrace.errors import (
    BodyTooLarge,
    ConnectionFailed,
    FirstItemTimeout,
    HeadTooLarge,
    InternalError,
    InvalidArguments,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    Overloaded,
    RateLimited,
    RequestError,
    RequestTimeout,
    StreamError,
    Unauthorized,
    UnsupportedMediaType,
    WireError,
    WorkerLost,
    received,
)
from headrace.wire.endings import read_object

MAX_REFUSAL = 256 * 1024
"""Bytes of a refusal that are read."""

QUOTED = 200
"""Characters of a foreign body that stand in a message."""

# What a status means that comes without a code: from a proxy, or a server of another kind.
_FOREIGN: dict[int, type[StreamError]] = {
    401: Unauthorized,
    404: NotFound,
    405: MethodNotAllowed,
    406: NotAcceptable,
    408: RequestTimeout,
    413: BodyTooLarge,
    415: UnsupportedMediaType,
    422: InvalidArguments,
    429: RateLimited,
    431: HeadTooLarge,
    502: WorkerLost,
    503: Overloaded,
    504: FirstItemTimeout,
}


def refusal(head: Head, body: bytes, url: str) -> StreamError:
    """The error of an answer that is no success."""
    try:
        members = read_object(body, "problem document")
    except WireError:
        members = {}
    code, detail = members.get("code"), members.get("detail") or members.get("title")
    if isinstance(code, str) and code:
        return received(code, detail if isinstance(detail, str) else "", members, head.headers)
    kind = _FOREIGN.get(head.status, RequestError if 400 <= head.status < 500 else InternalError)
    error = received(kind.code, _foreign(head, body, url), members, head.headers)
    if 400 <= head.status <= 599:
        error.status = head.status
    return error


def _foreign(head: Head, body: bytes, url: str) -> str:
    location = head.headers.get("location")
    if 300 <= head.status < 400 and location:
        return f"{url} answers {head.status} and sends on to {location[:QUOTED]}; use that address"
    text = body.decode("utf-8", "replace")
    if "html" in head.headers.get("content-type", ""):
        text = _TAG.sub(" ", text)
    text = " ".join(text.split())
    quoted = text if len(text) <= QUOTED else text[:QUOTED] + " ..."
    return f"{url} answers {head.status}" + (f": {quoted}" if quoted else "")


_TAG = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)


def before_the_head(
    error: httpx2.TransportError, url: str, connect: float | None, *, body: bool = False
) -> ConnectionFailed:
    """The error of a request that got no answer.

    Args:
        error: the transport's.
        url: where it was sent.
        connect: seconds that connecting had.
        body: there was a body, which the server may have refused before it was through.
    """
    address = _address(url)
    match error:
        case httpx2.ConnectTimeout() | httpx2.PoolTimeout():
            within = "in time" if connect is None else f"within {connect:g} s"
            return ConnectionFailed(f"no connection to {address} {within}: is it the right address, and a way there?")
        case httpx2.ConnectError() if isinstance(tls := _root(error), ssl.SSLError):
            return _final(f"no secure connection to {address}: {_reason(tls)}; is it https, with a valid certificate?")
        case httpx2.ConnectError():
            asked = "is the address right, and the server running?"
            root = _root(error)
            reason = _reason(root if isinstance(root, OSError) else error)  # "all attempts failed" says too little
            return ConnectionFailed(f"cannot connect to {address}: {reason}; {asked}")
        case httpx2.ProxyError():
            return ConnectionFailed(f"the proxy on the way to {address} fails: {_reason(error)}")
        case httpx2.LocalProtocolError() | httpx2.UnsupportedProtocol():
            return _final(f"the request to {address} is none that HTTP can carry: {_reason(error)}")
        case httpx2.RemoteProtocolError() if "disconnected" not in str(error):
            return _final(f"what answers at {address} is not HTTP as it should be: {_reason(error)}")
    perhaps = "; it may have refused the body, for its size for instance" if body else ""
    return ConnectionFailed(f"{address} closed the connection before it answered{perhaps}")


def _final(message: str) -> ConnectionFailed:
    """One that no retry helps."""
    error = ConnectionFailed(message)
    error.retryable = False
    return error


def _address(url: str) -> str:
    parsed = httpx2.URL(url)
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii', 'replace').rpartition('@')[2]}"


def _root(error: BaseException) -> BaseException:
    """The first cause, which the library's own errors carry along."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


def _reason(error: BaseException) -> str:
    text = str(error).partition("\n")[0]
    return text or type(error).__name__
