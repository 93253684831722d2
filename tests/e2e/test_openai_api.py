"""OpenAI's API over real sockets: to the byte with raw requests, and as the `openai` package reads it."""

import contextlib
import json
import re
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from curl import run_curl
from process import peak_bytes, resident_bytes
from scripted_messages import SCRIPTED, script
from served import REPOSITORY, Serve, Served, receive

CHAT = "/v1/chat/completions"
PAGE = REPOSITORY / "docs" / "howto" / "openai.md"
LINE = re.compile(rb"data: (.*)\n\n")
WORKS_WITHIN = 0.5  # seconds; the model itself stops at once


@pytest.fixture(scope="module")
def client(scripted: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"http://127.0.0.1:{scripted.port}/v1", api_key="none", max_retries=0) as client:
        yield client


def asked(*steps: Any, **members: Any) -> dict[str, Any]:
    """A request whose last message is this script."""
    return {"model": "scripted", "messages": [{"role": "user", "content": script(*steps)}], **members}


def records(body: bytes) -> list[Any]:
    """The data of a stream of nothing but records and heartbeats."""
    found = LINE.findall(body.replace(b": keep-alive\n", b""))
    assert b"".join(b"data: %b\n\n" % each for each in found) == body.replace(b": keep-alive\n", b"")
    return [each.decode() if each == b"[DONE]" else json.loads(each) for each in found]


def leave(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def stopped(scripted: Served, closed: int) -> float:
    """Waits until one more generation was closed, and nothing runs; the seconds it took."""

    def holds() -> bool:
        state = scripted.state()
        return bool(state["closed"] == closed + 1 and state["running"] == 0)

    return scripted.until(holds, within=5)


# -- what is sent, to the byte


def test_a_stream_over_a_raw_socket(scripted: Served) -> None:
    request = asked("Hel", "lo", {"finish": "stop"}, {"usage": [3, 2]}, stream=True)
    with scripted.send(CHAT, request, accept="application/json") as connection:
        head, _, body = receive(connection, b"0\r\n\r\n").partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert lines[0] == "http/1.1 200 ok"
    assert "content-type: text/event-stream; charset=utf-8" in lines
    assert "cache-control: no-cache, no-transform" in lines
    assert "x-accel-buffering: no" in lines
    assert any(line.startswith("x-request-id: ") for line in lines)
    assert not any(line.startswith(("content-length", "content-encoding", "connection")) for line in lines)
    assert body.count(b"data: [DONE]\n\n") == 1
    assert body.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert b"\nid:" not in body


def test_the_end_and_the_sentinel_leave_in_one_write(scripted: Served) -> None:
    options = {"stream": True, "stream_options": {"include_usage": True}}
    with scripted.send(CHAT, asked("a", {"finish": "stop"}, {"usage": [1, 1]}, **options)) as connection:
        body = receive(connection, b"0\r\n\r\n").partition(b"\r\n\r\n")[2]
    chunks = re.findall(rb"[0-9a-f]+\r\n(.*?)\r\n(?=[0-9a-f]+\r\n)", body, re.DOTALL)
    (last,) = [chunk for chunk in chunks if b'finish_reason":"stop' in chunk]
    assert last.count(b"\n\n") == 3
    assert last.endswith(b"data: [DONE]\n\n")


def test_the_body_s_stream_decides_and_not_what_is_accepted(scripted: Served) -> None:
    request = asked("a", {"finish": "stop"})
    _, headers, body = scripted.post(CHAT, request, accept="text/event-stream")
    assert headers["content-type"] == "application/json"
    assert json.loads(body)["choices"][0]["message"]["content"] == "a"
    _, headers, _ = scripted.post(CHAT, {**request, "stream": True}, accept="application/json")
    assert headers["content-type"] == "text/event-stream; charset=utf-8"


def test_curl_gets_the_same_stream(scripted: Served) -> None:
    request = json.dumps(asked("Hel", "lo", {"finish": "stop"}, stream=True))
    line = ["curl", "-sSN", "--fail-with-body", f"http://127.0.0.1:{scripted.port}{CHAT}", "--json", request]
    body = subprocess.run(line, capture_output=True, timeout=20, check=True).stdout
    *chunks, done = records(body)
    assert done == "[DONE]"
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": ""},
        {"content": "Hel"},
        {"content": "lo"},
        {},
    ]
    assert len({(chunk["id"], chunk["created"]) for chunk in chunks}) == 1


