"""What both drivers do with the HTTP library: its clients as we use them, requests for it, and heads from it.

It follows no redirect (a stream's request is not to be repeated elsewhere unasked), has no timeouts of its own (each
request brings them), and any number of connections: every stream holds one, and the caller holds the streams.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any

import httpx2

from headrace.client.request import base_of
from headrace.client.steps import Head, Send

LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=5.0)

IN_PROCESS = "http://localhost"
"""The server's name where there is no server."""


def blocking(url: str, transport: httpx2.BaseTransport | None, verify: ssl.SSLContext | bool) -> httpx2.Client:
    """The library's client for code without an event loop."""
    return httpx2.Client(transport=transport, limits=LIMITS, verify=_verify(url, verify))


def asynchronous(
    url: str, transport: httpx2.AsyncBaseTransport | None, verify: ssl.SSLContext | bool
) -> httpx2.AsyncClient:
    """The library's client for async code."""
    return httpx2.AsyncClient(transport=transport, limits=LIMITS, verify=_verify(url, verify))


def address(url: str | None, app: Any, transport: Any) -> str:
    """The base of all requests.

    Raises:
        ValueError: it is none, or nothing says who answers, or two things do.
    """
    if app is not None and transport is not None:
        raise ValueError("an app and a transport were given; one of them answers")
    if url is None and app is None and transport is None:
        raise ValueError("who answers? Give the server's address, Client('http://localhost:8000'), or app=...")
    return base_of(IN_PROCESS if url is None else url)


def outgoing(send: Send, pieces: Iterable[bytes] | AsyncIterable[bytes] | None) -> httpx2.Request:
    """The library's request; `pieces` are the body that is made while it is sent."""
    request = send.request
    content = request.payload.content if isinstance(request.payload.content, bytes) else b""
    return httpx2.Request(
        request.method,
        request.url,
        headers=dict(send.headers),
        content=content if pieces is None else pieces,
        extensions={"timeout": send.remaining},
    )


def incoming(response: httpx2.Response) -> Head:
    """The head of the library's response."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Head(response.status_code, headers, _framed(response.extensions.get("http_version"), headers))


def _framed(http_version: bytes | None, headers: Mapping[str, str]) -> bool:
    """Whether the end of a body can be told from a cut (RFC 9112, section 6.3).

    A body that lasts until the connection closes has none. None for the version: no connection is involved.
    """
    if http_version not in (b"HTTP/1.0", b"HTTP/1.1"):
        return True
    return "content-length" in headers or "chunked" in headers.get("transfer-encoding", "").lower()


def _verify(url: str, verify: ssl.SSLContext | bool) -> ssl.SSLContext | bool:
    # Loading the certificates takes longer than most first requests, and plain HTTP has no use for them.
    return verify if url.startswith("https:") else False
