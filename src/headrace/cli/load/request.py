"""What the load is made of: one request, as bytes that are sent again and again, and how its answers are read.

An address is the base of an OpenAI API when it has no path, ends with `/v1` or the like, or ends with a route of that
API; every other address is an endpoint's.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeAlias

import httpx2

from headrace.cli.load.chunks import chunk_reader
from headrace.cli.load.reading import Reader, reader_for
from headrace.client.arguments import pack
from headrace.client.request import bearer

Wire: TypeAlias = Literal["sse", "ndjson", "raw"]
Route: TypeAlias = Literal["chat", "completions"]

ROUTES: dict[Route, str] = {"chat": "/chat/completions", "completions": "/completions"}

_ACCEPT = {
    None: "text/event-stream, application/x-ndjson;q=0.9, */*;q=0.5",
    "sse": "text/event-stream",
    "ndjson": "application/x-ndjson",
    "raw": "text/plain, application/octet-stream, */*;q=0.5",
}
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Request:
    """One request, ready to be sent.

    Attributes:
        url: where to; for people.
        data: its head and its body.
        reader: for the headers of a response that is a success; raises WireError where it is no stream.
    """

    url: str
    host: str
    port: int
    tls: bool
    data: bytes = field(repr=False)  # a key stands in it
    reader: Callable[[Mapping[str, str]], Reader]


@dataclass(frozen=True, slots=True)
class Address:
    """Where the load goes.

    Attributes:
        url: of the requests.
        route: which one of the OpenAI API; None: it is an endpoint of its own kind.
    """

    url: httpx2.URL
    route: Route | None

    @property
    def base(self) -> str:
        """Of the OpenAI API, where it is one."""
        return str(self.url).removesuffix(ROUTES[self.route]) if self.route else str(self.url)

    @property
    def local(self) -> bool:
        """Whether it is this machine, by what stands in the address."""
        host = self.url.host.rstrip(".").lower()
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")  # RFC 6761, section 6.3


def address_of(text: str, route: Route | None = None) -> Address:
    """Reads an address.

    Args:
        text: as it was written; without a scheme it is http.
        route: of an OpenAI API whose base `text` then is, whatever it looks like.

    Raises:
        ValueError: it is no address of a server, or has what belongs elsewhere.
    """
    example = "write it like http://localhost:8000 or http://localhost:8000/write"
    try:
        url = httpx2.URL(text if "://" in text else f"http://{text}")
    except httpx2.InvalidURL as error:
        raise ValueError(f"{text!r} is no address: {error}; {example}") from error
    if url.scheme not in _PORTS or not url.host:
        raise ValueError(f"{text!r} is no address of a server; {example}")
    if url.userinfo or url.fragment:
        raise ValueError(f"the address of {url.host} has a user or a fragment in it; {example}, and keys as --api-key")
    path = url.path.rstrip("/")
    told = next((name for name, end in ROUTES.items() if path.endswith(end)), None)
    if told is not None:
        if route not in (None, told):
            raise ValueError(f"{text!r} is the route {told}, and --route says {route}")
        return Address(url.copy_with(path=path), told)
    if route is None and path and not _VERSION.search(path):
        return Address(url, None)
    if url.query:
        raise ValueError(f"{text!r} has a query, which the base of an API has not")
    chosen: Route = route or "chat"
    return Address(url.copy_with(path=(path or "/v1") + ROUTES[chosen]), chosen)


def ask_model(address: Address, members: Mapping[str, Any], api_key: str | None) -> Request:
    """The request for a streamed answer of the OpenAI API.

    Args:
        address: one with a route.
        members: of its body, besides those that make it a stream that tells its tokens.
        api_key: sent as a bearer token.

    Raises:
        TypeError, ValueError: something cannot be sent.
    """
    body = {**members, "stream": True, "stream_options": {"include_usage": True}}
    return _request(address.url, body, _ACCEPT["sse"], api_key, chunk_reader)


def ask_endpoint(address: Address, arguments: Mapping[str, Any], wire: Wire | None, api_key: str | None) -> Request:
    """The request for a stream of an endpoint.

    Args:
        address: of the endpoint.
        arguments: by name.
        wire: the format to ask for; None: any, the cheapest one first.
        api_key: sent as a bearer token.

    Raises:
        TypeError, ValueError: something cannot be sent.
    """
    return _request(address.url, arguments, _ACCEPT[wire], api_key, partial(reader_for, wire=wire))


def _request(
    url: httpx2.URL,
    arguments: Mapping[str, Any],
    accept: str,
    api_key: str | None,
    reader: Callable[[Mapping[str, str]], Reader],
) -> Request:
    body = pack(arguments, "POST").content
    assert isinstance(body, bytes)
    headers = {
        "host": url.netloc.decode("ascii"),
        "accept": accept,
        "accept-encoding": "identity",  # who compresses a stream holds it back
        "user-agent": "headrace-bench",
        "content-type": "application/json",
        "content-length": str(len(body)),
        **bearer(api_key),
    }
    lines = [f"POST {url.raw_path.decode('ascii')} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return Request(str(url), url.host, url.port or _PORTS[url.scheme], url.scheme == "https", head + body, reader)


_VERSION = re.compile(r"/v\d+\Z")
