"""Rows C1, C2, C4, C5, C6: the generator fails; its client is told so, once, and nobody else notices."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from crowd import NDJSON, crowd
from figures import Figure
from process import descriptors, resident_bytes
from served import Serve, Served

FORMATS = [NDJSON, "text/event-stream", "text/plain", "application/json"]
ENDS = ["SystemExit", "KeyboardInterrupt", "CancelledError", "StopIteration", "StopAsyncIteration", "GeneratorExit"]
ENDS += ["BaseException"]
POISONS = ["nan", "infinity", "minus infinity", "nan inside", "surrogate", "surrogate key", "object", "function"]
POISONS += ["half text"]
PATHS = ["/fails", "/fails_in_a_thread"]


def strictly(line: bytes) -> Any:
    """Reads one line of JSON as RFC 8259 has it: UTF-8, no NaN, no Infinity."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    return json.loads(line.decode("utf-8", "strict"), parse_constant=refuse)


def is_valid(line: bytes) -> bool:
    try:
        text = json.dumps(strictly(line), ensure_ascii=False)
        text.encode("utf-8", "strict")  # a lone surrogate, escaped, would be refused here
    except ValueError:
        return False
    return True


# C1, C2


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("accept", FORMATS)
def test_a_failure_before_the_first_item_is_a_status(ward: Served, figure: Figure, path: str, accept: str) -> None:
    wrong = 0
    for how, expected in [("secret", (500, "internal")), ("public", (429, "ward_full")), ("broken", (500, "internal"))]:
        (answer,) = crowd(ward.port, path, [{"how": how}], accept=accept)
        told = (answer.status, answer.error)
        good = told == expected and answer.headers["content-type"] == "application/problem+json"
        wrong += not (good and answer.clean and answer.headers["x-request-id"])
    figure("C1", f"wrong answers of 3 at {path}, {accept}", wrong, 0)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("after", [1, 3, 200])
def test_a_failure_after_items_is_told_after_all_of_them(ward: Served, figure: Figure, path: str, after: int) -> None:
    seen = len(ward.output)
    (answer,) = crowd(ward.port, path, [{"how": "secret", "after": after}])
    *items, failure = answer.lines
    wrong = [line.get("item") for line in items] != [str(n) for n in range(after)]
    wrong |= (answer.error, failure["error"]["items_sent"], answer.clean) != ("internal", after, True)
    figure("C2", f"wrong answers after {after} items at {path}", wrong, 0)
    stream = answer.headers["headrace-stream-id"]
    ward.until(lambda: len(tracebacks(ward.output[seen:], stream)) == 1, within=2)


def tracebacks(output: list[str], stream: str) -> list[str]:
    return [line for line in output if "Traceback" in line and stream in line]


def test_a_storm_of_failures_leaves_nothing_behind(start_ward: Serve, figure: Figure) -> None:
    ward = start_ward()
    fail_at_once(ward, 100)
    pid, before = ward.process.pid, ward.state()["tasks"]
    memory, opened = resident_bytes(pid), descriptors(pid)
    wrong = sum(fail_at_once(ward, 100) for _ in range(5))
    figure("C2", "wrong answers in a storm of 500 failures", wrong, 0)
    ward.until(lambda: descriptors(pid) <= opened and ward.state()["tasks"] <= before, within=5)
    figure("C2", "memory grown by the storm, MB", (resident_bytes(pid) - memory) / 1e6, 20)
    logged = [line for line in ward.output if "Traceback" in line]
    figure("C2", "tracebacks beside the 600 that were due", abs(len(logged) - 600), 0)


def fail_at_once(served: Served, times: int) -> int:
    answers = crowd(served.port, "/fails", [{"how": "secret", "after": 5}] * times)
    return sum(not (answer.clean and answer.error == "internal" and len(answer.items) == 5) for answer in answers)


# C4


