"""`/v1/messages` through curl and raw connections: the records, the errors, and what happens when the reader leaves."""

import json
import subprocess
from typing import Any

import pytest
from records import records
from scripted_messages import SCRIPTED, leave_early, script
from served import Serve, Served, receive

ENDS = {"finish": "stop"}, {"usage": [7, 5]}
WEATHER = {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}


def ask(*steps: Any, **members: Any) -> dict[str, Any]:
    turn = {"role": "user", "content": script(*steps)}
    return {"model": "scripted", "max_tokens": 50, "messages": [turn], **members}


def answer(scripted: Served, *steps: Any, **members: Any) -> tuple[int, Any]:
    status, headers, body = scripted.post("/v1/messages", ask(*steps, **members))
    assert headers["content-type"] == "application/json"
    assert headers["x-request-id"]
    return status, json.loads(body)


def streamed(scripted: Served, *steps: Any, **members: Any) -> list[tuple[str, Any]]:
    status, headers, body = scripted.post("/v1/messages", ask(*steps, stream=True, **members))
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    return records(body)


def test_a_whole_message(scripted: Served) -> None:
    status, message = answer(scripted, {"reasoning": "hm"}, "It is ", "wet.", *ENDS, system="be")
    assert status == 200
    assert message.pop("id").startswith("msg_")
    assert message == {
        "type": "message",
        "role": "assistant",
        "model": "scripted",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": ""},
            {"type": "text", "text": "It is wet."},
        ],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 7,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 5,
        },
    }
    last = scripted.state()["last"]
    assert (last["messages"][0]["role"], last["messages"][0]["content"]) == ("system", "be")
    assert last["sampling"]["max_tokens"] == 50


def test_a_stream_has_its_events_in_order(scripted: Served) -> None:
    found = streamed(scripted, "It is ", "wet.", *ENDS)
    assert [name for name, _ in found] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert all(members["type"] == name for name, members in found)
    assert found[5][1]["usage"] == {
        "input_tokens": 7,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 5,
    }


def test_curl_sees_each_record_on_lines_of_its_own(scripted: Served) -> None:
    url = f"http://127.0.0.1:{scripted.port}/v1/messages"
    body = json.dumps(ask("a\u2028", *ENDS, stream=True))
    headers = ["-H", "x-api-key: key", "-H", "anthropic-version: 2023-06-01", "-H", "content-type: application/json"]
    curl = subprocess.run(["curl", "-sN", url, *headers, "-d", body], capture_output=True, timeout=20, check=True)
    lines = curl.stdout.decode().splitlines()
    assert lines[3:6] == [
        "event: content_block_start",
        'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
        "",
    ]
    assert lines[7] == (
        'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a\\u2028"}}'
    )
    assert lines[-3:] == ["event: message_stop", 'data: {"type":"message_stop"}', ""]


def test_tools_are_used_and_their_results_go_back(scripted: Served) -> None:
    script = [
        "Wait.",
        {"call": 0, "id": "toolu_a", "name": "weather", "arguments": '{"city":'},
        {"call": 0, "arguments": '"Oslo"}'},
        {"finish": "tool_calls"},
    ]
    _, message = answer(scripted, *script, tools=[WEATHER])
    assert message["stop_reason"] == "tool_use"
    use = {"type": "tool_use", "id": "toolu_a", "name": "weather", "input": {"city": "Oslo"}}
    assert message["content"] == [{"type": "text", "text": "Wait."}, use]
    turns = [
        {"role": "user", "content": "and?"},
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_a", "content": "wet"}]},
    ]
    answer(scripted, messages=turns, tools=[WEATHER], tool_choice={"type": "any"})
    last = scripted.state()["last"]
    assert [(turn["role"], turn["content"], turn["tool_call_id"]) for turn in last["messages"]] == [
        ("user", "and?", None),
        ("assistant", "Wait.", None),
        ("tool", "wet", "toolu_a"),
    ]
    assert last["messages"][1]["tool_calls"][0]["arguments"] == '{"city":"Oslo"}'
    assert last["tool_choice"] == "required"


