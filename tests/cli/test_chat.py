"""`headrace chat`: what it is told, and how it ends when there is nobody to talk to. Answers are in tests/e2e."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest


@pytest.fixture
def free() -> Iterator[str]:
    """An address that refuses connections."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


class OneAnswer:
    """A server that answers everything alike, and knows what it was asked."""

    def __init__(self, status: int, document: Any) -> None:
        self.authorizations: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.authorizations.append(self.headers["authorization"])
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))

    def __enter__(self) -> "OneAnswer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


MODELS = {"object": "list", "data": [{"id": "tiny", "object": "model"}]}


@pytest.mark.parametrize("flags", [(), ("--model", "tiny")])
def test_no_server_ends_with_3(project: Any, free: str, flags: tuple[str, ...]) -> None:
    result = project.run("chat", free, *flags, input="Hello?\n")
    assert result.exit_code == 3
    assert f"error: cannot connect to {free}" in result.stderr
    assert "is the address right, and the server running?" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ftp://x",), "error: 'ftp://x' is no address of a server; write it like http://localhost:8000"),
        (("--temperature", "3"), "Error: Invalid value for '--temperature': 3.0 is not in the range 0<=x<=2."),
        (("--max-tokens", "0"), "Error: Invalid value for '--max-tokens': 0 is not in the range x>=1."),
        (("--api-key", "a\nb"), "error: the API key is empty or has characters that HTTP cannot carry"),
    ],
)
def test_what_it_does_not_take_is_a_mistake_of_use(project: Any, arguments: tuple[str, ...], said: str) -> None:
    result = project.run("chat", *arguments)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith(said)


@pytest.mark.parametrize(
    ("flags", "environment", "sent"),
    [
        ((), {}, None),
        ((), {"OPENAI_API_KEY": "o-1"}, "Bearer o-1"),
        ((), {"OPENAI_API_KEY": "o-1", "HEADRACE_API_KEY": "h-1,h-2"}, "Bearer h-1"),
        (("--api-key", "f-1"), {"HEADRACE_API_KEY": "h-1"}, "Bearer f-1"),
    ],
)
def test_the_key_comes_from_the_flag_or_the_environment(
    project: Any, flags: tuple[str, ...], environment: dict[str, str], sent: str | None
) -> None:
    environment = {"HEADRACE_API_KEY": "", "OPENAI_API_KEY": "", **environment}
    with OneAnswer(200, MODELS) as server:
        assert project.run("chat", server.url, *flags, env=environment, input="").exit_code == 0
    assert server.authorizations == [sent]


@pytest.mark.parametrize(
    ("status", "document", "said"),
    [
        (404, {"error": {"message": "not found"}}, "error: server_error: not found; name another model with --model"),
        (401, {"error": {"message": "no key", "code": "x"}}, "error: x: no key; give its key: --api-key KEY"),
        (200, {"data": []}, "/v1 has no model; name one with --model"),
        (200, [], "/v1/models does not answer with a list of models"),
    ],
)
def test_a_server_without_models_ends_with_4(project: Any, status: int, document: Any, said: str) -> None:
    with OneAnswer(status, document) as server:
        result = project.run("chat", server.url, input="Hello?\n")
    assert result.exit_code == 4
    assert said in result.stderr


def test_a_model_that_was_named_is_not_looked_for(project: Any) -> None:
    with OneAnswer(200, MODELS) as server:
        assert project.run("chat", server.url, "--model", "tiny", input="").exit_code == 0
    assert server.authorizations == []
