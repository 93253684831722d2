"""The chat: whole, cut and refused by its model's server, measured, stopped from everywhere, left by its clients."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from curl import curl_lines, run_curl
from served import Served, receive
from serving import serving
from upstream import (
    AZURE,
    CUT,
    DONE,
    HEAD,
    HELLO,
    ROLE,
    STALL,
    Request,
    Script,
    Status,
    Upstream,
    calls,
    delta,
    error,
    finish,
    says,
    upstream_on_a_thread,
    usage,
)

FOLDER = Path(__file__).parent
KEY = "k-4711-of-the-operator"
CALLED = calls({"index": 0, "id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": ""}})
OSLO = [
    calls({"index": 0, "function": {"arguments": '{"city":'}}),
    calls({"index": 0, "function": {"arguments": ' "Oslo"}'}}),
]
SCRIPTS: dict[str, Script] = {
    "azure": AZURE,
    "refusal": [ROLE, delta(refusal="I would rather not."), finish("stop"), usage(3, 4), DONE],
    "call": [ROLE, says("I look."), CALLED, *OSLO, finish("tool_calls"), usage(9, 6), DONE],
    "forced": [ROLE, CALLED, *OSLO, finish("stop"), usage(9, 6), DONE],
    "old call": [
        ROLE,
        delta(content="I look.", function_call={"name": "get_weather", "arguments": '{"city": "Oslo"}'}),
        finish("function_call"),
        usage(9, 6),
        DONE,
    ],
    "no arguments": [ROLE, CALLED, finish("tool_calls"), usage(9, 6), DONE],
    "half a call": [ROLE, CALLED, OSLO[0], finish("tool_calls"), usage(9, 6), DONE],
    "cut call": [ROLE, CALLED, OSLO[0], finish("length"), DONE],
    "length": [ROLE, says("Hello"), finish("length"), DONE],
    "filtered": [ROLE, says("Hello"), finish("content_filter"), DONE],
    "unfinished": [ROLE, says("Hello"), DONE],
    "cut": [ROLE, says("Hello"), CUT],
    "failing": [ROLE, says("Hello"), error("Out of memory.", code="oom"), DONE],
    "no key": [Status(401, error(f"Incorrect API key: {KEY}"))],
    "busy": [Status(429, error("Too many."), {"retry-after": "40"})],
    "broken": [Status(400, error("Too hot.", param="temperature"))],
    "stall at once": [STALL],
    "stall first": [HEAD, STALL],
    "stall later": [ROLE, says("Hello"), STALL],
}


def script_of(request: Request) -> Script:
    return SCRIPTS.get(request.body["messages"][-1]["content"], HELLO)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with upstream_on_a_thread(script_of) as server:
        yield server


@pytest.fixture(scope="module")
def environment(upstream: Upstream) -> dict[str, str]:
    return {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": upstream.url}


@pytest.fixture(scope="module")
def assistant(environment: dict[str, str]) -> Iterator[Served]:
    target = "examples/seeds/llm_streaming/service.py"
    with serving(target, "--set", "Assistant.model=tiny", environment=environment) as served:
        yield served
    assert KEY not in "".join(served.output)


def asking(prompt: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": prompt}]}


def lines(assistant: Served, prompt: str, path: str = "/ask") -> list[dict[str, Any]]:
    _, _, body = assistant.post(path, asking(prompt), accept="application/x-ndjson")
    return [json.loads(line) for line in body.splitlines()]


def left(assistant: Served, upstream: Upstream, prompt: str) -> bool:
    """Whether the answer to the prompt was left by who asked for it."""
    asked = [request for request in upstream.requests if request.body["messages"][-1]["content"] == prompt]
    return asked[-1].left_at is not None


# -- text


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [("hello", "Hello, world"), ("azure", "Hello, world"), ("refusal", "I would rather not.")],
)
def test_an_answer_is_text(assistant: Served, prompt: str, answer: str) -> None:
    status, _, body = assistant.post("/chat", asking(prompt), accept="*/*")
    assert (status, body.decode()) == (200, answer)


def test_an_answer_is_server_sent_events_with_an_ending_of_its_own(assistant: Served) -> None:
    _, headers, body = assistant.post("/chat", asking("hello"), accept="text/event-stream")
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-cache, no-transform"
    assert headers["x-accel-buffering"] == "no"
    assert "connection" not in headers
    assert body.startswith(b'id: 1\ndata: "Hello"\n\n')
    assert b"event: end\n" in body
    assert b"[DONE]" not in body


def test_the_callers_credentials_stay_here(assistant: Served, upstream: Upstream) -> None:
    assistant.post("/chat", asking("hello"), authorization="Bearer c-4712", x_api_key="c-4712")
    assert upstream.requests[-1].headers["authorization"] == f"Bearer {KEY}"
    assert "c-4712" not in str(upstream.requests[-1].headers)


# -- function calls and measures


@pytest.mark.parametrize("prompt", ["call", "old call"])
def test_text_and_the_call_beside_it_arrive(assistant: Served, prompt: str) -> None:
    first, called, footer, end = lines(assistant, prompt)
    assert first == {"item": {"content": "I look.", "type": "content"}}
    arguments = {"city": "Oslo"}
    assert called == {"item": {"name": "get_weather", "arguments": arguments, "problem": "", "type": "function_call"}}
    assert footer["footer"]["reasons"] == ["tool_calls"]
    assert end["end"]["items"] == 2


def test_a_forced_call_is_not_lost(assistant: Served) -> None:
    called, footer, _ = lines(assistant, "forced")
    assert called["item"]["arguments"] == {"city": "Oslo"}
    assert footer["footer"]["reasons"] == ["tool_calls"]


def test_a_function_without_arguments_is_called(assistant: Served) -> None:
    assert lines(assistant, "no arguments")[0]["item"]["arguments"] == {}


def test_arguments_that_are_no_json_are_told_and_raise_nothing(assistant: Served) -> None:
    called = lines(assistant, "half a call")[0]["item"]
    assert called["arguments"] is None
    assert called["problem"].startswith("the arguments of get_weather are not JSON (")


def test_an_answer_is_measured(assistant: Served) -> None:
    measures = lines(assistant, "hello")[-2]["footer"]
    assert (measures["outcome"], measures["tokens"], measures["retries"]) == ("complete", 4, 0)
    assert 0 < measures["first_token_seconds"] <= measures["total_seconds"]


def test_what_was_measured_is_in_the_metrics(assistant: Served) -> None:
    before = assistant.metric("headrace_upstream_tokens_total", 'kind="completion"')
    lines(assistant, "hello")
    assert assistant.metric("headrace_upstream_tokens_total", 'kind="completion"') == before + 4


# -- answers that are not complete


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        ("length", "unfinished_answer"),
        ("filtered", "unfinished_answer"),
        ("unfinished", "truncated"),
        ("cut", "truncated"),
        ("failing", "upstream_failed"),
    ],
)
@pytest.mark.parametrize("path", ["/chat", "/ask"])
def test_an_answer_that_is_not_complete_is_a_failure(assistant: Served, prompt: str, code: str, path: str) -> None:
    first, failed = lines(assistant, prompt, path)
    assert "Hello" in str(first["item"])
    assert failed["error"]["code"] == code


def test_a_call_that_was_cut_is_a_failure(assistant: Served) -> None:
    _, _, body = assistant.post("/ask", asking("cut call"))
    assert json.loads(body)["code"] == "unfinished_answer"


@pytest.mark.parametrize(
    ("prompt", "status", "code", "headers"),
    [
        ("no key", 502, "upstream_failed", {}),
        ("busy", 429, "upstream_failed", {"retry-after": "40"}),
        ("broken", 422, "invalid_arguments", {}),
    ],
)
def test_what_the_models_server_refuses_is_a_status(
    assistant: Served, prompt: str, status: int, code: str, headers: dict[str, str]
) -> None:
    answered, told, body = assistant.post("/chat", asking(prompt), accept="text/event-stream")
    assert (answered, json.loads(body)["code"]) == (status, code)
    assert headers.items() <= told.items()
    assert KEY not in body.decode()


@pytest.mark.parametrize(
    "body",
    [{"messages": []}, {"messages": [{"role": "boss", "content": "hi"}]}, {"messages": "hi"}, {}],
    ids=["empty", "role", "type", "nothing"],
)
def test_messages_that_are_none_are_refused_and_nobody_is_asked(
    assistant: Served, upstream: Upstream, body: dict[str, Any]
) -> None:
    asked = len(upstream.requests)
    status, _, told = assistant.post("/chat", body)
    assert (status, json.loads(told)["code"]) == (422, "invalid_arguments")
    assert len(upstream.requests) == asked


# -- stopping


@pytest.mark.parametrize("prompt", ["stall at once", "stall first", "stall later"])
def test_a_client_that_leaves_stops_the_model(assistant: Served, upstream: Upstream, prompt: str) -> None:
    asked = len(upstream.requests)
    with assistant.send("/chat", asking(prompt)) as connection:
        assistant.until(lambda: len(upstream.requests) > asked, within=5.0)
        if prompt == "stall later":
            assert connection.recv(65536)
    assistant.until(lambda: left(assistant, upstream, prompt), within=0.5)


def test_a_stream_is_stopped_by_its_name_from_anywhere(assistant: Served, upstream: Upstream) -> None:
    with assistant.send("/chat", asking("stall later")) as connection:
        found = re.search(rb"headrace-stream-id: (\S+)", receive(connection, b"Hello"))
        assert found is not None
        assert assistant.request("DELETE", f"/streams/{found.group(1).decode()}")[0] == 204
        assistant.until(lambda: left(assistant, upstream, "stall later"), within=0.5)


# -- the other programs


def program(name: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, str(FOLDER / name), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def test_the_client_prints_text_calls_and_measures(assistant: Served) -> None:
    with program("client.py", "call", f"http://127.0.0.1:{assistant.port}") as client:
        output, problems = client.communicate(timeout=30)
    assert output.startswith("I look.get_weather({'city': 'Oslo'})\n\n6 tokens, the first after 0.")
    assert problems == ""


def test_the_client_tells_a_failure(assistant: Served) -> None:
    with program("client.py", "cut", f"http://127.0.0.1:{assistant.port}") as client:
        output, problems = client.communicate(timeout=30)
    assert (output, client.returncode) == ("Hello", 1)
    assert problems.startswith("truncated: ")


def test_ctrl_c_in_the_client_stops_the_model(assistant: Served, upstream: Upstream) -> None:
    with program("client.py", "stall later", f"http://127.0.0.1:{assistant.port}") as client:
        assert client.stdout is not None
        assert client.stdout.read(5) == "Hello"
        client.send_signal(signal.SIGINT)
        assert client.wait(10) == 1
    assistant.until(lambda: left(assistant, upstream, "stall later"), within=0.5)


def test_without_a_server_the_text_is_printed_and_measured(environment: dict[str, str]) -> None:
    with program("direct.py", "tiny", "hello", env=environment, stdin=subprocess.DEVNULL) as direct:
        output, problems = direct.communicate(timeout=30)
    assert output.startswith("Hello, world\ncomplete: first after ")
    assert output.endswith(" s, 4 tokens\n")
    assert problems == ""


def test_without_a_server_a_key_stops_the_model_while_it_is_silent(
    environment: dict[str, str], upstream: Upstream, assistant: Served
) -> None:
    with program("direct.py", "tiny", "stall later", env=environment, stdin=subprocess.PIPE) as direct:
        assert direct.stdout is not None
        assert direct.stdout.read(5) == "Hello"
        output, problems = direct.communicate("\n", timeout=30)
    assert output.startswith("\nstopped after 5 characters\ncancelled: first after ")
    assert problems == ""
    assistant.until(lambda: left(assistant, upstream, "stall later"), within=0.5)


def test_the_lines_of_the_docstring_work(assistant: Served) -> None:
    first, second, third = curl_lines(FOLDER / "service.py")
    assert run_curl(first, assistant.port) == b"Hello, world"
    assert run_curl(second, assistant.port).startswith(b'id: 1\ndata: "Hello"\n\n')
    assert run_curl(third, assistant.port).startswith(b'{"item":{"content":"Hello","type":"content"}}\n')
