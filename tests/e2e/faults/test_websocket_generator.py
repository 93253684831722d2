"""Rows C1, C2, C4, C5, C7 over WebSockets: the generator fails; its client is told so, and nobody else notices."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from crowd import crowd
from figures import NAIVE, Figure
from process import descriptors, resident_bytes
from served import Serve, Served
from wire_socket import PING, PONG, TEXT, Closed, WireSocket, frame

pytestmark = pytest.mark.skipif(NAIVE, reason="the naive server speaks HTTP only")

ENDS = ["SystemExit", "KeyboardInterrupt", "CancelledError", "StopIteration", "StopAsyncIteration", "GeneratorExit"]
ENDS += ["BaseException"]
POISONS = ["nan", "infinity", "minus infinity", "nan inside", "surrogate", "surrogate key", "object", "function"]
POISONS += ["half text"]
PATHS = ["/fails", "/fails_in_a_thread"]


def ask(served: Served, path: str, arguments: Any, *, v1: bool = True) -> tuple[list[str | bytes], Closed, str]:
    """A whole exchange: the messages, the close, and the id of the stream."""
    line = WireSocket(served.port, path, v1=v1)
    line.send_json(arguments)
    fields = dict(each.lower().split(": ", 1) for each in line.head.decode().split("\r\n")[1:])
    stream = line.head.decode().partition("headrace-stream-id: ")[2].partition("\r\n")[0]
    assert "x-request-id" in fields
    messages, closed = line.rest()
    return messages, closed, stream


def strictly(message: str | bytes) -> Any:
    """Reads a message as RFC 8259 has JSON: no NaN, no Infinity."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    return json.loads(message, parse_constant=refuse)


def tracebacks(output: list[str], stream: str) -> list[str]:
    return [line for line in output if "Traceback" in line and stream in line]


# C1, C2


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("after", [0, 1, 200])
def test_a_failure_is_told_after_all_items_by_message_and_close_code(
    ward: Served, figure: Figure, path: str, after: int
) -> None:
    items = [str(n) for n in range(after)]
    wrong = 0
    for how, code in [("secret", "internal"), ("public", "ward_full"), ("broken", "internal"), ("huge", "internal")]:
        seen = len(ward.output)
        named, closed, stream = ask(ward, path, {"how": how, "after": after})
        told = strictly(named[-1])["error"]
        wrong += [strictly(each).get("item") for each in named[:-1]] != items
        wrong += (told["code"], told["items_sent"], told["stream_id"]) != (code, after, stream)
        wrong += (closed.code, closed.reason.partition(":")[0]) != (1011, code)
        wrong += "4711" in str(named) or "4711" in closed.reason
        if code == "internal":
            ward.until(lambda seen=seen, stream=stream: len(tracebacks(ward.output[seen:], stream)) == 1, within=2)
        plain, closed, _ = ask(ward, path, {"how": how, "after": after}, v1=False)
        wrong += plain != items or closed.code != 1011
    row = "C2" if after else "C1"
    figure(row, f"WebSocket: wrong answers of 8 after {after} items at {path}", wrong, 0)


def test_a_storm_of_failures_leaves_nothing_behind(start_ward: Serve, figure: Figure) -> None:
    ward = start_ward()
    fail_at_once(ward, 100)
    pid, before = ward.process.pid, ward.state()["tasks"]
    memory, opened = resident_bytes(pid), descriptors(pid)
    wrong = sum(fail_at_once(ward, 100) for _ in range(5))
    figure("C2", "WebSocket: wrong answers in a storm of 500 failures", wrong, 0)
    ward.until(lambda: descriptors(pid) <= opened and ward.state()["tasks"] <= before, within=5)
    figure("C2", "WebSocket: memory grown by the storm, MB", (resident_bytes(pid) - memory) / 1e6, 20)
    logged = [line for line in ward.output if "Traceback" in line]
    figure("C2", "WebSocket: tracebacks beside the 600 that were due", abs(len(logged) - 600), 0)


def fail_at_once(served: Served, times: int) -> int:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: ask(served, "/fails", {"how": "secret", "after": 5}), range(times)))
    return sum((len(messages), closed.code) != (6, 1011) for messages, closed, _ in answers)


# C4


@pytest.mark.parametrize("path", PATHS)
def test_no_exception_of_a_generator_ends_more_than_its_own_session(ward: Served, figure: Figure, path: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(crowd, ward.port, "/count", [{"to": 20, "pause": 0.05}])
        alive = told = 0
        for how in ENDS:
            messages, closed, _ = ask(ward, path, {"how": how, "after": 2})
            code = strictly(messages[-1])["error"]["code"]
            told += len(messages) == 3 and code in ("internal", "cancelled") and closed.code == 1011
            alive += ask(ward, "/add", {"a": 1, "b": 2}, v1=False)[0] == ["3"]
        figure("C4", f"WebSocket: exceptions of 7 that the server does not survive, {path}", 7 - alive, 0)
        figure("C4", f"WebSocket: exceptions of 7 that look like a clean end, {path}", 7 - told, 0)
        (undisturbed,) = other.result()
    assert undisturbed.is_whole([str(n) for n in range(20)])


# C5


@pytest.mark.parametrize("v1", [True, False])
def test_an_item_that_is_no_json_is_an_error_and_its_generator_is_closed(
    ward: Served, figure: Figure, v1: bool
) -> None:
    wrong = invalid = 0
    for poison in POISONS:
        messages, closed, _ = ask(ward, "/poisoned", {"items": 200, "poison": poison}, v1=v1)
        wrong += (len(messages), closed.code) != (201 if v1 else 200, 1011)
        wrong += not closed.reason.startswith("invalid_item: ")
        wrong += poison not in json.loads(ward.request("GET", "/releases")[2])
        for message in messages:
            try:
                strictly(message)
            except ValueError:
                invalid += 1
    kind = "headrace.v1" if v1 else "plain"
    figure("C5", f"WebSocket: wrong endings of 9 poisoned streams, {kind}", wrong, 0)
    figure("C5", f"WebSocket: invalid messages of 1,800, {kind}", invalid, 0)


# C7


def frames_of(line: WireSocket) -> tuple[list[int], Closed]:
    """The kinds of all frames to the end; pings are answered."""
    opcodes = []
    while True:
        try:
            opcode, payload = line.frame()
        except Closed as closed:
            return opcodes, closed
        opcodes.append(opcode)
        if opcode == PING:
            line.connection.sendall(frame(PONG, payload))


def test_a_silent_generator_is_told_after_its_timeout_and_its_client_pinged_meanwhile(
    serve: Serve, figure: Figure
) -> None:
    served = serve("tests/e2e/faults/strait.py", "--ping", "0.3")
    line = WireSocket(served.port, "/hush?words=1", v1=True)
    assert strictly(line.message()) == {"item": "0"}
    since = time.monotonic()
    opcodes, closed = frames_of(line)
    figure("C7", "WebSocket: told after the item timeout of 1 s, s", time.monotonic() - since - 1.0, 2.0)
    figure("C7", "WebSocket: pings missing of 2 in 1 s at 0.3 s", max(0, 2 - opcodes.count(PING)), 0)
    assert (opcodes[-1], closed.code, closed.reason.partition(":")[0]) == (TEXT, 1011, "timeout_item")
    messages, late, _ = ask(served, "/hush", {"words": 0})
    assert (strictly(messages[0])["error"]["code"], late.code) == ("timeout_first_item", 1011)
    served.until(lambda: served.state()["running"] == 0, within=1)
    line.connection.close()
