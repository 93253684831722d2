"""The answers of a language model behind the API of OpenAI, whole, broken in every way, and left by their clients."""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from curl import curl_lines, run_curl
from served import Served
from serving import serving

FOLDER = Path(__file__).parent
SILENCE = 1.0  # seconds


@pytest.fixture(scope="module")
def upstream() -> Iterator[Served]:
    with serving("examples/seeds/bentoml_llm/upstream.py") as served:
        yield served


def environment(port: int) -> dict[str, str]:
    return {"OPENAI_API_KEY": "k-4712", "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1"}


@pytest.fixture(scope="module")
def llm(upstream: Served) -> Iterator[Served]:
    options = ("--set", f"LLMExample.silence={SILENCE}", "--set", "LLMExample.model=tiny")
    target = "examples/seeds/bentoml_llm/service.py"
    with serving(target, *options, environment=environment(upstream.port)) as served:
        yield served
    assert "k-4712" not in "".join(served.output)


def text(llm: Served, prompt: str) -> str:
    status, headers, body = llm.post("/generate", {"prompt": prompt}, accept="*/*")
    assert (status, headers["content-type"]) == (200, "text/plain; charset=utf-8")
    return body.decode()


def events(llm: Served, prompt: str) -> list[dict[str, Any]]:
    _, _, body = llm.post("/generate", {"prompt": prompt}, accept="application/x-ndjson")
    return [json.loads(line) for line in body.splitlines()]


def idle(upstream: Served, within: float) -> None:
    """Waits until the model's server makes no answer."""
    upstream.until(lambda: upstream.state()["running"] == 0, within)


# -- answers


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("hello", "Hello, world"),
        ("azure", "Hello, world"),
        ("refusal", "I would rather not."),
        ("nothing", ""),
    ],
    ids=["plain", "chunks without a choice, a delta or text", "a refusal", "no text"],
)
def test_an_answer_is_the_text_of_its_chunks(llm: Served, prompt: str, answer: str) -> None:
    assert text(llm, prompt) == answer


def test_every_piece_of_text_is_an_item(llm: Served) -> None:
    *items, end = events(llm, "hello")
    assert items == [{"item": "Hello"}, {"item": ", "}, {"item": "world"}]
    assert end["end"]["items"] == 3


def test_the_prompt_goes_to_the_model_as_a_message_of_the_user(llm: Served, upstream: Served) -> None:
    text(llm, "hello")
    state = upstream.state()
    assert state["body"] == {"model": "tiny", "stream": True, "messages": [{"role": "user", "content": "hello"}]}
    assert state["key"] == "Bearer k-4712"


def test_text_arrives_while_the_model_makes_more(llm: Served, upstream: Served) -> None:
    with llm.send("/generate", {"prompt": "words"}) as connection:
        received = b""
        while b"3 " not in received:
            received += connection.recv(65536)
        assert upstream.state()["running"] == 1
    idle(upstream, within=1.0)


def test_two_answers_arrive_at_the_same_time(llm: Served, upstream: Served) -> None:
    with llm.send("/generate", {"prompt": "words"}) as one, llm.send("/generate", {"prompt": "words"}) as other:
        for _ in range(20):
            assert one.recv(65536)
            assert other.recv(65536)
        assert upstream.state()["running"] == 2
    idle(upstream, within=1.0)


# -- clients that leave


@pytest.mark.parametrize("prompt", ["stall first", "stall later", "words"])
def test_a_client_that_leaves_stops_the_model(llm: Served, upstream: Served, prompt: str) -> None:
    gone = llm.metric("headrace_streams_total", 'end="client_gone"')
    with llm.send("/generate", {"prompt": prompt}) as connection:
        upstream.until(lambda: upstream.state()["running"] == 1, within=5.0)
        if prompt != "stall first":
            assert connection.recv(65536)
    llm.until(lambda: llm.metric("headrace_streams_total", 'end="client_gone"') == gone + 1, within=0.5)
    idle(upstream, within=0.5)


