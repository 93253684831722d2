"""The ward, and the figures of the fault rows: what was asked, what was reached, printed as a table at the end."""

import signal
from collections.abc import Iterator
from typing import Any

import pytest
from crowd import lift_descriptor_limit
from figures import NAIVE, Figure
from served import Serve, Served

WARD = "tests/e2e/faults/ward.py"

REACHED: list[tuple[str, str, float, float]] = []


@pytest.fixture
def figure() -> Figure:
    """`figure("A1", "freed after, s", reached, asked)`: records a row's figure, and fails when it is not reached."""

    def record(row: str, what: str, reached: float, asked: float) -> None:
        REACHED.append((row, what, reached, asked))
        assert reached <= asked, f"{row}: {what}: {reached:g}, asked {asked:g}"

    return record


@pytest.fixture
def launch_ward() -> Iterator[Serve]:
    """Starts a ward without waiting for it; with HEADRACE_NAIVE=1 the one of `naive.py`. Ends it after the test."""
    started: list[Served] = []

    def launch(*flags: str, **options: Any) -> Served:
        lift_descriptor_limit()
        started.append(_start(*flags, **options))
        return started[-1]

    yield launch
    for served in started:
        _end(served)


@pytest.fixture
def start_ward(launch_ward: Serve) -> Iterator[Serve]:
    """Starts a ward and waits until it answers; where it still runs after the test, every stream has ended, once."""
    started: list[Served] = []

    def start(*flags: str, **options: Any) -> Served:
        started.append(launch_ward(*flags, **options).ready())
        return started[-1]

    yield start
    for served in started:
        if served.process.poll() is None and not NAIVE:
            served.assert_every_stream_ended()


def _scope(fixture_name: str, config: pytest.Config) -> str:
    return "function" if NAIVE else "module"  # what one test does to a naive server must not fail the next one


@pytest.fixture(scope=_scope)
def ward() -> Iterator[Served]:
    """One ward for all tests of a file that need nothing special."""
    lift_descriptor_limit()
    served = _start().ready()
    try:
        yield served
        if not NAIVE:
            served.assert_every_stream_ended()
    finally:
        _end(served)


def _start(*flags: str, **options: Any) -> Served:
    if NAIVE:
        return Served(*flags, program=("tests/e2e/faults/naive.py",), **options)
    return Served("run", WARD, "--port", "0", "--log-format", "json", *flags, **options)


def _end(served: Served) -> None:
    served.stop(signal.SIGKILL if NAIVE else signal.SIGTERM)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not REACHED:
        return
    terminalreporter.section("faults: figures")
    terminalreporter.write_line(f"{'row':<5}{'reached':>12}{'asked':>12}  what")
    for row, what, reached, asked in sorted(REACHED, key=lambda each: (each[0][0], int(each[0][1:]))):
        terminalreporter.write_line(f"{row:<5}{reached:>12.4g}{asked:>12.4g}  {what}")
