"""The first example, read with curl in all six encodings, from a real server process."""

import itertools
import json
import re
import subprocess
import time
from collections.abc import Iterator

import pytest
from served import Served

ARGUMENTS = '{"topic": "rain", "lines": 4}'


@pytest.fixture(scope="module")
def poet() -> Iterator[Served]:
    served = Served("run", "examples/01_stream.py", "--port", "0").ready()
    try:
        yield served
        served.assert_every_stream_ended()
    finally:
        served.stop()


def curl(poet: Served, accept: str | None) -> tuple[str, list[float]]:
    """The body, and for each read of curl's output the seconds since the first one."""
    headers = [] if accept is None else ["-H", f"accept: {accept}"]
    url = f"http://127.0.0.1:{poet.port}/write"
    command = ["curl", "-sN", url, "--json", ARGUMENTS, "-H", "accept:", *headers]
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdout is not None
        pieces, times = [], []
        while piece := process.stdout.read(65536):
            pieces.append(piece)
            times.append(time.monotonic())
    assert process.returncode == 0
    return b"".join(pieces).decode(), [at - times[0] for at in times]


@pytest.mark.parametrize("accept", [None, "text/plain", "*/*"])
def test_text_is_the_items_themselves(poet: Served, accept: str | None) -> None:
    assert curl(poet, accept)[0] == "rain 0\nrain 1\nrain 2\nrain 3\n"


def test_server_sent_events_number_the_items_and_tell_the_end(poet: Served) -> None:
    body, _ = curl(poet, "text/event-stream")
    head, end = body.split("event: end\n")
    assert head == (
        'id: 1\ndata: "rain 0\\n"\n\nid: 2\ndata: "rain 1\\n"\n\n'
        'id: 3\ndata: "rain 2\\n"\n\nid: 4\ndata: "rain 3\\n"\n\n'
    )
    assert re.fullmatch(r'data: \{"items":4,"first_item_ms":[\d.]+,"duration_ms":[\d.]+\}\n\n', end)


@pytest.mark.parametrize("accept", ["application/x-ndjson", "application/jsonl"])
def test_ndjson_has_one_object_per_line(poet: Served, accept: str) -> None:
    lines = [json.loads(line) for line in curl(poet, accept)[0].splitlines()]
    assert lines[:-1] == [{"item": "rain 0\n"}, {"item": "rain 1\n"}, {"item": "rain 2\n"}, {"item": "rain 3\n"}]
    assert lines[-1]["end"]["items"] == 4


def test_frames_have_one_item_each(poet: Served) -> None:
    body, _ = curl(poet, "application/vnd.headrace.frames")
    items = "".join(f'\3\0\0\0\x0a"rain {number}\\n"' for number in range(4))
    assert body.startswith(items + "\5\0\0\0")
    assert re.fullmatch(r'\{"items":4,"first_item_ms":[\d.]+,"duration_ms":[\d.]+\}', body[len(items) + 5 :])


def test_gathered_json_is_one_string_sent_at_once(poet: Served) -> None:
    body, times = curl(poet, "application/json")
    assert body == '"rain 0\\nrain 1\\nrain 2\\nrain 3\\n"'
    assert len(times) == 1


@pytest.mark.parametrize(
    "accept", ["text/plain", "text/event-stream", "application/x-ndjson", "application/vnd.headrace.frames"]
)
def test_items_arrive_spread_over_time_and_not_at_the_end(poet: Served, accept: str) -> None:
    _, times = curl(poet, accept)
    assert len(times) >= 4
    assert 0.6 < times[-1] < 2.0  # three pauses of a quarter of a second lie between the four items
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert sum(gap > 0.15 for gap in gaps) == 3


def test_the_head_says_what_a_proxy_and_a_reader_need_to_know(poet: Served) -> None:
    status, headers, _ = poet.post("/write", {"topic": "x", "lines": 1}, accept="text/event-stream", x_request_id="r-1")
    assert status == 200
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-cache, no-transform"
    assert headers["x-accel-buffering"] == "no"
    assert headers["x-request-id"] == "r-1"
    assert re.fullmatch(r"s_[A-Za-z0-9_-]{32}", headers["headrace-stream-id"])
    assert re.fullmatch(r"first_item;dur=[\d.]+", headers["server-timing"])
    assert "connection" not in headers
    assert "content-encoding" not in headers
