"""Servers for the end-to-end tests, and the check that every one of them ends with."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_messages import SCRIPTED
from served import Serve, Served
from serving import serving

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("e2e")


@pytest.fixture
def launch() -> Iterator[Serve]:
    """Starts `headrace ...`; whatever still runs at the end of the test is stopped."""
    started: list[Served] = []

    def start(*arguments: str, **options: Any) -> Served:
        started.append(Served(*arguments, **options))
        return started[-1]

    yield start
    for served in started:
        served.stop()


@pytest.fixture
def serve(launch: Serve) -> Iterator[Serve]:
    """Starts a server and waits until it answers; at the end every stream of it has ended, once."""
    serving: list[Served] = []

    def start(target: str = "tests/e2e/trials.py", *flags: str, **options: Any) -> Served:
        serving.append(launch("run", target, "--port", "0", *flags, **options).ready())
        return serving[-1]

    yield start
    for served in serving:
        if served.process.poll() is None:
            served.assert_every_stream_ended()


@pytest.fixture(scope="module")
def trials() -> Iterator[Served]:
    """One server with the trials, for all tests of a file that need nothing special."""
    with serving("tests/e2e/trials.py", "--heartbeat", "0.3") as served:
        yield served


@pytest.fixture(scope="module")
def scripted() -> Iterator[Served]:
    """One server with the scripted model, for all tests of a file that leave no trace on it."""
    with serving(SCRIPTED, "--heartbeat", "0.3") as served:
        yield served
        assert served.state()["running"] == 0