def test_characters_that_some_readers_take_for_line_ends_are_escaped(scripted: Served) -> None:
    _, _, body = scripted.post(CHAT, asked("a\u2028b\u2029c\u0085d", {"finish": "stop"}, stream=True))
    assert b"a\\u2028b\\u2029c\\u0085d" in body


def test_the_status_waits_for_the_first_token_but_not_longer_than_the_heartbeat(serve: Serve) -> None:
    served = serve(SCRIPTED, "--heartbeat", "0.3")
    with served.send(CHAT, asked({"gap": True}, "late", {"finish": "stop"}, stream=True)) as connection:
        since = time.monotonic()
        began = receive(connection, b"keep-alive\n")
        assert time.monotonic() - since > 0.2
        assert began.startswith(b"HTTP/1.1 200")
        assert b"data:" not in began
        served.request("GET", "/go")
        rest = receive(connection, b"0\r\n\r\n")
    assert b'"content":"late"' in rest
    assert b": keep-alive\n\n" not in began + rest


@pytest.mark.parametrize(
    "path",
    [
        *(CHAT, "/v1/completions", "/v1/responses", "/v1/embeddings", "/v1/messages"),
        *(f"/openai/deployments/x/{name}" for name in ("chat/completions", "completions", "embeddings")),
    ],
)
def test_the_commands_that_refusals_print_work(scripted: Served, path: str) -> None:
    wrong_method = scripted.request("GET", path)
    wrong_type = scripted.request("POST", path, b"model=scripted", {"content-type": "text/plain"})
    assert (wrong_method[0], wrong_type[0]) == (405, 415)
    for _, _, body in (wrong_method, wrong_type):
        _, found, arguments = json.loads(body)["error"]["message"].partition("curl ")
        assert json.loads(run_curl(found + arguments, scripted.port))


def test_the_command_for_a_model_works(scripted: Served) -> None:
    _, _, body = scripted.request("POST", "/v1/models/x", b"{}", {"content-type": "application/json"})
    _, found, arguments = json.loads(body)["error"]["message"].partition("curl ")
    assert json.loads(run_curl(found + arguments, scripted.port))["id"] == "scripted"


# -- models


def test_the_models(client: openai.OpenAI) -> None:
    models = client.models.list().data
    assert [(model.id, model.object, model.created, model.owned_by) for model in models] == [
        ("scripted", "model", 1_700_000_000, "tests"),
        ("other/name", "model", 1_700_000_000, "tests"),
    ]
    assert client.models.retrieve("other/name").id == "other/name"


def test_a_model_that_is_not_here_is_404(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-9")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": "hi"}])


# -- the openai package


