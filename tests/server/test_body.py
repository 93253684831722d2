"""From a body to arguments, and refusals that say what would work."""

from collections.abc import Mapping
from typing import Any

import pytest
from asgi import Call, ask

from headrace.server.app import Application
from headrace.server.body import command
from headrace.server.request import HttpRequest
from headrace.server.routes import Routes

JSON = {"content-type": "application/json"}


def line(app: Application, name: str, known: Mapping[str, Any] = {}, **scope: Any) -> str:
    route = Routes(app.runtime.definition.endpoints, lambda: known).find(f"/{name}")
    assert route is not None
    scope = {"method": "POST", "path": "/", "headers": [], "server": ("127.0.0.1", 8000), **scope}
    return command(HttpRequest(scope), route)


def test_the_command_that_works_sends_an_example(app: Application) -> None:
    assert line(app, "add") == 'curl -N http://127.0.0.1:8000/add --json \'{"a": 1, "b": 1}\''
    assert line(app, "put") == 'curl -N http://127.0.0.1:8000/put --json \'{"name": "text"}\' -X PUT'


def test_the_command_for_a_body_names_a_file_and_has_the_query(app: Application) -> None:
    octets = "-T FILE -X POST -H 'content-type: application/octet-stream'"
    assert line(app, "length") == f"curl -N http://127.0.0.1:8000/length {octets}"
    assert line(app, "named") == f"curl -N 'http://127.0.0.1:8000/named?name=text&times=1' {octets}"
    ndjson = "-T FILE -X POST -H 'content-type: application/x-ndjson'"
    assert line(app, "sum") == f"curl -N http://127.0.0.1:8000/sum {ndjson}"


def test_what_the_service_knows_to_work_stands_in_the_command(app: Application) -> None:
    known = {"times": 7, "b": 2, "topic": "rain"}
    assert line(app, "add", known) == 'curl -N http://127.0.0.1:8000/add --json \'{"a": 1, "b": 2}\''
    assert line(app, "named", known).startswith("curl -N 'http://127.0.0.1:8000/named?name=text&times=7' ")


def test_the_command_leads_below_the_mount(app: Application) -> None:
    assert line(app, "add", root_path="/desk").startswith("curl -N http://127.0.0.1:8000/desk/add ")


async def test_a_length_over_the_limit_is_413_and_nothing_is_read(new_app: Any) -> None:
    app = new_app(max_body=10)
    async with app.runtime:
        call = await ask(app, "POST", "/add", pieces=[b"x" * 11], headers=JSON)
        assert (call.status, call.document["code"], call.received) == (413, "body_too_large", 0)


async def test_a_body_without_a_length_is_413_at_the_limit(new_app: Any) -> None:
    app = new_app(max_body=10)
    async with app.runtime:
        headers = {**JSON, "transfer-encoding": "chunked", "content-length": "0"}
        call = await ask(app, "POST", "/add", pieces=[b"x" * 6] * 1000, headers=headers)
        assert (call.status, call.received) == (413, 2)


async def test_a_streamed_body_may_be_longer_than_the_limit(new_app: Any) -> None:
    app = new_app(max_body=10)
    async with app.runtime:
        call = await ask(app, "POST", "/echo", pieces=[b"x" * 8] * 5)
        assert (call.status, call.body) == (200, b"x" * 40)


async def test_a_line_of_a_streamed_body_has_the_limit(new_app: Any) -> None:
    app = new_app(max_body=10)
    async with app.runtime:
        call = await ask(
            app, "POST", "/sum", pieces=[b"1\n", b"2" * 20], headers={"content-type": "application/x-ndjson"}
        )
        assert b'{"item":1}\n{"error":{"code":"body_too_large"' in call.body


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_arguments_that_are_not_json_by_type_are_415(app: Application, kind: str) -> None:
    call = await ask(app, "POST", "/add", pieces=[b'{"a": 1, "b": 2}'], headers={"content-type": kind})
    assert (call.status, call.document["code"]) == (415, "unsupported_media_type")
    assert "curl -N http://127.0.0.1:8000/add --json" in call.document["detail"]


