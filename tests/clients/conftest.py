"""One server with a scripted model for all clients, one with the built-in model, and the programs that use them."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from client_cases import SCRIPTS, WEATHER
from environments import node_with, python_with
from scripted_messages import SCRIPTED
from served import Served
from serving import serving

HERE = Path(__file__).parent
RUNS_WITHIN = 120  # seconds, of one program with all its cases
KEY = "sk-of-the-tests"

OPENAI_2 = ("openai>=2.54,<3", "anthropic==2.*", "langchain-openai==1.7.*", "litellm[mcp]==1.106.*", "llm==0.32.*")
NODE = ("openai@6", "ai@6", "@ai-sdk/openai-compatible@2", "@ai-sdk/openai@3", "@ai-sdk/anthropic@3", "zod@4")

Results = dict[str, dict[str, Any]]
Run = Callable[..., Results]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("e2e")
            item.add_marker("slow")


@pytest.fixture(scope="session")
def scripted() -> Iterator[Served]:
    """Does what it is told; without a key."""
    with serving(SCRIPTED) as served:
        yield served


@pytest.fixture(scope="session")
def locked() -> Iterator[Served]:
    """The same with a key."""
    with serving(SCRIPTED, "--api-key", KEY) as served:
        yield served


@pytest.fixture(scope="session")
def tiny() -> Iterator[Served]:
    """The built-in model."""
    with serving("--engine", "tiny") as served:
        yield served


@pytest.fixture(scope="session")
def foreign_python() -> Path:
    """The interpreter with clients that ask for openai 2."""
    return python_with("clients", *OPENAI_2)


@pytest.fixture(scope="session")
def node_folder() -> Path:
    """Where the packages of npm are."""
    return node_with("node-clients", *NODE)


@pytest.fixture(scope="session")
def run(scripted: Served, locked: Served, tiny: Served) -> Run:
    """Runs a program with all its cases; what it made of each, by name."""

    def start(*command: str | Path, **options: Any) -> Results:
        told = {
            "url": f"http://127.0.0.1:{scripted.port}",
            "locked": f"http://127.0.0.1:{locked.port}",
            "tiny": f"http://127.0.0.1:{tiny.port}",
            "key": KEY,
            "scripts": SCRIPTS,
            "weather": WEATHER,
        }
        done = subprocess.run(
            [str(each) for each in command],
            input=json.dumps(told),
            capture_output=True,
            text=True,
            timeout=RUNS_WITHIN,
            **options,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        results: Results = json.loads(done.stdout.strip("\n").split("\n")[-1])  # U+2028 is no end of a line here
        return results

    return start
