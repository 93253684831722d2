"""WebSockets with a client that is not ours, against a real server."""

import asyncio
import json
import time
from typing import Any

import pytest
from crowd import lift_descriptor_limit
from figures import FULL
from process import resident_bytes
from served import Serve, Served
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

V1 = [Subprotocol("headrace.v1")]


async def rest(session: ClientConnection) -> tuple[list[Any], int, str]:
    """All messages to the close, its code and its reason."""
    messages: list[Any] = []
    try:
        async with asyncio.timeout(20):
            while True:
                messages.append(await session.recv())
    except ConnectionClosed:
        return messages, session.close_code or 0, session.close_reason or ""


def talk(served: Served, path: str, *said: str | bytes, v1: bool = False) -> tuple[list[Any], int, str]:
    """A whole session."""

    async def session() -> tuple[list[Any], int, str]:
        async with connect(f"ws://127.0.0.1:{served.port}{path}", subprotocols=V1 if v1 else None) as opened:
            for message in said:
                await opened.send(message)
            return await rest(opened)

    return asyncio.run(session())


@pytest.mark.parametrize(
    ("path", "said", "messages"),
    [
        ("/count", ['{"to": 3}'], ["0\n", "1\n", "2\n"]),
        ("/count?to=2", [], ["0\n", "1\n"]),
        ("/tokens", ['{"to": 2}'], ['{"text":"t0","number":0}', '{"text":"t1","number":1}']),
        (
            "/typed",
            ['{"to": 1}'],
            ['{"header":{"rate":16000}}', '{"text":"t0","number":0}', '{"footer":{"done":"yes"}}'],
        ),
        ("/sound", [], [b"RIFF", bytes(range(256))]),
        ("/sync", ['{"to": 3}'], ["0 ", "1 ", "2 "]),
        ("/add", ['{"a": 1, "b": 2}'], ["3"]),
        ("/slow_add", ['{"a": 1, "b": 2}'], ["3"]),
        ("/length", [b"\x00\xff"], ["2"]),
        ("/say", ['{"texts": ["", "\\u2028", "\\ud83d\\ude00"]}'], ["", "\u2028", "\U0001f600"]),
    ],
)
def test_plain_messages_are_the_items(trials: Served, path: str, said: list[Any], messages: list[Any]) -> None:
    assert talk(trials, path, *said) == (messages, 1000, "")


@pytest.mark.parametrize(
    ("path", "said", "items"),
    [
        ("/count", ['{"to": 2}'], ["0\n", "1\n"]),
        ("/tokens", ['{"to": 1}'], [{"text": "t0", "number": 0}]),
        ("/add", ['{"a": 1, "b": 2}'], [3]),
        ("/parrot", ['{"prefix": ">"}', '{"item": "a"}', '{"item": "b"}', '{"end": {}}'], [">a", ">b"]),
        ("/shout", ['{"item": {"text": "a", "number": 1}}', '{"end": {}}'], ["A\n"]),
    ],
)
def test_under_the_subprotocol_items_and_ending_are_objects(
    trials: Served, path: str, said: list[Any], items: list[Any]
) -> None:
    messages, code, _ = talk(trials, path, *said, v1=True)
    *objects, end = map(json.loads, messages)
    assert [each["item"] for each in objects] == items
    assert (end["end"]["items"], code) == (len(items), 1000)


def test_a_large_item_and_many_small_ones_keep_their_borders(trials: Served) -> None:
    for size in (125, 126, 65_535, 65_536, 1_000_000):
        text = "x" * size
        assert talk(trials, "/say", json.dumps({"texts": [text, "y", text]}))[0] == [text, "y", text]
    messages, code, _ = talk(trials, "/count", '{"to": 20000}')
    assert (messages, code) == ([f"{n}\n" for n in range(20_000)], 1000)


@pytest.mark.parametrize(
    ("path", "said", "code", "reason"),
    [
        ("/fails", ['{"after": 2}'], 1011, "internal: "),
        ("/fails", ['{"after": 2, "how": "busy"}'], 1011, "model_busy: all slots are taken"),
        ("/wrong_item", [], 1011, "invalid_item: "),
        ("/add", ['{"a": 1}'], 1008, "invalid_arguments: HR16 /b: "),
        ("/add", ["{"], 1007, "malformed_body: "),
        ("/add", [b"{}"], 1003, "unsupported_media_type: "),
        ("/silent", ["surplus"], 1008, "bad_request: a message came that nobody expects"),
    ],
)
def test_a_failure_closes_with_its_code_and_says_why(
    trials: Served, path: str, said: list[Any], code: int, reason: str
) -> None:
    for v1 in (False, True):
        messages, closed, why = talk(trials, path, *said, v1=v1)
        assert closed == code
        assert why.startswith(reason)
        assert len(why.encode()) <= 123
        assert not v1 or json.loads(messages[-1])["error"]["code"] == reason.partition(":")[0]


