"""Row J5: after many streams of every ending the process is as it was: memory, tasks, threads, descriptors, meters."""

import pytest
from crowd import NDJSON, crowd, reset
from figures import NAIVE, ONLY_IN_FULL, Figure
from process import descriptors, resident_bytes, threads
from served import Serve, Served

STREAMS = [1_000, pytest.param(10_000, marks=ONLY_IN_FULL)]


def fifty(served: Served) -> None:
    """Streams of every ending: complete, from a thread, one answer, failed, left."""
    crowd(served.port, "/count", [{"to": 10}] * 20)
    crowd(served.port, "/blocking", [{"name": "leak", "seconds": 0.0, "to": 5}] * 10)
    crowd(served.port, "/add", [{"a": 1, "b": 2}] * 5, accept="*/*")
    crowd(served.port, "/fails", [{"how": "public", "after": 3}] * 5)
    for _ in range(10):
        connection = served.send("/drip", {"name": "leak"}, NDJSON)
        connection.recv(4096)
        reset(connection)


@pytest.mark.parametrize("streams", STREAMS)
def test_a_process_is_level_after_many_streams(start_ward: Serve, figure: Figure, streams: int) -> None:
    ward = start_ward()
    pid = ward.process.pid
    for _ in range(10):
        fifty(ward)
    ward.until(lambda: ward.state()["running"] == 0, within=5)
    tasks, memory, opened, running = ward.state()["tasks"], resident_bytes(pid), descriptors(pid), threads(pid)
    for _ in range(streams // 50):
        fifty(ward)
    ward.until(lambda: ward.state()["running"] == 0 and descriptors(pid) <= opened, within=5)
    more = descriptors(pid) - opened  # before the next request to the ward, which has one of its own
    ward.until(lambda: threads(pid) <= running, within=5)
    figure("J5", f"memory grown by {streams:,} streams, MB", (resident_bytes(pid) - memory) / 1e6, 8)
    figure("J5", f"tasks more after {streams:,} streams", ward.state()["tasks"] - tasks, 0)
    figure("J5", f"threads more after {streams:,} streams", threads(pid) - running, 0)
    figure("J5", f"descriptors more after {streams:,} streams", more, 0)
    if not NAIVE:
        started, ended = ward.metric("headrace_streams_started_total"), ward.metric("headrace_streams_total")
        figure("J5", "streams without an ending of their own", abs(started - ended), 0)
