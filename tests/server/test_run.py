"""The serving process: signals, the drain, exits; on real processes."""

import json
import logging
import signal
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from served import Served

from headrace.config import Settings
from headrace.server.log import JsonFormatter, TextFormatter
from headrace.server.response import ResponseAborted
from headrace.server.run import configure_logging

TARGET = "tests/server/run_target.py"
NDJSON = "application/x-ndjson"

pytestmark = pytest.mark.e2e


def serve(*flags: str) -> Served:
    return Served("run", TARGET, "--port", "0", *flags)


def received(connection: socket.socket, until: bytes = b"") -> bytes:
    data = b""
    while not until or until not in data:
        if not (piece := connection.recv(65536)):
            break
        data += piece
    return data


@pytest.fixture
def running() -> Iterator[list[Served]]:
    """Whatever a test puts here is gone at its end."""
    started: list[Served] = []
    yield started
    for served in started:
        if served.process.poll() is None:
            served.stop(signal.SIGKILL)


def test_running_streams_finish_after_sigterm_and_the_exit_code_is_0(running: list[Served]) -> None:
    served = serve().ready()
    running.append(served)
    connection = served.send("/tick", {"times": 20}, accept=NDJSON)
    received(connection, b'{"item":"1 "}')
    served.process.send_signal(signal.SIGTERM)
    rest = received(connection)
    assert b'{"item":"19 "}' in rest
    assert b'{"end":{"items":20,' in rest
    assert served.exit_code() == 0
    assert "on_stop has run\n" in served.output
    connection.close()


def test_after_sigint_the_exit_code_is_130(running: list[Served]) -> None:
    served = serve().ready()
    running.append(served)
    assert served.stop(signal.SIGINT) == 130
    assert "on_stop has run\n" in served.output


def test_streams_over_the_drain_time_are_told_in_band(running: list[Served]) -> None:
    served = serve("--drain", "0.3").ready()
    running.append(served)
    connection = served.send("/tick", {"times": 100_000}, accept=NDJSON)
    received(connection, b'{"item":"1 "}')
    started = time.monotonic()
    served.process.send_signal(signal.SIGTERM)
    assert b'{"error":{"code":"shutting_down"' in received(connection)
    assert served.exit_code() == 0
    assert 0.3 < time.monotonic() - started < 2.3
    connection.close()


def test_text_over_the_drain_time_is_cut(running: list[Served]) -> None:
    served = serve("--drain", "0").ready()
    running.append(served)
    connection = served.send("/tick", {"times": 100_000})
    received(connection, b"1 ")
    served.process.send_signal(signal.SIGTERM)
    assert not received(connection).endswith(b"0\r\n\r\n")
    assert served.exit_code() == 0
    assert "Traceback" not in "".join(served.output)
    connection.close()


@pytest.mark.parametrize("path", ["/stubborn", "/blocked"])
def test_code_that_does_not_stop_does_not_hold_up_the_end(running: list[Served], path: str) -> None:
    served = serve("--drain", "0").ready()
    running.append(served)
    connection = served.send(path, {})
    received(connection, b"here ")
    started = time.monotonic()
    served.process.send_signal(signal.SIGTERM)
    assert served.exit_code() == 0
    assert time.monotonic() - started < 3.0
    assert "on_stop has run\n" in served.output
    connection.close()


def test_a_second_signal_ends_the_process_at_once(running: list[Served]) -> None:
    served = serve().ready()
    running.append(served)
    connection = served.send("/tick", {"times": 100_000})
    received(connection, b"1 ")
    served.process.send_signal(signal.SIGTERM)
    served.until(lambda: not listens(served.port), within=2)
    started = time.monotonic()
    served.process.send_signal(signal.SIGTERM)
    assert served.exit_code() == 130
    assert time.monotonic() - started < 1.0
    connection.close()


@pytest.mark.parametrize(("slow", "line"), [("start_seconds=60", "constructing"), ("on_start_seconds=60", "starting")])
def test_ctrl_c_during_a_slow_start_ends_it_at_once(running: list[Served], slow: str, line: str) -> None:
    served = serve("--set", f"Clock.{slow}")
    running.append(served)
    served.line_with(line)
    started = time.monotonic()
    assert served.stop(signal.SIGINT) == 130
    assert time.monotonic() - started < 3.0
    assert "Traceback" not in "".join(served.output)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_collections_pass_over_what_was_imported_and_not_over_the_service(running: list[Served]) -> None:
    served = serve().ready()
    running.append(served)
    connection = served.send("/unload", {}, accept="application/json")
    found = json.loads(received(connection, b"}").partition(b"\r\n\r\n")[2])
    connection.close()
    assert found["left"] == 0
    assert found["passed_over"] > 10_000


# -- the log


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, as it was afterwards."""
    logger, ours = logging.getLogger(), logging.getLogger("headrace")
    before = logger.handlers, logger.level, ours.level
    yield logger
    logger.handlers, level, our_level = before
    logger.setLevel(level)
    ours.setLevel(our_level)


@pytest.mark.parametrize(("name", "formatter"), [("text", TextFormatter), ("json", JsonFormatter)])
def test_the_log_has_the_chosen_format_and_level(root: logging.Logger, name: str, formatter: type) -> None:
    configure_logging(Settings(log_format=name, log_level="error"))
    assert [type(handler.formatter) for handler in root.handlers] == [formatter]
    assert logging.getLogger("headrace").level == logging.ERROR


@pytest.mark.parametrize(
    ("logger", "error", "news"),
    [
        ("uvicorn.error", ResponseAborted("cut"), False),
        ("uvicorn.error", ValueError("a bug"), True),
        ("headrace.streams", ResponseAborted("cut"), True),
        ("uvicorn.error", None, True),
    ],
)
def test_what_we_raise_to_cut_a_connection_is_no_news(
    root: logging.Logger, logger: str, error: Exception | None, news: bool
) -> None:
    configure_logging(Settings())
    info: Any = None if error is None else (type(error), error, None)
    record = logging.LogRecord(logger, logging.ERROR, "file.py", 1, "Exception in ASGI application", None, info)
    assert bool(root.handlers[0].filter(record)) is news