def test_an_answer(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(**asked("Hel", "lo", {"finish": "stop"}, {"usage": [3, 2]}))
    assert completion.id.startswith("chatcmpl-")
    assert completion.choices[0].message.content == "Hello"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.total_tokens == 5
    assert completion._request_id


def test_a_streamed_answer_with_its_usage(client: openai.OpenAI) -> None:
    script = asked("Hel", "lo", {"finish": "length"}, {"usage": [3, 2, 1]})
    stream = client.chat.completions.create(**script, stream=True, stream_options={"include_usage": True})
    *chunks, last = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello"
    assert chunks[-1].choices[0].finish_reason == "length"
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.prompt_tokens_details is not None
    assert last.usage.prompt_tokens_details.cached_tokens == 1


def test_the_package_s_own_accumulator_gathers_what_it_is_told(client: openai.OpenAI) -> None:
    script = asked(
        {"text": "b", "index": 1},
        {"refusal": "no", "index": 2},
        "a",
        {"call": 0, "id": "call_a", "name": "f", "arguments": '{"x"'},
        {"call": 1, "id": "call_b", "name": "g"},
        {"call": 0, "arguments": ": 1}"},
        {"call": 1, "arguments": "{}"},
        {"finish": "tool_calls"},
        {"finish": "stop", "index": 1},
        {"finish": "stop", "index": 2},
        {"usage": [3, 2]},
        n=3,
        tools=[{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("f", "g")],
    )
    with client.chat.completions.stream(**script) as stream:
        for _ in stream:
            pass
        first, second, third = stream.get_final_completion().choices
    assert first.message.content == "a"
    assert [(call.id, call.function.name, call.function.arguments) for call in first.message.tool_calls or ()] == [
        ("call_a", "f", '{"x": 1}'),
        ("call_b", "g", "{}"),
    ]
    assert [choice.finish_reason for choice in (first, second, third)] == ["tool_calls", "stop", "stop"]
    assert (second.message.content, third.message.refusal) == ("b", "no")
    assert [choice.message.role for choice in (first, second, third)] == ["assistant"] * 3


@pytest.mark.parametrize("stream", [True, False])
def test_a_call_that_was_forced_ends_with_stop(scripted: Served, stream: bool) -> None:
    script = asked(
        {"call": 0, "id": "call_a", "name": "f", "arguments": "{}"},
        {"finish": "tool_calls"},
        tools=[{"type": "function", "function": {"name": "f"}}],
        tool_choice={"type": "function", "function": {"name": "f"}},
        stream=stream,
    )
    body = scripted.post(CHAT, script)[2]
    assert b'"finish_reason":"stop"' in body
    assert b'"name":"f"' in body


def test_the_form_of_old_is_answered_in_the_form_of_old(client: openai.OpenAI) -> None:
    script = asked(
        {"call": 0, "id": "call_a", "name": "f", "arguments": "{}"},
        {"finish": "tool_calls"},
        functions=[{"name": "f", "parameters": {"type": "object"}}],
    )
    choice = client.chat.completions.create(**script).choices[0]
    assert choice.finish_reason == "function_call"
    assert choice.message.function_call is not None
    assert (choice.message.function_call.name, choice.message.function_call.arguments) == ("f", "{}")
    deltas = [chunk.choices[0].delta for chunk in client.chat.completions.create(**script, stream=True)]
    assert [delta.function_call.arguments for delta in deltas if delta.function_call] == ["{}"]


def test_reasoning_is_told_beside_the_text(client: openai.OpenAI) -> None:
    script = asked({"reasoning": "Let me see."}, "Yes.", {"finish": "stop"})
    message: Any = client.chat.completions.create(**script).choices[0].message
    assert (message.reasoning_content, message.content) == ("Let me see.", "Yes.")
    deltas: list[Any] = [chunk.choices[0].delta for chunk in client.chat.completions.create(**script, stream=True)]
    assert [delta.reasoning_content for delta in deltas if hasattr(delta, "reasoning_content")] == ["Let me see."]


@pytest.mark.parametrize("stream", [True, False])
def test_logprobs_are_told_where_they_were_asked_for(client: openai.OpenAI, stream: bool) -> None:
    step = {"text": "Hi", "logprobs": [["H", -0.5, ["H", -0.5], ["h", -1.0]], ["i", -0.25]]}
    script = asked(step, {"finish": "stop"}, logprobs=True, top_logprobs=2)
    made: Any = client.chat.completions.create(**script, stream=stream)
    choices = [chunk.choices[0] for chunk in made] if stream else [made.choices[0]]
    tokens = [token for choice in choices if choice.logprobs for token in choice.logprobs.content]
    assert [(token.token, token.bytes, token.logprob) for token in tokens] == [("H", [72], -0.5), ("i", [105], -0.25)]
    assert [(each.token, each.logprob) for each in tokens[0].top_logprobs] == [("H", -0.5), ("h", -1.0)]


def test_what_is_asked_for_reaches_the_engine(client: openai.OpenAI, scripted: Served) -> None:
    client.chat.completions.create(
        model="other/name",
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": " b"}]},
        ],
        temperature=0.25,
        top_p=0.5,
        seed=7,
        max_completion_tokens=9,
        stop=["x", "y"],
        presence_penalty=1,
        frequency_penalty=-1,
        logit_bias={"5": -100},
        user="somebody",
        service_tier="auto",
    )
    last = scripted.state()["last"]
    assert [(message["role"], message["content"]) for message in last["messages"]] == [
        ("system", "Be brief."),
        ("user", "a b"),
    ]
    assert last["sampling"] == {
        "temperature": 0.25,
        "top_p": 0.5,
        "seed": 7,
        "max_tokens": 9,
        "stop": ["x", "y"],
        "top_k": None,
        "presence_penalty": 1.0,
        "frequency_penalty": -1.0,
        "logit_bias": {"5": -100.0},
        "logprobs": None,
    }


def test_a_completion_of_several_prompts(client: openai.OpenAI) -> None:
    completion = client.completions.create(model="scripted", prompt=["a b", "c"], n=2)
    assert [(choice.index, choice.text) for choice in completion.choices] == [
        (0, "a b"),
        (1, "a b"),
        (2, "c"),
        (3, "c"),
    ]
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (3, 6)


def test_a_streamed_completion(client: openai.OpenAI) -> None:
    chunks = list(client.completions.create(model="scripted", prompt="once upon", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == "once upon"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert {chunk.object for chunk in chunks} == {"text_completion"}


def test_a_prompt_of_token_ids(client: openai.OpenAI) -> None:
    assert client.completions.create(model="scripted", prompt=[1, 2]).choices[0].text == "[1, 2]"


def test_embeddings(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model="scripted", input=["a bc", "d"])
    assert [item.embedding for item in answer.data] == [[4.0, 0.5], [1.0, 0.5]]
    numbers = client.embeddings.create(model="scripted", input="a bc", encoding_format="float")
    assert numbers.data[0].embedding == [4.0, 0.5]
    assert answer.usage.total_tokens == 3


def test_azure_s_client(scripted: Served) -> None:
    with openai.AzureOpenAI(
        azure_endpoint=f"http://127.0.0.1:{scripted.port}",
        azure_deployment="scripted",
        api_key="none",
        api_version="2026-01-01",
        max_retries=0,
    ) as client:
        completion = client.chat.completions.create(**asked("a", {"finish": "stop"}))
        assert completion.choices[0].message.content == "a"
        chunks = client.chat.completions.create(**asked("a", {"finish": "stop"}), stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "a"


async def test_the_asynchronous_client_reads_to_the_end(scripted: Served) -> None:
    async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{scripted.port}/v1", api_key="none") as client:
        for _ in range(3):  # on one connection, which only a body that ends at once leaves free
            stream = await client.chat.completions.create(**asked("a", "b", {"finish": "stop"}), stream=True)
            assert [chunk.choices[0].delta.content async for chunk in stream] == ["", "a", "b", None]


# -- bad input


@pytest.mark.parametrize(
    ("request_", "parameter"),
    [
        ({}, "model"),
        ({"model": "scripted"}, "messages"),
        ({"model": "scripted", "messages": []}, "messages"),
        ({"model": "scripted", "messages": [{"role": "robot", "content": "a"}]}, "messages[0].role"),
        (asked(n=129), "n"),
        (asked(n=10**9), "n"),
        (asked(logprobs=True, top_logprobs=21), "top_logprobs"),
        (asked(temperature=3), "temperature"),
        (
            asked(tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "strng"}}}]),
            "tools[0].function.parameters",
        ),
        (
            asked(response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": 1}}}),
            "response_format.json_schema.schema",
        ),
    ],
)
def test_bad_input_is_400_and_named(scripted: Served, request_: dict[str, Any], parameter: str) -> None:
    before = scripted.state()["asked"]
    status, headers, body = scripted.post(CHAT, request_)
    error = json.loads(body)["error"]
    assert (status, headers["content-type"], error["param"]) == (400, "application/json", parameter)
    assert error["type"] == "invalid_request_error"
    assert "x-request-id" in headers
    assert scripted.state()["asked"] == before


def test_a_body_that_is_no_json_is_400(scripted: Served) -> None:
    status, _, body = scripted.request("POST", CHAT, b"{nope", {"content-type": "application/json"})
    assert (status, json.loads(body)["error"]["code"]) == (400, "malformed_body")


def test_the_wrong_method_is_told_in_the_api_s_form(scripted: Served) -> None:
    status, headers, body = scripted.request("GET", CHAT)
    assert (status, headers["allow"]) == (405, "POST")
    assert isinstance(json.loads(body)["error"]["message"], str)


@pytest.mark.parametrize(
    ("path", "member", "item"),
    [
        ("/v1/completions", "prompt", b'"a"'),
        ("/v1/completions", "prompt", b"50256"),
        ("/v1/completions", "prompt", b"[1]"),
        ("/v1/embeddings", "input", b'"a"'),
        (CHAT, "messages", b"{}"),
    ],
)
def test_a_million_of_anything_is_refused_at_once_and_costs_little(
    serve: Serve, path: str, member: str, item: bytes
) -> None:
    served = serve(SCRIPTED)
    assert served.post(CHAT, asked("a", {"finish": "stop"}))[0] == 200
    before = resident_bytes(served.process.pid)
    body = b'{"model": "scripted", "%b": [%b]}' % (member.encode(), b",".join([item] * 1_000_000))
    since = time.monotonic()
    status, _, answer = served.request("POST", path, body, {"content-type": "application/json"})
    seconds = time.monotonic() - since
    assert (status, json.loads(answer)["error"]["code"]) == (400, "invalid_value")
    assert "the body has more than 262144 values" in json.loads(answer)["error"]["message"]
    assert peak_bytes(served.process.pid) - before < 16e6
    assert seconds < 2


def test_a_prompt_of_more_tokens_than_the_context_never_reaches_the_engine(scripted: Served) -> None:
    before = scripted.state()["asked"]
    status, _, body = scripted.post("/v1/completions", {"model": "scripted", "prompt": [1] * 100})
    error = json.loads(body)["error"]
    assert (status, error["code"], error["param"]) == (400, "context_length_exceeded", "prompt")
    assert scripted.state()["asked"] == before


def test_a_context_that_is_too_long_is_400(client: openai.OpenAI) -> None:
    for stream in (True, False):
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(**asked({"too_long": True}), stream=stream)
        assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "messages")
        assert "This model's maximum context length is 100 tokens: the prompt has 120 tokens" in caught.value.message


