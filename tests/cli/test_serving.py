"""What happens before a server is started: the port, the folders to watch, and what is refused."""

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.cli.port import port_of
from headrace.cli.serving import take_port
from headrace.config import Settings


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield port_of(listener)


NAME = Path("/proc/self/comm").read_text().strip()


def test_a_taken_port_is_refused_with_its_owner_and_a_free_one(taken: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        take_port(Settings(port=taken), next_port=False)
    said = re.sub(r"--port \d+", "--port FREE", capsys.readouterr().err)
    assert ended.value.code == 3
    assert said == (
        f"HR11 port {taken} on 127.0.0.1 is in use by {NAME} (pid {os.getpid()})\n"
        "  fix: stop it, or take a free one: --port FREE\n"
    )


def test_the_next_free_port_is_taken_and_told(taken: int, capsys: pytest.CaptureFixture[str]) -> None:
    with take_port(Settings(port=taken), next_port=True) as listener:
        assert capsys.readouterr().err == (
            f"  HR11 port {taken} on 127.0.0.1 is in use by {NAME} (pid {os.getpid()}); using {port_of(listener)}\n"
        )


def test_any_free_port_is_taken_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    take_port(Settings(port=0), next_port=True).close()
    take_port(Settings(port=0), next_port=False).close()
    assert capsys.readouterr().err == ""


def test_an_address_that_cannot_be_used_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        take_port(Settings(host="203.0.113.1", port=0), next_port=False)
    assert ended.value.code == 3
    assert capsys.readouterr().err == "error: cannot listen on 203.0.113.1:0: Cannot assign requested address\n"


@pytest.mark.parametrize("command", ["dev", "run"])
def test_a_target_that_is_not_there_cannot_be_started(project: Any, command: str) -> None:
    result = project.run(command, "nope.py")
    assert result.exit_code == 3
    assert result.stderr == (
        'HR01 no file "nope.py" here. No class decorated with @service was found.\n'
        "  fix: headrace dev path/to/file.py\n"
    )


@pytest.mark.parametrize("command", ["dev", "run"])
def test_the_demo_model_has_no_target(project: Any, command: str) -> None:
    said = "error: --demo serves the built-in model; leave out TARGET, --engine and --model\n"
    for other in (("app.py",), ("--engine", "tiny"), ("--model", "tiny")):
        result = project.run(command, "--demo", *other)
        assert (result.exit_code, result.stderr) == (2, said)


@pytest.mark.parametrize("command", ["dev", "run"])
def test_what_children_inherit_is_not_in_the_help(project: Any, command: str) -> None:
    said = project.run(command, "--help").output
    assert "--inherit" not in said
    assert "--set CLASS.PARAMETER=VALUE" in said
    assert "TARGET is file.py, file.py:Class, package.module:Class or package.module:app." in " ".join(said.split())


def test_a_wrong_inheritance_is_a_mistake_of_use(project: Any) -> None:
    assert project.run("run", "--inherit", "x").exit_code == 2
