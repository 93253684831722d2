"""The pipeline of three services works on its pieces while they are still being made."""

import contextlib
import json
import re
import time
from collections.abc import Generator
from typing import Any

import pytest
from served import Serve, Served

TEXT = "It was a long time ago."
STEP = 0.1  # what splitting takes per piece, and what working on it takes


@pytest.fixture
def pipeline(serve: Serve) -> Served:
    return serve("examples/pipeline.py")


def lines(served: Served, text: str) -> Generator[tuple[float, dict[str, Any]], None, None]:
    """The records as they arrive on a socket of their own, each with the time of its arrival."""
    held = b""
    with served.send("/shout", {"text": text}, "application/x-ndjson") as connection:
        while data := connection.recv(65536):
            held += data
            now = time.monotonic()
            *whole, held = held.split(b"\n")
            for line in whole:
                if re.match(rb'{"\w+":', line):  # not the head, and not the sizes of the chunks
                    record = json.loads(line)
                    yield now, record
                    if "end" in record:
                        return


def test_the_first_result_leaves_before_the_last_piece_is_made(pipeline: Served) -> None:
    items = [record["item"] for _, record in lines(pipeline, TEXT) if "item" in record]
    assert [item["text"] for item in items] == ["IT", "WAS", "A", "LONG", "TIME", "AGO."]
    assert items[0]["joined"] < items[-1]["split"]


def test_each_piece_is_split_then_worked_on_then_joined(pipeline: Served) -> None:
    items = [record["item"] for _, record in lines(pipeline, TEXT) if "item" in record]
    for item in items:
        assert item["split"] + 0.9 * STEP <= item["worked"] <= item["joined"]
    assert items == sorted(items, key=lambda item: item["joined"])


def test_the_steps_of_different_pieces_run_at_the_same_time(pipeline: Served) -> None:
    records = [record for _, record in lines(pipeline, TEXT)]
    footer = next(record["footer"] for record in records if "footer" in record)
    assert footer["text"] == "IT WAS A LONG TIME AGO."
    assert footer["seconds"] < 0.9 * 12 * STEP  # one step after the other takes twelve


def test_the_first_result_arrives_while_the_others_are_made(pipeline: Served) -> None:
    arrived = [(at, record) for at, record in lines(pipeline, TEXT) if "item" in record]
    first, last = arrived[0][0], arrived[-1][0]
    assert last - first > 3 * STEP
    assert list(arrived[0][1]["item"]) == ["text", "split", "worked", "joined"]


def test_who_leaves_stops_all_three(pipeline: Served) -> None:
    with contextlib.closing(lines(pipeline, "word " * 1000)) as records:
        assert "item" in next(records)[1]
    pipeline.until(lambda: pipeline.metric("headrace_streams_live") == 0, within=2)
    for endpoint in ("Splitter.split", "Worker.work", "Joiner.shout"):
        assert pipeline.metric("headrace_streams_total", f'endpoint="{endpoint}"') == 1
        assert pipeline.metric("headrace_streams_total", f'endpoint="{endpoint}"', 'end="ok"') == 0
