"""The request's body to an endpoint's arguments. What cannot be one is refused with an answer that says what can."""

from __future__ import annotations

import json
import shlex
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlencode

from headrace.errors import (
    BodyTooLarge,
    InvalidArguments,
    InvalidItem,
    MalformedBody,
    RecordTooLarge,
    UnsupportedMediaType,
    WireError,
)
from headrace.server.inbox import Inbox
from headrace.server.request import HttpRequest
from headrace.server.routes import Route
from headrace.services.arguments import BodyParameter, refuse_unsafe
from headrace.wire.codec import Codec
from headrace.wire.dialect import Dialect
from headrace.wire.lines import Lines

EXAMPLE_CHARACTERS = 300

LINES = ("application/x-ndjson", "application/jsonl")


def check_head(request: HttpRequest, route: Route, limit: int) -> None:
    """Refuses by the head alone what can be refused by it.

    Raises:
        BodyTooLarge: the declared length is over the limit.
        UnsupportedMediaType: not a body that this endpoint takes.
    """
    body = route.endpoint.body
    streamed = body is not None and body.items is not None
    if request.content_length > limit and not streamed:
        raise BodyTooLarge(f"the body is {request.content_length} bytes and this server takes {limit}")
    coding = request.headers.get("content-encoding", "identity").lower()
    if coding != "identity":
        raise UnsupportedMediaType(f"the body is encoded with {coding[:40]!r}; send it as it is")
    if request.has_body and request.method != "GET":
        _check_media_type(request, route)


def _check_media_type(request: HttpRequest, route: Route) -> None:
    endpoint, media_type = route.endpoint, request.media_type
    body = endpoint.body
    if body is None and not (media_type == "application/json" or media_type.endswith("+json")):
        works = command(request, route)
        raise UnsupportedMediaType(
            f"HR14 {_said(media_type)}; {endpoint.label} takes its arguments as application/json: {works}"
        )
    if body is not None and body.items is not None and body.items.kind != "bytes" and media_type not in LINES:
        raise UnsupportedMediaType(
            f"HR14 {_said(media_type)}; {endpoint.label} reads {body.name} from {LINES[0]}, one item per line"
        )


def _said(media_type: str) -> str:
    return f"the body is {media_type[:80]}" if media_type else "the body has no content type"


def command(request: HttpRequest, route: Route) -> str:
    """The curl line that works. `--json` alone would ask for JSON, which a stream gathers: it streams with `*/*`."""
    endpoint, known = route.endpoint, route.known()
    url = request.base_url + endpoint.example_path(known)
    body = endpoint.body
    example = endpoint.example(known)
    method = "POST" if "POST" in endpoint.methods else endpoint.methods[0]
    if (body is not None or method == "GET") and example:
        url += "?" + urlencode({name: each if isinstance(each, str) else _json(each) for name, each in example.items()})
    line = f"curl -N {shlex.quote(url)}"
    if body is not None:
        kind = "application/octet-stream" if body.items is None or body.items.kind == "bytes" else LINES[0]
        return f"{line} -T FILE -X {method} -H 'content-type: {kind}'"
    if method == "GET":
        return line
    text = _json(example)
    sent = shlex.quote(text) if len(text) <= EXAMPLE_CHARACTERS else "@arguments.json"
    accept = " -H 'accept: */*'" if endpoint.streams and endpoint.dialect is None else ""
    return f"{line} --json {sent}{accept}" + ("" if method == "POST" else f" -X {method}")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


async def read_arguments(request: HttpRequest, route: Route, inbox: Inbox, limit: int) -> dict[str, Any]:
    """The endpoint's arguments, checked. Parameters that stream the body come as iterators over what is yet to arrive.

    Raises:
        RequestError: one of its kinds, for everything that does not fit.
        ClientGone: the client left while it was sending.
    """
    arguments = route.endpoint.arguments
    body = arguments.body
    values = arguments.from_path(route.parts)
    if body is None and request.method != "GET":
        return {**values, **arguments.from_json(await _json_body(request, route, inbox, limit))}
    values |= arguments.from_query(request.query)
    if body is not None:
        values[body.name] = await _body(body, inbox, limit)
    return values


async def read_dialect(
    request: HttpRequest, route: Route, dialect: Dialect, inbox: Inbox, limit: int
) -> Mapping[str, Any]:
    """The arguments as the endpoint's dialect reads them; raises as `read_arguments`."""
    data = b"" if request.method == "GET" else await _json_body(request, route, inbox, limit)
    refuse_unsafe(data)
    return dialect.read(data, route.parts)


async def _json_body(request: HttpRequest, route: Route, inbox: Inbox, limit: int) -> bytes:
    data = await inbox.body(limit)
    if data and not request.has_body:  # HTTP/2 and 3 need not announce a body
        _check_media_type(request, route)
    return data


async def _body(body: BodyParameter, inbox: Inbox, limit: int) -> Any:
    if body.items is None:
        return await inbox.body(limit)
    if body.items.kind == "bytes":
        return inbox.chunks()
    return _items(body.items, inbox, limit)


async def _items(codec: Codec, inbox: Inbox, limit: int) -> AsyncIterator[Any]:
    """The items of an NDJSON body, each as soon as its line is complete."""
    lines = Lines(limit)
    number = 0
    try:
        async for chunk in inbox.chunks():
            for line in lines.read(chunk):
                number += 1
                if line.strip():
                    yield _item(codec, line, number)
        for line in lines.read(b"\n") if lines.unfinished else ():
            yield _item(codec, line, number + 1)
    except RecordTooLarge as error:
        raise BodyTooLarge(f"the body has {error}") from error


def _item(codec: Codec, line: bytes, number: int) -> Any:
    try:
        return codec.loads(line)
    except WireError as error:
        raise MalformedBody(f"line {number} of the body is not JSON: {error}") from error
    except InvalidItem as error:
        raise InvalidArguments(
            f"line {number} of the body: {error.message}",
            [{"pointer": f"/{number - 1}", "detail": error.message, "type": error.code}],
        ) from error
