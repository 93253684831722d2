"""A fixture for pytest, loaded by whoever wants it: `pytest_plugins = ["headrace.testing.fixtures"]` in conftest.py.

It registers nowhere, so tests that do not ask for it know nothing of it. It needs no plugin for async tests: the client
is the blocking one, and the service runs on an event loop in a thread of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, TypeAlias

import pytest

from headrace.client.sync import Client
from headrace.config import Settings
from headrace.server.app import Application
from headrace.services.decorators import Bound
from headrace.testing.endings import PAUSE, unended
from headrace.testing.fakes import Replacements, replaced

Serve: TypeAlias = Callable[..., Client]
"""`serve(Poet)`, `serve(Poet, Settings(max_queue=1))`, `serve(Poet, replace={Other: FakeOther})`: see `serving`."""

WITHIN = 5.0
"""Seconds after the test in which its streams have to end."""


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves a service in process, and gives a client of it. At the end of the test every stream has ended, once."""
    applications: list[Application] = []
    with ExitStack() as clients:

        def start(
            target: type | Bound[Any], settings: Settings | None = None, *, replace: Replacements | None = None
        ) -> Client:
            application = Application(replaced(target, replace), settings)
            client = clients.enter_context(Client(app=application))
            applications.append(application)
            return client

        yield start
        for application in applications:
            _assert_all_ended(application)


def _assert_all_ended(application: Application) -> None:
    until = time.monotonic() + WITHIN
    while left := unended(application.runtime.metrics.exposition().decode()):
        assert time.monotonic() < until, f"not all streams have ended: {'; '.join(left)}"
        time.sleep(PAUSE)