# -- keys


def test_a_server_with_a_key_answers_every_client_that_has_it(serve: Serve) -> None:
    served = serve(SCRIPTED, environment={"HEADRACE_API_KEY": "right"})
    request = asked("a", {"finish": "stop"})
    for headers in ({"authorization": "Bearer right"}, {"api_key": "right"}, {"x_api_key": "right"}):
        assert served.post(CHAT, request, **headers)[0] == 200
    status, headers, body = served.post(CHAT, request, authorization="Bearer wrong")
    assert (status, json.loads(body)["error"]["code"]) == (401, "invalid_api_key")
    assert b"wrong" not in body
    with (
        openai.OpenAI(base_url=f"http://127.0.0.1:{served.port}/v1", api_key="wrong") as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.models.list()


# -- failures


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("step", "status", "code", "headers"),
    [
        ({"fail": 429, "retry_after": 7}, 429, "upstream_failed", {"retry-after": "7"}),
        ({"fail": 503}, 503, "upstream_failed", {}),
        ({"fail": 409}, 409, "upstream_failed", {}),
        ({"crash": True}, 500, "internal", {"x-should-retry": "false"}),
    ],
)
def test_a_failure_before_the_first_token_is_a_status(
    scripted: Served, step: dict[str, Any], status: int, code: str, headers: dict[str, str], stream: bool
) -> None:
    found, told, body = scripted.post(CHAT, asked(step, stream=stream))
    assert (found, json.loads(body)["error"]["code"]) == (status, code)
    assert headers.items() <= told.items()
    assert b"secret" not in body