@pytest.mark.parametrize("path", PATHS)
def test_no_exception_of_a_generator_ends_more_than_its_own_stream(ward: Served, figure: Figure, path: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(crowd, ward.port, "/count", [{"to": 40, "pause": 0.05}])
        alive = told = 0
        for how in ENDS:
            (answer,) = crowd(ward.port, path, [{"how": how, "after": 2}], within=5)
            told += answer.items == ["0", "1"] and answer.error in ("internal", "cancelled")
            alive += crowd(ward.port, "/add", [{"a": 1, "b": 2}], accept="*/*", within=5)[0].status == 200
        figure("C4", f"exceptions of 7 that the server does not survive, {path}", 7 - alive, 0)
        figure("C4", f"exceptions of 7 that look like a clean end, {path}", 7 - told, 0)
        (undisturbed,) = other.result()
    assert undisturbed.is_whole([str(n) for n in range(40)])


# C5


@pytest.mark.parametrize("poison", POISONS)
def test_an_item_that_is_no_json_is_an_error_and_its_generator_is_closed(ward: Served, poison: str) -> None:
    (answer,) = crowd(ward.port, "/poisoned", [{"items": 2, "poison": poison}])
    assert (len(answer.items), answer.error, answer.clean) == (2, "invalid_item", True)
    assert poison in json.loads(ward.request("GET", "/releases")[2])


@pytest.mark.parametrize(("path", "first"), [("/mistyped", {"text": "right", "number": 1}), ("/measures", 1.5)])
def test_an_item_that_is_not_of_the_declared_type_is_an_error(ward: Served, path: str, first: Any) -> None:
    (answer,) = crowd(ward.port, path, [{}])
    assert (answer.items, answer.error, answer.clean) == ([first], "invalid_item", True)


def test_no_item_makes_an_invalid_line(ward: Served, figure: Figure) -> None:
    streams = [{"items": 249, "poison": POISONS[n % len(POISONS)], "seed": n} for n in range(400)]
    answers = [answer for n in range(0, 400, 50) for answer in crowd(ward.port, "/poisoned", streams[n : n + 50])]
    lines = [line for answer in answers for line in answer.body.split(b"\n")[:-1]]
    figure("C5", "lines more or less than 100,000", abs(100_000 - len(lines)), 0)
    figure("C5", "invalid lines in 100,000", sum(not is_valid(line) for line in lines), 0)


# C6


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("accept", FORMATS)
def test_no_text_of_an_exception_reaches_a_client(ward: Served, figure: Figure, path: str, accept: str) -> None:
    leaks = 0
    for how in ["secret", "huge", "broken"]:
        for after in [0, 2]:
            (answer,) = crowd(ward.port, path, [{"how": how, "after": after}], accept=accept)
            leaks += b"4711" in answer.body or b"Error" in answer.body or "4711" in str(answer.headers)
            leaks += len(answer.body) > 1000
    figure("C6", f"texts of exceptions sent at {path}, {accept}", leaks, 0)


@pytest.mark.parametrize("path", PATHS)
def test_a_huge_text_is_capped_in_the_log(ward: Served, figure: Figure, path: str) -> None:
    seen = len(ward.output)
    (answer,) = crowd(ward.port, path, [{"how": "huge", "after": 1}])
    stream = answer.headers["headrace-stream-id"]
    ward.until(lambda: len(tracebacks(ward.output[seen:], stream)) == 1, within=2)
    time.sleep(0.1)
    longest = max(len(json.loads(line).get("traceback", "")) for line in ward.output[seen:])
    figure("C6", f"log text of an exception of 1.9 MB at {path}, KiB", longest / 1024, 8.1)


def test_an_exception_that_cannot_be_shown_is_logged_all_the_same(ward: Served) -> None:
    seen = len(ward.output)
    (answer,) = crowd(ward.port, "/fails", [{"how": "broken", "after": 1}])
    assert answer.error == "internal"
    stream = answer.headers["headrace-stream-id"]
    ward.until(lambda: len(tracebacks(ward.output[seen:], stream)) == 1, within=2)
    assert "Broken" in tracebacks(ward.output[seen:], stream)[0]