def test_a_message_above_the_limit_is_1009(serve: Serve) -> None:
    served = serve("tests/e2e/trials.py", "--max-body", "1000")
    assert talk(served, "/length", b"x" * 1000) == (["1000"], 1000, "")
    assert talk(served, "/length", b"x" * 1001)[1] == 1009


def test_a_refused_handshake_is_a_problem_document(trials: Served) -> None:
    with pytest.raises(InvalidStatus) as refused:
        talk(trials, "/coutn")
    assert refused.value.response.status_code == 404
    document = json.loads(bytes(refused.value.response.body or b""))
    assert (document["code"], document["detail"]) == (
        "not_found",
        "there is nothing at this path. Did you mean /count?",
    )


def test_a_deadline_holds(trials: Served) -> None:
    async def session() -> tuple[list[Any], int, str]:
        url = f"ws://127.0.0.1:{trials.port}/silent"
        async with connect(url, additional_headers={"headrace-timeout": "0.3"}) as opened:
            return await rest(opened)

    began = time.monotonic()
    assert asyncio.run(session())[1:] == (1011, "deadline_exceeded: The stream was not complete at its deadline.")
    assert 0.3 <= time.monotonic() - began < 1.0


def test_a_session_is_stopped_by_its_id(trials: Served) -> None:
    async def session() -> tuple[list[Any], int, str]:
        async with connect(f"ws://127.0.0.1:{trials.port}/silent") as opened:
            assert opened.response is not None
            stream = opened.response.headers["headrace-stream-id"]
            status, _, _ = await asyncio.to_thread(trials.request, "DELETE", f"/streams/{stream}")
            assert status in (200, 202, 204)
            return await rest(opened)

    assert asyncio.run(session())[1:] == (1011, "cancelled: The stream was stopped.")


# -- both directions at once


def test_what_is_said_while_an_answer_is_made_can_stop_it(trials: Served) -> None:
    async def session() -> None:
        async with connect(f"ws://127.0.0.1:{trials.port}/interrupted") as opened:
            assert [await opened.recv() for _ in range(10)] == ["and "] * 10
            said = time.monotonic()
            await opened.send("stop")
            messages, code, _ = await rest(opened)
            assert set(messages[:-1]) <= {"and "}
            assert (messages[-1], code) == ("you said stop", 1000)
            assert time.monotonic() - said < 0.5

    asyncio.run(session())


def test_two_hundred_sessions_at_once_each_get_their_echoes_in_order(serve: Serve) -> None:
    lift_descriptor_limit()
    served = serve("tests/e2e/trials.py", "--max-concurrency", "1000", "--log-level", "warning")
    seconds = 30.0 if FULL else 3.0

    async def session(number: int, until: float) -> int:
        async with connect(f"ws://127.0.0.1:{served.port}/parrot", subprotocols=V1) as opened:
            await opened.send(json.dumps({"prefix": f"{number}:"}))
            sent = 0
            while time.monotonic() < until:
                burst = range(sent, sent + 5)
                for n in burst:
                    await opened.send(f'{{"item":"{n}"}}')
                assert [json.loads(await opened.recv())["item"] for _ in burst] == [f"{number}:{n}" for n in burst]
                sent += 5
                await asyncio.sleep(0.05)
            await opened.send('{"end":{}}')
            messages, code, _ = await rest(opened)
            assert (json.loads(messages[0])["end"]["items"], code) == (sent, 1000)
            return sent

    async def crowd(until: float) -> list[int]:
        return await asyncio.gather(*(session(number, until) for number in range(200)))

    asyncio.run(crowd(time.monotonic() + 1))  # warm
    before = resident_bytes(served.process.pid)
    echoes = asyncio.run(crowd(time.monotonic() + seconds))
    grown = resident_bytes(served.process.pid) - before
    assert min(echoes) > 0
    assert grown < 8e6, f"memory grew by {grown / 1e6:.1f} MB over {sum(echoes)} echoes"
