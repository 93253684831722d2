"""The server's own routes."""

import re
from typing import Any

import pytest
from asgi import Call, ask, post, total

from headrace.server.app import Application
from headrace.services.decorators import endpoint, service


async def test_a_server_that_runs_is_live_and_ready(app: Application) -> None:
    live, ready = await ask(app, "GET", "/livez"), await ask(app, "GET", "/readyz")
    assert (live.status, live.document, live.headers["cache-control"]) == (200, {"status": "live"}, "no-store")
    assert (ready.status, ready.document) == (200, {"status": "ready"})


async def test_a_server_that_drains_is_live_and_not_ready_and_still_answers(app: Application) -> None:
    assert not app.draining
    app.drain()
    assert app.draining
    ready = await ask(app, "GET", "/readyz")
    assert (ready.status, ready.document["code"]) == (503, "shutting_down")
    assert (await ask(app, "GET", "/livez")).status == 200
    assert (await post(app, "/add", {"a": 1, "b": 2})).document == 3


async def test_metrics_are_in_the_prometheus_text_format(app: Application) -> None:
    await post(app, "/count", {"to": 2})
    metrics = await ask(app, "GET", "/metrics")
    assert metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b'headrace_streams_total{end="ok",endpoint="Desk.count"} 1.0\n' in metrics.body
    assert b'headrace_items_total{endpoint="Desk.count"} 2.0\n' in metrics.body


async def test_the_description_names_the_place_of_the_mount(app: Application) -> None:
    assert (await ask(app, "GET", "/openapi.json")).document["servers"] == [{"url": "/"}]
    mounted = await ask(app, "GET", "/desk/openapi.json", root_path="/desk")
    assert mounted.document["servers"] == [{"url": "/desk"}]
    assert "/count" in mounted.document["paths"]


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/openapi.json"])
async def test_they_are_read_with_get_and_head_only(app: Application, path: str) -> None:
    assert (await ask(app, "HEAD", path)).status == 200
    wrong = await ask(app, "POST", path)
    assert (wrong.status, wrong.headers["allow"]) == (405, "GET, HEAD")


async def test_delete_stops_a_stream_and_tells_its_reader(app: Application, desk: Any) -> None:
    call = Call(app, "POST", "/wait", arguments={"first": 1}, headers={"accept": "application/x-ndjson"}).start()
    await call.await_text(b'{"item":"0 "}\n')
    stopped = await ask(app, "DELETE", f"/streams/{call.headers['headrace-stream-id']}")
    assert (stopped.status, stopped.body, list(stopped.headers)) == (204, b"", ["x-request-id"])
    await call.ended()
    assert b'{"error":{"code":"cancelled"' in call.body
    assert (call.complete, desk.running) == (True, 0)
    assert total(app, "headrace_streams_total", end="cancelled") == 1
    again = await ask(app, "DELETE", f"/streams/{call.headers['headrace-stream-id']}")
    assert (again.status, again.document["detail"]) == (404, "no stream with this id runs here")


@pytest.mark.parametrize("id", ["", "s_1", "../livez", "x" * 10_000])
async def test_a_stream_that_nobody_knows_is_404(app: Application, id: str) -> None:
    assert (await ask(app, "DELETE", f"/streams/{id}")).status == 404


async def test_a_stream_is_stopped_with_delete_only(app: Application) -> None:
    wrong = await ask(app, "GET", "/streams/s_1")
    assert (wrong.status, wrong.headers["allow"]) == (405, "DELETE")


async def test_ids_of_streams_cannot_be_guessed(app: Application) -> None:
    ids = {(await post(app, "/count", {})).headers["headrace-stream-id"] for _ in range(10)}
    assert len(ids) == 10
    assert all(re.fullmatch(r"s_[A-Za-z0-9_-]{32}", each) for each in ids)


async def test_a_service_that_is_not_healthy_is_live_and_not_ready(new_app: Any) -> None:
    @service
    class Engine:
        healthy = True

        @endpoint
        async def turn(self) -> str:
            return "it turns"

    app = new_app(Engine)
    async with app.runtime:
        assert (await ask(app, "GET", "/readyz")).status == 200
        app.runtime.instance.healthy = False
        ready = await ask(app, "GET", "/readyz")
        assert (ready.status, ready.headers["retry-after"]) == (503, "1")
        assert ready.document["detail"] == "Engine: not healthy, by its own account"
        assert (await ask(app, "GET", "/livez")).status == 200
        assert (await post(app, "/turn", {})).body == b"it turns"
