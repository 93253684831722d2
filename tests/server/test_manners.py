"""How a request is read, and what by that is decided of its answer."""

from typing import Any

import pytest
from asgi import Call
from shouting import Shouts, Word

from headrace.config import Settings
from headrace.errors import InvalidArguments, InvalidItem, MalformedBody, NotAcceptable
from headrace.server.inbox import Inbox
from headrace.server.manners import manner
from headrace.server.request import HttpRequest
from headrace.server.routes import Routes
from headrace.services.definition import define
from headrace.wire.dialect import UNDECIDED, Answer
from headrace.wire.events import End
from headrace.wire.text import TextEncoder

ROUTES = Routes(define(Shouts).endpoints)


async def read(method: str, path: str, body: bytes = b"", **headers: str) -> tuple[Any, Answer]:
    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    call = Call(None, method, path, pieces=[body], headers={"content-type": "application/json", **headers})
    route = ROUTES.find(path)
    assert route is not None
    return await manner(HttpRequest(call.scope), route, Settings()).read(Inbox(receive, 5))


async def test_accept_chooses_headraces_own_formats() -> None:
    arguments, answer = await read("POST", "/whisper", b'{"say": "rain"}', accept="text/plain")
    assert arguments == {"say": "rain"}
    assert (type(answer.encoder), answer.content_type) == (TextEncoder, "text/plain; charset=utf-8")
    assert not answer.gathers


async def test_an_accept_without_a_format_is_refused_before_anything_is_read() -> None:
    route = ROUTES.find("/whisper")
    assert route is not None
    request = HttpRequest(Call(None, "POST", "/whisper", headers={"accept": "image/png"}).scope)
    with pytest.raises(NotAcceptable):
        manner(request, route, Settings())


@pytest.mark.parametrize(("whole", "end"), [(True, b'{"said": "RAIN"}'), (False, b".\n")])
async def test_what_is_asked_for_decides_in_a_dialect(whole: bool, end: bytes) -> None:
    body = b'{"say": "rain", "whole": %b}' % str(whole).lower().encode()
    arguments, answer = await read("POST", "/shout", body, accept="image/png")
    assert (arguments, answer.gathers) == ({"say": "rain", "whole": whole}, whole)
    answer.encoder.item(Word("rain"))
    assert answer.encoder.end(End(1)) == end
    with pytest.raises(InvalidItem):
        answer.encoder.item("rain")


async def test_a_dialect_gets_the_parts_of_the_path_and_of_a_get_no_body() -> None:
    arguments, _ = await read("GET", "/voices/alto", b"[" * 1000)
    assert arguments == {"voice": "alto"}


@pytest.mark.parametrize("body", [b"[" * 65 + b"]" * 65, b'{"say": NaN}', b'{"say": "a", "x": -Infinity}'])
async def test_json_that_nobody_should_send_does_not_reach_a_dialect(body: bytes) -> None:
    with pytest.raises(MalformedBody, match=r"^the body is not JSON: "):
        await read("POST", "/shout", body)


async def test_what_a_dialect_refuses_is_refused() -> None:
    with pytest.raises(InvalidArguments, match="say must be a text"):
        await read("POST", "/shout", b'{"say": 5}')


def test_a_format_is_decided_by_the_head_and_a_dialect_by_its_arguments() -> None:
    whisper, shout = ROUTES.find("/whisper"), ROUTES.find("/shout")
    assert whisper is not None
    assert shout is not None
    request = HttpRequest(Call(None, "POST", "/whisper", headers={"accept": "text/plain"}).scope)
    assert type(manner(request, whisper, Settings()).decided.encoder) is TextEncoder
    assert manner(request, shout, Settings()).decided is UNDECIDED
