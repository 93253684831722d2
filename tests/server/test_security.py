"""Who may call: under our own names, with a key on every route, and from allowed pages."""

import re
from pathlib import Path
from typing import Any

import pytest
from asgi import Call, ask

from headrace.config import ConfigError, Settings
from headrace.errors import ForbiddenHost, ForbiddenOrigin, Unauthorized, UnsupportedMediaType
from headrace.server.request import HttpRequest
from headrace.server.security import Hosts, Keys, Origins, is_loopback, public_without_key, with_cors


def request(method: str = "GET", **headers: str) -> HttpRequest:
    encoded = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return HttpRequest({"method": method, "path": "/", "headers": encoded})


def check(keys: Keys, **headers: str) -> str:
    return keys.check(request(**headers))


# -- names


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8000",
        "LocalHost.:1",
        "poet.localhost:8000",
        "127.0.0.1",
        "127.9.9.9:65535",
        "[::1]",
        "[::1]:8000",
        "[::ffff:127.0.0.1]:8000",
    ],
)
@pytest.mark.parametrize("listens", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_a_server_on_loopback_answers_to_loopback_names(listens: str, host: str) -> None:
    Hosts(listens, ()).check(request(host=host))


HOSTILE_HOSTS = [
    "evil.example",
    "evil.example:8000",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evillocalhost",
    "0.0.0.0:8000",
    "192.168.0.1",
    "[::2]",
    "[::ffff:192.0.2.1]",
    "localhost:8000:8000",
    "localhost, evil.example",
    "localhost@evil.example",
    "evil.example#.localhost",
    "2130706433",
    "127.1",
    "[localhost",
    "caf\u00e9",
    " ",
    "x" * 60_000,
]


@pytest.mark.parametrize("host", HOSTILE_HOSTS, ids=range(len(HOSTILE_HOSTS)))
def test_a_server_on_loopback_answers_to_no_other_name(host: str) -> None:
    with pytest.raises(ForbiddenHost, match="--allowed-host") as refused:
        Hosts("127.0.0.1", ()).check(request(host=host))
    assert len(refused.value.message) < 1000


@pytest.mark.parametrize("listens", ["0.0.0.0", "::", "192.0.2.1", "poet.example"])
def test_a_server_that_listens_elsewhere_answers_to_every_name(listens: str) -> None:
    Hosts(listens, ()).check(request(host="evil.example"))


def test_a_star_allows_every_name() -> None:
    Hosts("127.0.0.1", ("*",)).check(request(host="evil.example"))


def test_a_request_without_a_host_is_of_no_browser() -> None:
    Hosts("127.0.0.1", ()).check(request())


@pytest.mark.parametrize(
    ("allowed", "host", "fits"),
    [
        ("Poet.example", "poet.EXAMPLE:8000", True),
        ("poet.example", "poet.example.", True),
        ("poet.example:8000", "poet.example:8000", True),
        ("poet.example:8000", "poet.example", False),
        ("poet.example:8000", "poet.example:9000", False),
        ("poet.example", "a.poet.example", False),
        ("poet.example", "localhost", False),
        ("poet.example", "", True),
        ("poet.example", "[x", False),
        ("::1", "[::1]:8000", True),
        ("[2001:db8::1]:80", "[2001:DB8::1]:80", True),
    ],
)
@pytest.mark.parametrize("listens", ["127.0.0.1", "0.0.0.0"])
def test_names_that_are_given_are_the_whole_list(listens: str, allowed: str, host: str, fits: bool) -> None:
    hosts = Hosts(listens, (allowed, "other.example"))
    if fits:
        hosts.check(request(host=host))
    else:
        with pytest.raises(ForbiddenHost):
            hosts.check(request(host=host))


@pytest.mark.parametrize("allowed", ["*.example.org", "caf\u00e9.example", "a:b", "[x"])
def test_what_is_no_name_cannot_be_allowed(allowed: str) -> None:
    with pytest.raises(ConfigError, match="allowed-host"):
        Hosts("127.0.0.1", ("poet.example", allowed))


async def test_another_name_is_refused_on_every_route_before_the_key_and_the_body(new_app: Any) -> None:
    app = new_app(api_key=("k",))
    async with app.runtime:
        for method, path in [
            ("GET", "/livez"),
            ("GET", "/readyz"),
            ("GET", "/metrics"),
            ("POST", "/add"),
            ("GET", "/x"),
        ]:
            call = Call(app, method, path, arguments={}, headers={"host": "evil.example", "x-api-key": "k"})
            await call.start().ended()
            assert (call.status, call.document["code"], call.received) == (403, "forbidden_host", 0)
        assert call.document["detail"] == (
            "this server does not answer as 'evil.example'; start it with "
            "--allowed-host evil.example to allow that name, or mount it with Settings(allowed_host=('evil.example',))"
        )
        assert (await ask(app, "GET", "/livez", headers={"host": "localhost:1"})).status == 200


@pytest.mark.parametrize(("name", "loops"), [("::1", True), ("[::1]", True), ("10.0.0.1", False), ("", False)])
def test_loopback_names(name: str, loops: bool) -> None:
    assert is_loopback(name) is loops


# -- keys


KEYS = Keys(["first", "second"])


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer first"},
        {"authorization": "bearer  second "},
        {"x_api_key": "second"},
        {"api_key": "second"},
        {"x_api_key": "", "api_key": "first"},
        {"x_api_key": "first", "api_key": "wrong"},
        {"authorization": "Basic Zm9v", "x_api_key": "first"},
    ],
)
def test_each_key_opens_in_both_headers(headers: dict[str, str]) -> None:
    assert len(check(KEYS, **headers)) == 64


