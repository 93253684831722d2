"""The fixture is tested as a user has it: in a run of pytest of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

SERVICE = """
from collections.abc import AsyncIterator

from headrace import Handle, depends, endpoint, service


@service
class Poet:
    def __init__(self, topic="rain"):
        self.topic = topic

    async def on_stop(self):
        print("stopped", self.topic)

    @endpoint
    async def write(self, lines: int = 2) -> AsyncIterator[str]:
        for number in range(lines):
            yield f"{self.topic} {number}"


@service
class Silent:
    @endpoint
    async def write(self) -> AsyncIterator[str]:
        yield "shh"


@service
class Reader:
    poet: Handle[Poet] = depends(Poet)

    @endpoint
    async def read(self) -> AsyncIterator[str]:
        async for line in self.poet.write():
            yield line
"""


def outcome(folder: Path, test: str, plugin: str = 'pytest_plugins = ["headrace.testing.fixtures"]') -> str:
    """What pytest prints about one test file."""
    (folder / "app.py").write_text(SERVICE)
    (folder / "conftest.py").write_text(plugin)
    (folder / "test_app.py").write_text(f"from app import *\nfrom headrace.config import Settings\n\n{test}")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-s",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:asyncio",
        "-W",
        "error",
        "--rootdir=.",
        ".",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def test_it_serves_without_any_plugin_for_async_tests(tmp_path: Path) -> None:
    test = """
def test_it(serve):
    client = serve(Poet)
    with client.stream("write") as stream:
        assert list(stream) == ["rain 0", "rain 1"]
"""
    assert "1 passed" in outcome(tmp_path, test)


def test_it_serves_several_and_stops_them(tmp_path: Path) -> None:
    test = """
def test_it(serve):
    one, other = serve(Poet.bind("snow")), serve(Poet.bind("fog"))
    assert one.call("write", lines=1) + other.call("write", lines=1) == "snow 0fog 0"
"""
    printed = outcome(tmp_path, test)
    assert "1 passed" in printed
    assert "stopped snow" in printed
    assert "stopped fog" in printed


def test_it_takes_settings(tmp_path: Path) -> None:
    test = """
import pytest
from headrace.errors import Unauthorized

def test_it(serve):
    with pytest.raises(Unauthorized):
        serve(Poet, Settings(api_key=("secret",))).call("write")
"""
    assert "1 passed" in outcome(tmp_path, test)


def test_it_replaces_what_a_service_depends_on(tmp_path: Path) -> None:
    test = """
def test_it(serve):
    assert serve(Reader, replace={Poet: Silent}).call("read") == "shh"
"""
    assert "1 passed" in outcome(tmp_path, test)


def test_a_stream_that_was_left_has_ended_when_the_test_has(tmp_path: Path) -> None:
    test = """
def test_it(serve):
    with serve(Poet).stream("write", lines=1_000_000_000) as stream:
        assert next(iter(stream)) == "rain 0"
"""
    assert "1 passed" in outcome(tmp_path, test)


@pytest.mark.slow
def test_a_stream_that_still_runs_at_the_end_is_told(tmp_path: Path) -> None:
    test = """
KEPT = []

def test_it(serve):
    KEPT.append(serve(Poet).stream("write", lines=1_000_000_000).__enter__())
"""
    printed = outcome(tmp_path, test)
    assert "not all streams have ended: Poet.write: 1 started, 0 ended, 1 live" in printed
    assert "1 passed, 1 error" in printed


def test_it_is_not_there_unless_it_is_asked_for(tmp_path: Path) -> None:
    test = """
def test_it(serve):
    pass
"""
    assert "fixture 'serve' not found" in outcome(tmp_path, test, plugin="")


@pytest.mark.parametrize("module", ["headrace.testing", "headrace"])
def test_the_kit_itself_does_not_load_pytest(module: str) -> None:
    code = f"import sys, {module}; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