def test_the_client_tries_again_where_that_helps_and_not_where_it_cannot(scripted: Served) -> None:
    with openai.OpenAI(base_url=f"http://127.0.0.1:{scripted.port}/v1", api_key="none", max_retries=1) as client:
        for step, tries in (({"fail": 503, "retry_after": 1}, 2), ({"crash": True}, 1)):
            before = scripted.state()["asked"]
            with pytest.raises(openai.InternalServerError):
                client.chat.completions.create(**asked(step))
            assert scripted.state()["asked"] - before == tries


@pytest.mark.parametrize("step", [{"fail": 503}, {"crash": True}, {"text": "a", "index": 5}])
def test_a_failure_after_the_first_token_is_an_error_and_no_end(
    scripted: Served, client: openai.OpenAI, step: dict[str, Any]
) -> None:
    script = asked("so far", step, {"finish": "stop"})
    status, _, body = scripted.post(CHAT, {**script, "stream": True})
    *_, last = records(body)
    assert status == 200
    assert last["error"]["type"] == "server_error"
    assert b"[DONE]" not in body
    assert b'"finish_reason":"' not in body
    chunks = iter(client.chat.completions.create(**script, stream=True))
    assert [next(chunks).choices[0].delta.content for _ in range(2)] == ["", "so far"]
    with pytest.raises(openai.APIError):
        next(chunks)


