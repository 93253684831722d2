"""docs/howto/mounted-apps.md: its programs run, and its curl lines print what stands below them."""

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import REPOSITORY, Serve, Served
from websockets.sync.client import connect

PAGE = (REPOSITORY / "docs" / "howto" / "mounted-apps.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
PROGRAMS = [body for language, body in BLOCKS if language == "python"]
CURL = [body for language, body in BLOCKS if body.startswith("$ curl")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The programs, each under the name in its first line."""
    for program in PROGRAMS:
        (tmp_path / program.splitlines()[0].removeprefix("# ")).write_text(program)
    return tmp_path


class Parent(Served):
    """The program that mounts the service, on a uvicorn of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        super().__init__("main:app", "--port", str(port), folder=folder, program=("-m", "uvicorn"))
        self.line_with("Uvicorn running")
        self.port = port


@pytest.fixture
def parent(folder: Path) -> Iterator[Parent]:
    parent = Parent(folder)
    yield parent
    parent.stop()


def printed(served: Served, block: str) -> None:
    line, _, expected = block.partition("\n")
    command = line.removeprefix("$ curl ").replace("localhost:8000", f"127.0.0.1:{served.port}")
    done = subprocess.run(f"curl -sS {command}", shell=True, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == expected


def test_the_page_shows_three_programs_and_three_commands() -> None:
    assert (len(PROGRAMS), len(CURL)) == (3, 3)


def test_the_routes_and_the_endpoint_print_what_the_page_says(serve: Serve, folder: Path) -> None:
    served = serve("poet.py", folder=folder)
    for block in CURL[:2]:
        printed(served, block)
    with connect(f"ws://127.0.0.1:{served.port}/chat", proxy=None) as websocket:
        websocket.send("you")
        assert [websocket.recv() for _ in range(5)] == ["you: ", "rain ", "on ", "the ", "roof\n"]


def test_the_mounted_service_prints_what_the_page_says(parent: Parent) -> None:
    printed(parent, CURL[2])
    assert parent.request("GET", "/poet/docs")[0] == 200


def test_the_mounted_service_stops_with_its_parent(folder: Path) -> None:
    (folder / "poet.py").write_text(
        (folder / "poet.py").read_text() + "\n    def on_stop(self) -> None:\n        print('the poet has stopped')\n"
    )
    parent = Parent(folder)
    parent.stop()
    assert "the poet has stopped\n" in parent.output


def test_the_test_of_the_page_passes(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_poet.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "1 passed" in done.stdout, done.stdout
