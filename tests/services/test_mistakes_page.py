"""`docs/reference/mistakes.md` says what headrace says: every example of the page is run."""

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from composed import composed

from headrace.errors import DefinitionError, InternalError
from headrace.server.app import Application
from headrace.services.decorators import Bound
from headrace.services.definition import define
from headrace.services.overrides import configured

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "reference" / "mistakes.md").read_text(encoding="utf-8")
SECTIONS: dict[str, str] = dict(re.findall(r"^## (HR\d\d)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))

WITHOUT_EXAMPLE = ["HR11"]
"""The text depends on the processes of the machine."""


WITHOUT_MSGSPEC = """
from importlib.machinery import PathFinder

find = PathFinder.find_spec
PathFinder.find_spec = classmethod(lambda cls, name, *rest: None if name == "msgspec" else find(name, *rest))
"""
"""A process in which it is not installed."""


def block(code: str, language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", SECTIONS[code], re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def text_of(call: Callable[[], object]) -> str:
    with pytest.raises(DefinitionError) as caught:
        call()
    return str(caught.value)


def test_every_code_has_its_section_and_every_section_its_code() -> None:
    used = {code for file in (ROOT / "src").rglob("*.py") for code in re.findall(r"HR\d\d", file.read_text("utf-8"))}
    assert sorted(SECTIONS) == sorted(used)


def test_every_section_has_an_example() -> None:
    assert [code for code in SECTIONS if not block(code, "text")] == WITHOUT_EXAMPLE


@pytest.mark.parametrize("code", ["HR05", "HR06", "HR12", "HR17", "HR18", "HR20"])
def test_a_mistake_in_a_definition(
    code: str, written: Callable[[str], ModuleType], plain: Callable[[str], str]
) -> None:
    module = written(block(code, "python"))
    assert plain(text_of(lambda: define(Bound(module.Poet)))) + "\n" == block(code, "text")


def test_a_mistake_in_an_assignment(written: Callable[[str], ModuleType], plain: Callable[[str], str]) -> None:
    module = written(block("HR19", "python"))
    key, _, value = shlex.split(block("HR19", "sh"))[-1].partition("=")
    assert plain(text_of(lambda: configured(Bound(module.Poet), {key: value}))) + "\n" == block("HR19", "text")


@pytest.mark.parametrize("code", ["HR01", "HR02", "HR03", "HR04", "HR22"])
def test_a_mistake_in_the_target(code: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(block(code, "python"), encoding="utf-8")
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "NO_COLOR": "1"}
    if code == "HR22":
        environment["PYTHONPATH"] = str(tmp_path / "without")
        (tmp_path / "without").mkdir()
        (tmp_path / "without" / "sitecustomize.py").write_text(WITHOUT_MSGSPEC)
    command = ["sh", "-c", block(code, "sh")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    text = done.stderr.replace(sys.executable, "/home/ada/.venv/bin/python").replace(sys.version.split()[0], "3.13.1")
    assert text.replace("/bin/python3", "/bin/python").strip() + "\n" == block(code, "text")
    assert done.returncode > 0


@pytest.mark.parametrize("code", ["HR08", "HR10", "HR14", "HR16"])
async def test_a_request_or_an_answer_that_is_wrong(
    code: str, written: Callable[[str], ModuleType], plain: Callable[[str], str]
) -> None:
    application = Application(written(block(code, "python")).Poet)
    _, address, *sends = shlex.split(block(code, "sh"))
    path = "/" + address.partition("//")[2].partition("/")[2]
    body = sends[-1].encode() if sends else b""
    received: asyncio.Queue[Any] = asyncio.Queue()
    received.put_nowait({"type": "http.request", "body": body})
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST" if body else "GET",
        "path": path,
        "query_string": b"",
        "headers": [
            (b"host", b"localhost:8000"),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("localhost", 8000),
        "client": ("127.0.0.1", 1),
    }
    await application(scope, received.get, send)
    answer = b"".join(message.get("body", b"") for message in sent)
    assert plain(json.loads(answer)["detail"]) + "\n" == block(code, "text")
    await application.runtime.__aexit__(None, None, None)


async def test_a_call_that_is_used_in_the_wrong_way(
    written: Callable[[str], ModuleType], plain: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []
    async with composed(written(block("HR15", "python")).Poet) as running:
        for name in ("awaits_a_stream", "iterates_an_answer"):
            with pytest.raises(InternalError) as caught:
                await getattr(running.handle, name)("rain")
            told.append(str(caught.value.__cause__))
        assert await running.handle.forgets("rain") == "rain"
    told += [record.getMessage() for record in caplog.records]
    assert plain("\n".join(told)) + "\n" == block("HR15", "text")