def test_a_client_that_does_not_read_holds_the_model_up_until_it_leaves(llm: Served, upstream: Served) -> None:
    with llm.send("/generate", {"prompt": "flood"}):
        said = [0, 1]
        while said[-1] != said[-2]:
            time.sleep(0.2)
            said.append(upstream.state()["said"])
        assert upstream.state()["running"] == 1
    idle(upstream, within=0.5)


# -- failures


@pytest.mark.parametrize(
    ("prompt", "status", "code"),
    [
        ("no key", 502, "model_failed"),
        ("no model", 502, "model_failed"),
        ("broken", 502, "model_failed"),
        ("error first", 502, "model_failed"),
        ("busy", 503, "overloaded"),
        ("stall first", 504, "timeout_item"),
    ],
)
def test_a_failure_before_the_first_text_is_a_status(llm: Served, prompt: str, status: int, code: str) -> None:
    answered, _, body = llm.post("/generate", {"prompt": prompt}, accept="*/*")
    assert (answered, json.loads(body)["code"]) == (status, code)
    assert b"4711" not in body
    llm.line_with("WARNING seeds.bentoml_llm.failures: the model's server: ")


LATER = [
    ("error later", "model_failed"),
    ("garbage", "model_failed"),
    ("cut later", "truncated"),
    ("unfinished", "truncated"),
    ("done without a reason", "truncated"),
    ("stall later", "timeout_item"),
    ("filtered", "content_filter"),
    ("length", "length"),
]


@pytest.mark.parametrize(("prompt", "code"), LATER)
def test_a_failure_after_some_text_is_told_after_all_of_it(llm: Served, prompt: str, code: str) -> None:
    *items, end = events(llm, prompt)
    assert items == [{"item": "Hello"}, {"item": ", "}, {"item": "world"}]
    assert end["error"]["code"] == code
    assert "4711" not in json.dumps(end)


@pytest.mark.parametrize("prompt", [prompt for prompt, _ in LATER])
def test_plain_text_that_fails_is_a_connection_that_is_cut(llm: Served, prompt: str) -> None:
    with pytest.raises(http.client.IncompleteRead) as cut:
        text(llm, prompt)
    assert cut.value.partial == b"Hello, world"


def test_a_model_that_is_busy_says_when_to_come_back(llm: Served) -> None:
    assert llm.post("/generate", {"prompt": "busy"}, accept="*/*")[1]["retry-after"] == "7"


def test_a_server_that_fails_once_is_asked_again(llm: Served, upstream: Served) -> None:
    assert text(llm, "moody") == "Hello, world"
    assert upstream.state()["asked"]["moody"] == 2


def test_an_answer_that_has_begun_is_not_asked_for_again(llm: Served, upstream: Served) -> None:
    before = upstream.state()["asked"].get("cut later", 0)
    events(llm, "cut later")
    assert upstream.state()["asked"]["cut later"] == before + 1


def test_a_server_that_is_not_there_is_an_error_that_can_be_tried_again() -> None:
    target = "examples/seeds/bentoml_llm/service.py"
    with serving(target, "--set", "LLMExample.retries=0", environment=environment(9)) as served:
        status, _, body = served.post("/generate", {"prompt": "hello"}, accept="*/*")
    problem = json.loads(body)
    assert (status, problem["code"], problem["retryable"]) == (502, "connection_failed", True)


# -- as its documentation calls it


def client(llm: Served, prompt: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "client.py"), prompt, f"http://127.0.0.1:{llm.port}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_curl_line_of_the_program_works(llm: Served) -> None:
    (line,) = curl_lines(FOLDER / "service.py")
    assert run_curl(line, llm.port) == b"Hello, world"


def test_the_client_prints_the_answer(llm: Served) -> None:
    done = client(llm, "hello")
    assert (done.returncode, done.stdout) == (0, "Hello, world\n")


def test_the_client_prints_what_came_before_a_failure_and_tells_it(llm: Served) -> None:
    done = client(llm, "cut later")
    assert (done.returncode, done.stdout) == (1, "Hello, world")
    assert done.stderr == "truncated: The model's server has stopped in the middle of its answer.\n"