@pytest.mark.parametrize("n", [1, 2])
def test_an_engine_that_stops_in_the_middle_has_failed(scripted: Served, n: int) -> None:
    steps: list[Any] = ["a"] if n == 1 else ["a", {"finish": "stop"}, {"text": "b", "index": 1}]
    _, _, body = scripted.post(CHAT, asked(*steps, {"usage": [1, 1]}, stream=True, n=n))
    *_, last = records(body)
    assert last["error"]["code"] == "truncated"
    assert b'"finish_reason":"' not in body
    status, _, body = scripted.post(CHAT, asked(*steps, n=n))
    assert (status, json.loads(body)["error"]["code"]) == (502, "truncated")


def test_an_engine_that_dies_makes_the_server_not_ready(serve: Serve) -> None:
    served = serve(SCRIPTED)
    assert served.request("GET", "/readyz")[0] == 200
    served.post(CHAT, asked({"die": True}, {"finish": "stop"}))
    assert served.request("GET", "/readyz")[0] == 503


def test_a_full_server_says_when_to_come_back(serve: Serve) -> None:
    served = serve(SCRIPTED, "--max-concurrency", "1", "--max-queue", "0")
    with served.send(CHAT, asked("a", {"gap": True}, {"finish": "stop"}, stream=True)) as connection:
        receive(connection, b'"content":"a"')
        status, headers, body = served.post(CHAT, asked("b", {"finish": "stop"}))
        leave(connection)
    error = json.loads(body)["error"]
    assert (status, error["type"], error["code"]) == (503, "server_error", "overloaded")
    assert int(headers["retry-after"]) >= 1
    assert "x-should-retry" not in headers


# -- cancellation


@pytest.mark.parametrize(
    ("steps", "members", "until"),
    [
        ([{"wait": True}], {"stream": True}, None),
        ([{"wait": True}], {}, None),
        (["a", {"wait": True}], {"stream": True}, b'"content":"a"'),
        (["a", {"wait": True}], {}, None),
        ([{"text": "a", "index": 1}, {"wait": True}], {"stream": True, "n": 3}, b'"content":"a"'),
    ],
)
def test_a_client_that_leaves_stops_the_model(
    scripted: Served, steps: list[Any], members: dict[str, Any], until: bytes | None
) -> None:
    closed = scripted.state()["closed"]
    connection = scripted.send(CHAT, asked(*steps, **members))
    if until is not None:
        receive(connection, until)
    scripted.until(lambda: scripted.state()["running"] == 1, within=5)
    leave(connection)
    assert stopped(scripted, closed) < WORKS_WITHIN


