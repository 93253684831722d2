"""`headrace bench`: what it is told, what it asks, and how it ends. Loads on servers of ours are in tests/e2e."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from upstream import DONE, HELLO, Request, Script, Status, Upstream, error, finish, says, upstream_on_a_thread

from headrace.cli.bench import ending
from headrace.cli.load.answer import Failed
from headrace.cli.load.tally import Tally

UNSET = {"HEADRACE_API_KEY": "", "OPENAI_API_KEY": ""}
MODELS = Status(200, {"object": "list", "data": [{"id": "tiny", "object": "model"}, {"id": "large"}]})
COMPLETION: Script = [{"choices": [{"index": 0, "text": "Once", "finish_reason": "stop"}]}, DONE]


class Played:
    """A server with two models, whose other answers can be set."""

    def __init__(self) -> None:
        self.answers: Script = HELLO
        self.models: Status = MODELS
        self.upstream: Upstream

    def answer(self, request: Request) -> Script:
        return [self.models] if request.path.endswith("/models") else self.answers

    @property
    def asked(self) -> list[Request]:
        return [request for request in self.upstream.requests if not request.path.endswith("/models")]


@pytest.fixture
def server() -> Iterator[Played]:
    played = Played()
    with upstream_on_a_thread(played.answer) as played.upstream:
        yield played


def bench(project: Any, *arguments: str) -> Any:
    return project.run("bench", *arguments, env=UNSET)


# what it is told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ftp://x",), "error: 'ftp://x' is no address of a server; write it like http://localhost:8000 or"),
        (("localhost:1/w", "rain"), "error: 'rain' is no argument; write NAME=TEXT or NAME:=JSON"),
        (
            ("localhost:1/w", "--model", "m"),
            "error: --model is for an OpenAI API, and http://localhost:1/w is an endpoint",
        ),
        (("localhost:1/w", "--prompt", ""), "error: --prompt is for an OpenAI API"),
        (("localhost:1/w", "--max-tokens", "5"), "error: --max-tokens is for an OpenAI API"),
        (("localhost:1", "--wire", "sse"), "error: --wire is for endpoints: the OpenAI API streams server-sent events"),
        (("localhost:1/w", "--wire", "ws"), "Error: Invalid value for '--wire': 'ws' is not one of"),
        (("localhost:1", "--requests", "0"), "Error: Invalid value for '--requests': 0 is not in the range"),
        (("localhost:1", "--concurrency", "0"), "Error: Invalid value for '--concurrency': 0 is not in the range"),
        (("localhost:1", "--duration", "0"), "Error: Invalid value for '--duration': 0.0 is not in the range"),
        (("localhost:1", "--duration", "inf"), "Error: Invalid value for '--duration': inf is not in the range"),
        (
            ("localhost:1", "--rate", "0"),
            "Error: Invalid value for '--rate': '0' is no rate; write requests per second",
        ),
        (("localhost:1", "--rate", "nan"), "Error: Invalid value for '--rate': 'nan' is no rate"),
        (("localhost:1", "--rate", "fast"), "Error: Invalid value for '--rate': 'fast' is no rate"),
        (
            ("localhost:1", "--json", "nowhere/x"),
            "Error: Invalid value for '--json': there is no folder 'nowhere' for it",
        ),
        (
            ("localhost:1/w", "--api-key", "a\nb"),
            "error: the API key is empty or has characters that HTTP cannot carry",
        ),
        (("example.com",), "error: example.com is another machine, and load there may cost its owner money"),
    ],
)
def test_what_it_does_not_take_is_a_mistake_of_use(project: Any, arguments: tuple[str, ...], said: str) -> None:
    result = bench(project, *arguments)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith(said)
    assert result.stdout == ""


@pytest.mark.parametrize(
    "arguments", [("http://127.0.0.1:1",), ("http://127.0.0.1:1/w",), ("127.0.0.1:1", "--model", "m")]
)
def test_no_server_ends_with_3(project: Any, arguments: tuple[str, ...]) -> None:
    result = bench(project, *arguments)
    assert result.exit_code == 3
    assert "cannot connect to" in result.stderr
    assert "is the address right, and the server running?" in result.stderr
    assert result.stdout == ""


def test_another_machine_gets_no_load_unasked_and_a_warning_when_asked(project: Any) -> None:
    result = bench(project, "http://no-such-host.invalid/w", "--yes")
    assert result.exit_code == 3
    assert result.stderr.startswith("warning: this is load on no-such-host.invalid, another machine\n")


# what it asks


def test_a_model_is_asked_for_a_stream_with_its_tokens(project: Any, server: Played) -> None:
    result = bench(project, server.upstream.url, "--requests", "3")
    assert result.exit_code == 0
    assert len(server.asked) == 4  # one to warm up
    assert server.asked[0].path == "/v1/chat/completions"
    assert server.asked[0].headers["accept"] == "text/event-stream"
    assert server.asked[0].body == {
        "model": "tiny",
        "messages": [{"role": "user", "content": "Once upon a time"}],
        "max_tokens": 128,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize(
    ("flags", "members"),
    [
        (("--model", "large", "--prompt", "Why?", "--max-tokens", "5"), {"model": "large", "max_tokens": 5}),
        (("temperature:=0", "user=me"), {"temperature": 0, "user": "me", "max_tokens": 128}),
        (("max_completion_tokens:=9",), {"max_completion_tokens": 9, "max_tokens": None}),
    ],
)
def test_options_and_arguments_are_members_of_the_request(
    project: Any, server: Played, flags: tuple[str, ...], members: dict[str, Any]
) -> None:
    assert bench(project, server.upstream.url, *flags, "--requests", "1").exit_code == 0
    body = server.asked[0].body
    assert {name: body.get(name) for name in members} == members
    assert body["messages"][0]["content"] == ("Why?" if "--prompt" in flags else "Once upon a time")


def test_the_route_for_completions_is_asked_with_a_prompt(project: Any, server: Played) -> None:
    server.answers = COMPLETION
    assert bench(project, server.upstream.url, "--route", "completions", "--requests", "1").exit_code == 0
    assert server.asked[0].path == "/v1/completions"
    assert server.asked[0].body["prompt"] == "Once upon a time"


def test_a_key_is_sent_to_the_models_and_to_the_model(project: Any, server: Played) -> None:
    project.run("bench", server.upstream.url, "--requests", "1", env={**UNSET, "HEADRACE_API_KEY": "h-1,h-2"})
    assert {request.headers["authorization"] for request in server.upstream.requests} == {"Bearer h-1"}
    assert len(server.upstream.requests) == 3


@pytest.mark.parametrize(
    ("models", "code", "said"),
    [
        (Status(404, {"error": {"message": "no"}}), 4, "error: server_error: no; name another model with --model"),
        (Status(200, {"data": []}), 4, "/v1 has no model; name one with --model"),
    ],
)
def test_a_server_without_models_ends_with_4(
    project: Any, server: Played, models: Status, code: int, said: str
) -> None:
    server.models = models
    result = bench(project, server.upstream.url)
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr


def test_warming_up_can_be_left_out_and_is_not_counted(project: Any, server: Played) -> None:
    for warmup, asked in (("0", 2), ("3", 5)):
        before = len(server.asked)
        result = bench(project, server.upstream.url, "--requests", "2", "--warmup", warmup, "--json", "-")
        assert json.loads(result.stdout)["completed"] == 2
        assert len(server.asked) - before == asked


# what it tells


def test_the_table_goes_out_and_all_else_to_standard_error(project: Any, server: Played) -> None:
    result = bench(project, server.upstream.url, "--requests", "3", "--concurrency", "2")
    lines = result.stdout.splitlines()
    assert lines[:4] == [
        "============ Serving Benchmark Result ============",
        "Successful requests:                     3",
        "Failed requests:                         0",
        "Maximum request concurrency:             2",
    ]
    assert lines[5:7] == [
        "Total input tokens:                      9",
        "Total generated tokens:                  12",
    ]
    assert lines[-1] == "=" * 50
    assert result.stderr.splitlines()[0] == (
        f"3 requests to {server.upstream.url}/chat/completions, 2 at a time, at most 60 s; Ctrl-C ends it"
    )


def test_json_goes_to_a_file_beside_the_table_or_out_in_its_place(project: Any, server: Played) -> None:
    beside = bench(project, server.upstream.url, "--requests", "2", "--json", "numbers.json")
    alone = bench(project, server.upstream.url, "--requests", "2", "--json", "-")
    assert beside.stdout.startswith("=====")
    written = json.loads((project / "numbers.json").read_text("utf-8"))
    printed = json.loads(alone.stdout)
    assert list(written) == list(printed)
    assert (written["completed"], written["model_id"], written["num_prompts"]) == (2, "tiny", 2)


def test_a_file_that_cannot_be_written_loses_no_table(project: Any, server: Played) -> None:
    (project / "numbers.json").symlink_to(Path("/proc/nowhere/x"))
    result = bench(project, server.upstream.url, "--requests", "1", "--json", "numbers.json")
    assert result.exit_code == 2
    assert result.stdout.startswith("=====")
    assert result.stderr.splitlines()[-1].startswith("error: cannot write numbers.json: ")


@pytest.mark.parametrize(
    ("answers", "code", "note"),
    [
        ([Status(503, {"error": {"message": "busy"}})], 4, "2 failed, status 503: "),
        ([says("x"), error("it broke", code="gone")], 4, "2 failed, error gone: it broke"),
        ([says("x"), DONE], 5, "2 failed, truncated: the stream ended before the answer did"),
        ([says("x"), finish("stop"), DONE], 0, "the server told no tokens: they are items here"),
        ([Status(200, "hello")], 4, "2 failed, malformed: the answer is text/plain, not an event stream"),
    ],
)
def test_failures_are_told_and_decide_the_exit_code(
    project: Any, server: Played, answers: Script, code: int, note: str
) -> None:
    server.answers = answers
    result = bench(project, server.upstream.url, "--requests", "2", "--warmup", "0")
    assert result.exit_code == code
    assert result.stderr.splitlines()[1].startswith(note)
    assert f"Failed requests:                         {2 if code else 0}\n" in result.stdout


def ended(completed: int, *kinds: str) -> Tally:
    tally = Tally(completed=completed)
    for kind in kinds:
        tally.fail(Failed(kind, "so it is"))
    return tally


@pytest.mark.parametrize(
    ("tally", "code"),
    [
        (ended(1), 0),
        (ended(0), 4),  # the time was over before anything ended
        (ended(0, "not connected", "not connected"), 3),
        (ended(1, "not connected"), 4),
        (ended(0, "not connected", "truncated"), 4),
        (ended(9, "truncated"), 5),
        (ended(9, "truncated", "error busy"), 4),
        (ended(9, "status 503"), 4),
    ],
)
def test_the_worst_failure_is_the_exit_code(tally: Tally, code: int) -> None:
    assert ending(tally) == code