async def test_a_body_that_nothing_announced_must_be_json_too(app: Application) -> None:
    call = await ask(
        app, "POST", "/add", pieces=[b'{"a": 1, "b": 2}'], headers={"content-type": "text/plain"}, http_version="2"
    )
    assert call.status == 415


@pytest.mark.parametrize("kind", ["application/json", "application/vnd.desk+json", "Application/JSON; charset=utf-8"])
async def test_every_kind_of_json_is_taken(app: Application, kind: str) -> None:
    call = await ask(app, "POST", "/add", pieces=[b'{"a": 1, "b": 2}'], headers={"content-type": kind})
    assert call.document == 3


async def test_no_body_at_all_stands_for_no_arguments(app: Application) -> None:
    assert (await ask(app, "POST", "/count")).body == b"0 1 2 "


async def test_a_coded_body_is_415(app: Application) -> None:
    call = await ask(app, "POST", "/add", pieces=[b"x"], headers={**JSON, "content-encoding": "gzip"})
    assert (call.status, call.document["detail"]) == (415, "the body is encoded with 'gzip'; send it as it is")


async def test_get_takes_the_query(app: Application) -> None:
    assert (await ask(app, "GET", "/count?to=2")).body == b"0 1 "
    assert (await ask(app, "GET", "/count?to=many")).status == 422
    assert (await ask(app, "GET", "/count?to=1&to=2")).status == 422


async def test_a_body_in_pieces_is_one_body(app: Application) -> None:
    assert (await ask(app, "POST", "/add", pieces=[b'{"a": 1', b', "b"', b": 2}"], headers=JSON)).document == 3
    assert (await ask(app, "POST", "/length", pieces=[b"abc", b"de"])).document == 5


async def test_chunks_reach_the_generator_as_they_arrive(app: Application) -> None:
    call = Call(app, "POST", "/echo?prefix=%3E", unfinished=True).start()
    await call.await_text(b">")
    call.send(b"one")
    await call.await_text(b">one")
    call.send(b"two", last=True)
    assert ((await call.ended()).body, call.complete) == (b">onetwo", True)


async def test_lines_reach_the_generator_as_they_are_complete(app: Application) -> None:
    call = Call(app, "POST", "/sum", unfinished=True, headers={"content-type": "application/x-ndjson"}).start()
    call.send(b"1\n2")
    await call.await_text(b'{"item":1}\n')
    call.send(b"0\n\n3", last=True)
    await call.ended()
    assert call.body.startswith(b'{"item":1}\n{"item":21}\n{"item":24}\n{"end":')


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"1\n{\n", b'"code":"malformed_body","message":"line 2 of the body is not JSON'),
        (b'1\n"x"\n', b'"code":"invalid_arguments","message":"line 2 of the body: '),
    ],
)
async def test_a_line_that_does_not_fit_fails_after_the_items_before_it(
    app: Application, body: bytes, code: bytes
) -> None:
    call = await ask(app, "POST", "/sum", pieces=[body], headers={"content-type": "application/x-ndjson"})
    assert call.body.startswith(b'{"item":1}\n{"error":{')
    assert code in call.body


async def test_lines_of_another_type_are_415(app: Application) -> None:
    call = await ask(app, "POST", "/sum", pieces=[b"1\n"], headers={"content-type": "text/plain"})
    assert call.status == 415
    assert "reads numbers from application/x-ndjson" in call.document["detail"]


async def test_a_client_that_leaves_within_a_streamed_body_stops_the_generator(app: Application, desk: Any) -> None:
    call = Call(app, "POST", "/echo", pieces=[b"one"], unfinished=True).start()
    await call.await_text(b"one")
    call.leave()
    await call.ended()
    assert (desk.running, call.complete, call.raised) == (0, False, None)
