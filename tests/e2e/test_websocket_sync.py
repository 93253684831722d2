"""Sync code that reads what its client says while it answers: over WebSockets, and over HTTP bodies alike."""

import asyncio
import json
import time
from typing import Any

import pytest
from served import Served
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_sync
from websockets.typing import Subprotocol

V1 = [Subprotocol("headrace.v1")]
LINES = {"content-type": "application/x-ndjson"}


def stopped(served: Served) -> bool:
    return served.metric("headrace_streams_live", "speak") == 0


def test_it_answers_each_message_as_it_comes(trials: Served) -> None:
    with connect_sync(f"ws://127.0.0.1:{trials.port}/speak", subprotocols=V1) as session:
        session.send("{}")
        for n in range(100):
            session.send(f'{{"item":"{n}"}}')
            assert session.recv(timeout=5) == str(n).encode()
        session.send('{"end":{}}')
        assert json.loads(session.recv(timeout=5))["end"]["items"] == 100


def test_a_method_that_returns_reads_all_of_them(trials: Served) -> None:
    with connect_sync(f"ws://127.0.0.1:{trials.port}/total", subprotocols=V1) as session:
        for n in range(10):
            session.send(f'{{"item":{n}}}')
        session.send('{"end":{}}')
        assert json.loads(session.recv(timeout=5)) == {"item": 45}


def test_it_reads_the_lines_of_a_body(trials: Served) -> None:
    assert trials.request("POST", "/speak", b'"a"\n"b"\n', LINES)[2] == b"ab"
    assert trials.request("POST", "/total", b"1\n2\n39", LINES)[2] == b"42"


def test_it_answers_the_lines_of_a_body_before_the_body_is_through(trials: Served) -> None:
    with trials.connect() as connection:
        head = "POST /speak HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\n"
        connection.sendall(f'{head}transfer-encoding: chunked\r\n\r\n4\r\n"a"\n\r\n'.encode())
        received = b""
        while b"1\r\na\r\n" not in received:
            piece = connection.recv(65536)
            assert piece
            received += piece
        connection.sendall(b'4\r\n"b"\n\r\n0\r\n\r\n')
        while not received.endswith(b"0\r\n\r\n"):
            piece = connection.recv(65536)
            assert piece
            received += piece
        assert b"1\r\nb\r\n" in received


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [("/total", b"1\nnope\n", 400, "malformed_body"), ("/speak", b"1\n", 422, "invalid_arguments")],
)
def test_what_does_not_fit_is_raised_in_the_thread_and_told(
    trials: Served, path: str, body: bytes, status: int, code: str
) -> None:
    answered, _, told = trials.request("POST", path, body, LINES)
    assert (answered, json.loads(told)["code"]) == (status, code)


def test_it_does_not_keep_others_waiting(trials: Served) -> None:
    """While it sleeps 20 ms for each word, in a thread, another session's pings and echoes come back at once."""

    async def sessions() -> list[float]:
        url = f"ws://127.0.0.1:{trials.port}"
        took = []
        async with connect(f"{url}/speak?seconds=0.02") as speaking, connect(f"{url}/parrot?prefix=") as other:
            for n in range(40):
                await speaking.send(str(n))
            for n in range(20):
                began = time.monotonic()
                pong = await other.ping()
                await pong
                await other.send(str(n))
                assert await other.recv() == str(n)
                took.append(time.monotonic() - began)
            assert [await speaking.recv() for _ in range(40)] == [str(n).encode() for n in range(40)]
        return took

    took = sorted(asyncio.run(sessions()))
    assert took[-2] < 0.05, f"a ping and an echo beside it took {took[-1] * 1000:.0f} ms"


def test_a_client_that_leaves_while_it_listens_frees_it(trials: Served) -> None:
    with connect_sync(f"ws://127.0.0.1:{trials.port}/speak?seconds=0") as session:
        session.send("a")
        assert session.recv(timeout=5) == b"a"
        session.socket.close()
    assert trials.until(lambda: stopped(trials), within=2) < 0.9
    assert trials.metric("headrace_threads_stuck") == 0


@pytest.mark.parametrize("how", ["deadline", "stop"])
def test_a_stop_wakes_it_while_it_listens(trials: Served, how: str) -> None:
    headers = {"headrace-timeout": "0.3"} if how == "deadline" else {}
    with connect_sync(f"ws://127.0.0.1:{trials.port}/speak?seconds=0", additional_headers=headers) as session:
        session.send("a")
        assert session.recv(timeout=5) == b"a"
        began = time.monotonic()
        if how == "stop":
            assert session.response is not None
            trials.request("DELETE", f"/streams/{session.response.headers['headrace-stream-id']}")
        with pytest.raises(ConnectionClosed) as closed:
            session.recv(timeout=5)
        assert time.monotonic() - began < 0.9
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.reason.startswith("deadline_exceeded" if how == "deadline" else "cancelled")
    assert stopped(trials)
    assert trials.metric("headrace_threads_stuck") == 0
    noise: list[Any] = [line for line in trials.output if "raceback" in line and "speak" in line]
    assert noise == []
