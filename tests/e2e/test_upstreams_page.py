"""docs/howto/upstreams.md: its programs run, its tables name what there is, and its links lead somewhere."""

import dataclasses
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import REPOSITORY, Serve
from upstream import HELLO, Upstream, upstream_on_a_thread

from headrace.engines.openai_upstream.engine import OpenAIEngine
from headrace.engines.openai_upstream.measures import Measures

PAGE = (REPOSITORY / "docs/howto/upstreams.md").read_text("utf-8")
SERVED, DIRECT, AZURE = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
OUTPUT = re.search(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with upstream_on_a_thread(lambda request: HELLO) as server:
        yield server


def test_its_service_answers(serve: Serve, upstream: Upstream, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(SERVED.replace("http://localhost:11434/v1", upstream.url))
    served = serve("app.py:app", folder=tmp_path)
    body = {"model": "llama3.2", "messages": [{"role": "user", "content": "Hi"}]}
    assert b'"content":"Hello, world"' in served.post("/v1/chat/completions", body, authorization="Bearer c-4712")[2]
    assert "c-4712" not in str(upstream.requests[0].headers)


def test_its_program_prints_what_stands_below_it(upstream: Upstream) -> None:
    program = DIRECT.replace("http://localhost:11434/v1", upstream.url)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert OUTPUT is not None
    assert done.stdout == OUTPUT.group(1)


def test_its_line_for_the_command_serves(serve: Serve, upstream: Upstream) -> None:
    line = next(line for line in PAGE.splitlines() if "headrace run --engine" in line)
    flags = line.partition("headrace run ")[2].split()
    served = serve(
        f"{flags[0]}={flags[1]}", *flags[2:], environment={"OPENAI_API_KEY": "k-4711", "OPENAI_BASE_URL": upstream.url}
    )
    assert b'"id":"gpt-5-mini"' in served.request("GET", "/v1/models")[2]


def test_its_engine_for_azure_can_be_made() -> None:
    exec(AZURE, {})


def test_it_names_every_option() -> None:
    parameters = set(inspect.signature(OpenAIEngine).parameters) - {"model", "clock"}
    table = PAGE.partition("## Options")[2].partition("## ")[0]
    named = set(
        re.findall(r"`(\w+)(?:=[^`]*)?`", "".join(line.split("|")[1] for line in table.splitlines() if "|" in line))
    )
    assert named == parameters


def test_it_names_the_defaults() -> None:
    defaults = {name: parameter.default for name, parameter in inspect.signature(OpenAIEngine).parameters.items()}
    for name in ("connect", "gap", "timeout", "retries"):
        value = defaults[name]
        assert f"`{name}={value if value is None else f'{value:g}'}`" in PAGE


def test_its_measures_are_there() -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith("| `measures`"))
    assert set(re.findall(r"`(\w+)`", row)[1:]) <= {
        *(field.name for field in dataclasses.fields(Measures)),
        *("complete", "failed", "cancelled", "truncated"),
    }


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)", PAGE)
    assert links
    assert all((REPOSITORY / "docs/howto" / link).exists() for link in links)
