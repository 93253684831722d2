"""One request, ready to be sent: where, with which headers, and what it asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2

from headrace.client.arguments import Payload, Upload, pack
from headrace.client.timeouts import Timeout
from headrace.wire.formats import FORMATS
from headrace.wire.stream_types import StreamTypes, unknown_types

ANY_STREAM = "application/vnd.headrace.frames, application/x-ndjson;q=0.9, text/event-stream;q=0.8, */*;q=0.5"
WHOLE = "application/octet-stream, application/json;q=0.9"

SMALL = 64 * 1024
"""Bytes of a body that are sent at once, whatever the server thinks of them."""

STREAMING = {row.name: row for row in FORMATS if row.streams and not row.gathers}


@dataclass(frozen=True, slots=True)
class Options:
    """What `with_options` sets. `headers` have their names in lower case.

    Raises:
        ValueError: there is no such format, or a header that HTTP cannot carry.
    """

    timeout: Timeout = field(default_factory=Timeout)
    retries: int = 2
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # keys stand in them
    types: StreamTypes = field(default_factory=unknown_types)
    format: str | None = None
    method: str = "POST"

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in STREAMING:
            raise ValueError(f"there is no format {self.format!r}; there are {', '.join(STREAMING)}")
        if self.retries < 0:
            raise ValueError(f"retries={self.retries}: write 0 for none")
        if not _TOKEN.fullmatch(self.method):
            raise ValueError(f"{self.method!r} is no HTTP method")
        for name, value in self.headers.items():
            if not (_TOKEN.fullmatch(name) and _VALUE.fullmatch(value)):
                raise ValueError(f"the header {name!r} has characters that HTTP cannot carry, a line end perhaps")

    def changed(self, headers: Mapping[str, str] | None, **changes: Any) -> Options:
        """With those that are not None instead; headers are added to those there are."""
        added = {name.lower(): value for name, value in (headers or {}).items()}
        given = {name: value for name, value in changes.items() if value is not None}
        return replace(self, headers={**self.headers, **added}, **given)


@dataclass(frozen=True, slots=True)
class Request:
    """One request. A body that is yet to be made tells its content type when it has been looked at (`Upload.look`)."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    payload: Payload = field(repr=False)

    @property
    def upload(self) -> Upload | None:
        """The body, where it is made while it is sent."""
        return self.payload.content if isinstance(self.payload.content, Upload) else None

    @property
    def large(self) -> bool:
        """The body may still be under way when a server that does not want it answers."""
        return isinstance(self.payload.content, Upload) or len(self.payload.content) > SMALL

    def head(self, total: float | None) -> dict[str, str]:
        """The headers of an attempt that has so many seconds in all."""
        content_type = self.payload.content_type if self.upload is None else self.upload.content_type
        head = dict(self.headers)
        if content_type is not None:
            head.setdefault("content-type", content_type)
        if total is not None:
            head["headrace-timeout"] = f"{max(0.001, total):.3f}"
        return head


def build(base: str, endpoint: str, arguments: Mapping[str, Any], options: Options, *, whole: bool) -> Request:
    """The request for an endpoint of the server at `base`; `whole` asks for the answer in one piece.

    Raises:
        TypeError, ValueError: the endpoint is none, or the arguments cannot be sent. Nothing was sent.
    """
    payload = pack(arguments, options.method)
    url = base + _path(endpoint) + (f"?{payload.query}" if payload.query else "")
    headers = {
        "accept": WHOLE if whole else _accept(options.format),
        # Whoever compresses a stream holds it back.
        "accept-encoding": "identity",
        "user-agent": "headrace-python",
    }
    return Request(options.method, url, {**headers, **options.headers}, payload)


def base_of(url: str) -> str:
    """The server's address as every path is put behind it.

    Raises:
        ValueError: it is no address of an HTTP server.
    """
    example = "write it like http://localhost:8000"
    try:
        parsed = httpx2.URL(url)
    except (httpx2.InvalidURL, TypeError) as error:
        raise ValueError(f"{url!r} is no address of a server: {error}; {example}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(f"{url!r} is no address of a server; {example}")
    if parsed.query or parsed.fragment:
        raise ValueError(f"{url!r} has a query or a fragment, which belong to single requests; {example}")
    return url.rstrip("/?#")


def bearer(api_key: str | None) -> dict[str, str]:
    """The header of an API key.

    Raises:
        ValueError: it cannot stand in a header.
    """
    if api_key is None:
        return {}
    if not api_key or not _VALUE.fullmatch(api_key):
        raise ValueError("the API key is empty or has characters that HTTP cannot carry, a line end perhaps")
    return {"authorization": f"Bearer {api_key}"}


def _accept(format: str | None) -> str:
    return ANY_STREAM if format is None else ", ".join(STREAMING[format].media_types)


def _path(endpoint: str) -> str:
    if not _ENDPOINT.fullmatch(endpoint):
        raise ValueError(
            f"{endpoint!r} is no endpoint: write its name, 'write', or its path, '/v2/write'; arguments are keywords"
        )
    return endpoint if endpoint.startswith("/") else f"/{endpoint}"


_ENDPOINT = re.compile(r"/?[^\s/?#:]+(?:/[^\s/?#]+)*/?|/")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