def test_a_key_is_known_by_its_hash() -> None:
    assert check(KEYS, x_api_key="first") == check(KEYS, authorization="Bearer first") == check(KEYS, api_key="first")
    assert check(KEYS, x_api_key="first") != check(KEYS, x_api_key="second")


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
        {"api_key": ""},
        {"api_key": "wrong"},
        {"api_key": "Bearer first"},
        {"x_api_key": "wrong", "api_key": "first"},
        {"authorization": "Bearer wrong", "api_key": "first"},
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
    assert check(Keys([]), x_api_key="first") == ""


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


# -- pages


FOREIGN = {"host": "localhost:8000", "origin": "https://page.example"}
SIMPLE = [
    {},
    {"content_type": ""},
    {"content_type": "text/plain"},
    {"content_type": "Text/Plain; charset=utf-8"},
    {"content_type": "application/x-www-form-urlencoded"},
    {"content_type": "multipart/form-data; boundary=x"},
]


@pytest.mark.parametrize("headers", SIMPLE)
@pytest.mark.parametrize("origin", ["https://page.example", "null", "http://localhost:9000", "http://"])
def test_a_page_of_another_origin_sends_nothing_that_needs_no_permission(headers: dict[str, str], origin: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        Origins(()).check(request("POST", host="localhost:8000", origin=origin, **headers))


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", {"host": "localhost:8000", "content_type": "text/plain"}),
        ("POST", {"host": "LOCALHOST:8000", "origin": "http://localhost:8000", "content_type": "text/plain"}),
        ("POST", {**FOREIGN, "content_type": "application/json"}),
        ("POST", {**FOREIGN, "content_type": "application/octet-stream"}),
        ("GET", FOREIGN),
        ("OPTIONS", FOREIGN),
        ("DELETE", FOREIGN),
    ],
)
def test_what_a_page_cannot_send_or_may_send_is_let_through(method: str, headers: dict[str, str]) -> None:
    Origins(()).check(request(method, **headers))


@pytest.mark.parametrize("allowed", ["https://page.example", "*"])
def test_an_allowed_page_sends_what_it_likes(allowed: str) -> None:
    Origins((allowed,)).check(request("POST", **FOREIGN, content_type="text/plain"))


async def test_what_another_page_posts_starts_nothing(app: Any, desk: Any) -> None:
    call = Call(app, "POST", "/wait", headers={"origin": "https://page.example"})
    assert ((await call.start().ended()).status, call.received, desk.calls) == (415, 0, 0)


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


# -- an open server


@pytest.mark.parametrize("settings", [{}, {"host": "::1"}, {"host": "0.0.0.0", "api_key": ("k",)}])
def test_a_server_that_is_private_or_asks_for_a_key_is_no_mistake(settings: dict[str, Any]) -> None:
    assert public_without_key(Settings(**settings)) is None


def test_a_public_server_without_a_key_is_a_mistake_and_its_page_says_so() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "mistakes.md").read_text("utf-8")
    shown = re.search(r"^## HR21\n.*?^```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert shown is not None
    assert f"{public_without_key(Settings(host='0.0.0.0'))}\n" == shown[1]


# -- the handshakes of pages


@pytest.mark.parametrize(
    ("allowed", "origin"),
    [
        ([], None),
        ([], "http://localhost:8000"),
        ([], "https://LOCALHOST:8000"),
        (["https://page.example"], "https://page.example"),
        (["*"], "https://any.example"),
        (["*"], "null"),
    ],
)
def test_these_may_open_a_websocket(allowed: list[str], origin: str | None) -> None:
    named = {} if origin is None else {"origin": origin}
    Origins(allowed).check_handshake(request("WEBSOCKET", host="localhost:8000", **named))


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://localhost",
        "http://localhost:8001",
        "http://localhost:8000.evil.example",
        "http://127.0.0.1:8000",
        "https://page.example.evil",
        "null",
        "",
        "localhost:8000",
        "://",
        "file://",
    ],
)
@pytest.mark.parametrize("allowed", [[], ["https://page.example"]])
def test_pages_of_other_origins_may_not(allowed: list[str], origin: str) -> None:
    with pytest.raises(ForbiddenOrigin, match="--cors-origin") as refused:
        Origins(allowed).check_handshake(request("WEBSOCKET", host="localhost:8000", origin=origin))
    assert (refused.value.code, refused.value.status) == ("forbidden_origin", 403)


def test_a_page_whose_server_has_no_name_may_not() -> None:
    with pytest.raises(ForbiddenOrigin):
        Origins([]).check_handshake(request("WEBSOCKET", origin="http://"))