def test_a_client_that_leaves_stops_all_its_prompts(scripted: Served) -> None:
    closed = scripted.state()["closed"]
    prompts = [script({"wait": True})] * 3
    connection = scripted.send("/v1/completions", {"model": "scripted", "prompt": prompts, "stream": True})
    scripted.until(lambda: scripted.state()["running"] == 3, within=5)
    leave(connection)
    scripted.until(lambda: scripted.state()["running"] == 0, within=WORKS_WITHIN)
    assert scripted.state()["closed"] == closed + 3


def test_the_package_s_own_close_stops_the_model(client: openai.OpenAI, scripted: Served) -> None:
    closed = scripted.state()["closed"]
    with client.chat.completions.create(**asked("a", {"wait": True}), stream=True) as stream:
        assert [next(stream).choices[0].delta.content for _ in range(2)] == ["", "a"]
    assert stopped(scripted, closed) < WORKS_WITHIN


def test_a_stream_can_be_stopped_by_its_id(scripted: Served) -> None:
    with scripted.send(CHAT, asked("a", {"wait": True}, stream=True)) as connection:
        head = receive(connection, b'"content":"a"')
        (id_,) = re.findall(rb"headrace-stream-id: (\S+)", head)
        scripted.request("DELETE", f"/streams/{id_.decode()}")
        rest = receive(connection, b"0\r\n\r\n")
    assert b'"code":"cancelled"' in rest
    assert b"[DONE]" not in rest


# -- the built-in model


def test_the_built_in_model_answers_through_the_package(serve: Serve) -> None:
    served = serve("headrace.demo:Chat")
    hello: Any = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}]}
    with openai.OpenAI(base_url=f"http://127.0.0.1:{served.port}/v1", api_key="none", max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["tiny", "tinychat"]
        whole = client.chat.completions.create(**hello, logprobs=True, top_logprobs=2)
        text = whole.choices[0].message.content
        assert text == "Hello! How can I help you today?"
        assert whole.choices[0].logprobs is not None
        assert "".join(token.token for token in whole.choices[0].logprobs.content or ()) == text
        with client.chat.completions.stream(**hello) as stream:
            stream.until_done()
            assert stream.get_final_completion().choices[0].message.content == text
        assert client.completions.create(
            model="tinychat", prompt="Once upon a time", max_tokens=3, temperature=0
        ).choices
        two = client.chat.completions.create(**hello, n=2, temperature=1.0, seed=5)
        assert [choice.index for choice in two.choices] == [0, 1]
        with pytest.raises(openai.NotFoundError, match="makes no embeddings"):
            client.embeddings.create(model="tiny", input="hi")
        with pytest.raises(openai.BadRequestError, match="cannot call functions"):
            client.chat.completions.create(**hello, tools=[{"type": "function", "function": {"name": "f"}}])
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "a " * 3000}])
    assert caught.value.code == "context_length_exceeded"


def test_a_reader_that_leaves_frees_the_built_in_model(serve: Serve) -> None:
    served = serve("headrace.demo:Chat")
    story: Any = {"model": "tiny", "messages": [{"role": "user", "content": "Tell me a story."}], "stream": True}
    with contextlib.closing(served.send(CHAT, {**story, "temperature": 1, "max_tokens": 900})) as connection:
        receive(connection, b'"content":"')
        leave(connection)
    served.until(lambda: served.metric("headrace_streams_live") == 0, within=2)


# -- the page


def test_what_the_page_shows_works(serve: Serve, tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "app.py").write_text(blocks[0])
    served = serve("app.py:app", folder=tmp_path)
    program = blocks[1].replace("localhost:8000", f"127.0.0.1:{served.port}")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.startswith("A token is a small piece of text, ")
