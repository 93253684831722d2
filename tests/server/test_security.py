"""Who may call: keys on every route, and origins."""

from typing import Any

import pytest
from asgi import Call, ask

from headrace.errors import Unauthorized
from headrace.server.request import HttpRequest
from headrace.server.security import Keys, with_cors


def check(keys: Keys, **headers: str) -> None:
    encoded = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    keys.check(HttpRequest({"method": "GET", "path": "/", "headers": encoded}))


KEYS = Keys(["first", "second"])


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer first"},
        {"authorization": "bearer  second "},
        {"x_api_key": "second"},
        {"authorization": "Basic Zm9v", "x_api_key": "first"},
    ],
)
def test_each_key_opens_in_both_headers(headers: dict[str, str]) -> None:
    check(KEYS, **headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer "},
        {"authorization": "Bearer firs"},
        {"authorization": "Bearer first2"},
        {"authorization": "Bearer First"},
        {"authorization": "Bearer first, second"},
        {"authorization": "first"},
        {"authorization": "Basic first"},
        {"x_api_key": ""},
        {"x_api_key": "caf\u00e9"},
        {"cookie": "x-api-key=first"},
        {"authorization": "Bearer wrong", "x_api_key": "first"},
    ],
)
def test_anything_else_does_not(headers: dict[str, str]) -> None:
    with pytest.raises(Unauthorized) as refused:
        check(KEYS, **headers)
    assert refused.value.headers == {"www-authenticate": "Bearer"}


def test_without_keys_everybody_may() -> None:
    check(Keys([]))


async def test_the_key_is_asked_for_on_every_route_but_the_health_checks(new_app: Any) -> None:
    app = new_app(api_key=("k",))
    async with app.runtime:
        for method, path in [
            ("POST", "/add"),
            ("GET", "/add"),
            ("GET", "/metrics"),
            ("GET", "/openapi.json"),
            ("DELETE", "/streams/s_1"),
            ("GET", "/nothing"),
            ("OPTIONS", "/add"),
            ("POST", "/add?key=k&api_key=k"),
            ("GET", "//livez"),
            ("GET", "/livez/"),
        ]:
            call = await ask(app, method, path)
            assert (call.status, call.headers["www-authenticate"]) == (401, "Bearer"), path
        for path in ("/livez", "/readyz"):
            assert (await ask(app, "GET", path)).status == 200
        assert (await ask(app, "GET", "/metrics", headers={"x-api-key": "k"})).status == 200


async def test_without_a_key_the_body_is_not_read(new_app: Any) -> None:
    call = Call(new_app(api_key=("k",)), "POST", "/add", arguments={"a": 1, "b": 2})
    assert ((await call.start().ended()).status, call.received) == (401, 0)


async def test_pages_of_other_origins_get_no_permission_by_default(app: Any) -> None:
    call = await ask(app, "GET", "/count", headers={"origin": "https://page.example"})
    assert call.status == 200
    assert not [name for name in call.headers if name.startswith("access-control")]


async def test_an_allowed_page_may_read_the_headers_of_a_stream(new_app: Any) -> None:
    app = new_app(cors_origin=("https://page.example",))
    async with app.runtime:
        call = await ask(app, "GET", "/count", headers={"origin": "https://page.example"})
        assert call.headers["access-control-allow-origin"] == "https://page.example"
        assert call.headers["access-control-expose-headers"] == (
            "Headrace-Stream-Id, X-Request-Id, Server-Timing, Retry-After"
        )
        refused = await ask(app, "GET", "/nothing", headers={"origin": "https://page.example"})
        assert refused.headers["access-control-allow-origin"] == "https://page.example"
        other = await ask(app, "GET", "/count", headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


def test_without_origins_the_application_is_left_as_it_is() -> None:
    async def application(*_: Any) -> None: ...

    assert with_cors(application, ()) is application
