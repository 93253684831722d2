"""What a server says when it is ready, as whole texts."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from headrace import Stream, __version__, asgi_app, endpoint, service
from headrace.cli.screen import Ready, format_names, show_ready, show_routes
from headrace.openai.dialects import MODELS
from headrace.openai.models import ModelCard
from headrace.services.definition import define


@dataclass
class Token:
    text: str


@service
class Poet:
    @endpoint
    async def write(self, topic: str, lines: int = 4) -> AsyncIterator[str]:
        yield topic

    @endpoint(methods=("GET", "POST"))
    async def add(self, a: int) -> int:
        return a

    @endpoint(media_type="audio/wav")
    async def say(self) -> AsyncIterator[bytes]:
        yield b""

    @endpoint
    async def tokens(self) -> Stream[Token, dict[str, int], None]:
        yield Token("")


POET = define(Poet)

ROUTES = """\
  POST /write     (topic: str, lines: int = 4) → str*   text · ndjson · sse · json · ws
  GET|POST /add   (a: int) → int                        json · ws
  POST /say       () → bytes*                           bytes · ndjson · sse · json · ws
  POST /tokens    () → Token*                           ndjson · sse · json · ws
"""


def test_routes_stand_in_columns(capsys: pytest.CaptureFixture[str]) -> None:
    show_routes(POET)
    assert capsys.readouterr().out == ROUTES


def test_a_ready_server_says_where_it_is_and_what_it_serves(capsys: pytest.CaptureFixture[str]) -> None:
    show_ready(Ready(POET, "app.py:Poet", "dev", "http://127.0.0.1:8000/", 0.4149))
    head, address, routes = capsys.readouterr().out.split("\n", 2)
    title = f"  headrace {__version__} · dev · app.py:Poet"
    assert (head, len(head)) == (f"{title}{'ready in 0.41 s':>{92 - len(title)}}", 92)
    assert address == "  ➜ http://127.0.0.1:8000/"
    assert routes == ROUTES


def test_a_long_title_keeps_its_distance(capsys: pytest.CaptureFixture[str]) -> None:
    show_ready(Ready(POET, "x" * 100, "run", "http://127.0.0.1:8000/", 12.0))
    assert capsys.readouterr().out.splitlines()[0].endswith("x  ready in 12.00 s")


def test_a_language_model_says_where_its_api_is(capsys: pytest.CaptureFixture[str]) -> None:
    show_ready(Ready(POET, "engine tiny", "run", "http://127.0.0.1:8000/", 0.4, model="tiny\x1b"))
    assert capsys.readouterr().out.splitlines()[1] == (
        '  ➜ http://127.0.0.1:8000/        ➜ OpenAI base http://127.0.0.1:8000/v1 (model "tiny\ufffd")'
    )


def test_an_endpoint_of_another_api_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    @service
    class Model:
        @endpoint(path="/v1/models", methods=("GET",), dialect=MODELS)
        async def models(self) -> list[ModelCard]:
            """The names that this model has."""
            raise NotImplementedError

        @endpoint
        async def chat(self, prompt: str) -> AsyncIterator[str]:
            yield prompt

    show_routes(define(Model))
    assert capsys.readouterr().out == (
        "  GET /v1/models   The names that this model has.\n"
        "  POST /chat       (prompt: str) → str*   text · ndjson · sse · json · ws\n"
    )


class App:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raise NotImplementedError


def test_mounted_applications_have_their_paths(capsys: pytest.CaptureFixture[str]) -> None:
    @asgi_app(App())
    @asgi_app(App(), path="/admin")
    @service
    class Mounted: ...

    show_routes(define(Mounted))
    assert capsys.readouterr().out == "  * /admin/   → App   asgi\n  * /         → App   asgi\n"


def test_formats_have_their_short_names() -> None:
    assert [format_names(endpoint) for endpoint in POET.endpoints][:2] == [
        ["text", "ndjson", "sse", "json", "ws"],
        ["json", "ws"],
    ]