@pytest.mark.parametrize(
    ("finish", "reason", "sequence"),
    [
        ({"finish": "length"}, "max_tokens", None),
        ({"finish": "stop", "stop": "END"}, "stop_sequence", "END"),
        ({"finish": "content_filter"}, "refusal", None),
    ],
)
def test_a_message_says_why_it_stopped(
    scripted: Served, finish: dict[str, Any], reason: str, sequence: str | None
) -> None:
    told = {"stop_reason": reason, "stop_sequence": sequence}
    _, message = answer(scripted, "a", finish)
    assert {name: message[name] for name in told} == told
    assert streamed(scripted, "a", finish)[-2][1]["delta"] == told


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("step", "status", "kind"),
    [
        ({"fail": 429}, 429, "rate_limit_error"),
        ({"fail": 503}, 503, "overloaded_error"),
        ({"too_long": True}, 400, "invalid_request_error"),
        ({"crash": True}, 500, "api_error"),
    ],
)
def test_a_failure_before_the_first_token_is_a_status(
    scripted: Served, step: dict[str, Any], status: int, kind: str, stream: bool
) -> None:
    found, error = answer(scripted, step, stream=stream)
    assert (found, error["type"], error["error"]["type"]) == (status, "error", kind)
    assert error["request_id"]


def test_how_long_to_wait_is_told(scripted: Served) -> None:
    status, headers, _ = scripted.post("/v1/messages", ask({"fail": 429, "retry_after": 7}))
    assert (status, headers["retry-after"]) == (429, "7")
    assert headers["request-id"] == headers["x-request-id"]


def test_the_key_stands_where_this_apis_clients_send_it(serve: Serve) -> None:
    served = serve(SCRIPTED, environment={"HEADRACE_API_KEY": "secret"})
    status, _, body = served.post("/v1/messages", ask("a", *ENDS), x_api_key="wrong")
    assert (status, json.loads(body)["error"]["type"]) == (401, "authentication_error")
    assert served.post("/v1/messages", ask("a", *ENDS), x_api_key="secret")[0] == 200


@pytest.mark.parametrize("step", [{"fail": 503}, {"crash": True}, {}])
def test_a_failure_in_the_middle_is_the_last_record(scripted: Served, step: dict[str, Any]) -> None:
    found = streamed(scripted, "so", " far", step)
    assert [name for name, _ in found][-2:] == ["content_block_delta", "error"]
    assert found[-1][1]["error"]["type"] == "api_error"
    assert "secret" not in found[-1][1]["error"]["message"]


@pytest.mark.parametrize(
    ("members", "status", "message"),
    [
        ({"model": "none"}, 404, 'model "none" does not exist'),
        ({"max_tokens": None}, 400, "max_tokens: "),
        ({"messages": []}, 400, "messages: "),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, 400, "messages[0].content[0]: blocks of"),
        ({"tools": [{"name": "f", "input_schema": {"properties": 5}}]}, 400, "tools[0].input_schema: not a JSON"),
    ],
)
def test_what_cannot_be_answered_is_refused(
    scripted: Served, members: dict[str, Any], status: int, message: str
) -> None:
    found, error = answer(scripted, "a", **members)
    assert found == status
    assert error["error"]["type"] == ("not_found_error" if status == 404 else "invalid_request_error")
    assert message in error["error"]["message"]


@pytest.mark.parametrize("stream", [True, False])
def test_the_model_stops_when_the_reader_leaves_before_the_first_token(scripted: Served, stream: bool) -> None:
    leave_early(scripted, "/v1/messages", ask({"wait": True}, stream=stream))


def test_the_model_stops_when_the_reader_leaves_in_the_middle(scripted: Served) -> None:
    closed = scripted.state()["closed"]
    connection = scripted.send("/v1/messages", ask("a", {"wait": True}, stream=True))
    receive(connection, b"content_block_delta")
    connection.close()
    scripted.until(lambda: scripted.state()["running"] == 0, within=1)
    assert scripted.state()["closed"] == closed + 1


def test_a_silent_stream_beats_with_a_comment_of_one_line(scripted: Served) -> None:
    with scripted.send("/v1/messages", ask({"wait": True}, stream=True)) as connection:
        beaten = receive(connection, b": keep-alive\n")
    assert beaten.startswith(b"HTTP/1.1 200 ")
    assert b": keep-alive\n\n" not in beaten
