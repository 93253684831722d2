"""`headrace check`: all mistakes at once, and nothing constructed."""

from typing import Any

APP = """\
from collections.abc import AsyncIterator
from headrace import endpoint, service

@service
class Chat:
    def __init__(self, size: int = 1) -> None:
        raise RuntimeError("constructed")

    @endpoint
    async def write(self, topic: str) -> AsyncIterator[str]:
        yield topic
"""

TWO_MISTAKES = (
    APP
    + """
    @endpoint
    async def untyped(self, prompt) -> AsyncIterator[str]:
        yield prompt

    @endpoint
    async def silent(self) -> AsyncIterator[str]:
        return None
"""
)


def test_a_service_without_mistakes_is_not_constructed(project: Any) -> None:
    result = project.write(app=APP).run("check", "app.py")
    assert (result.exit_code, result.output) == (0, "app.py:Chat has 1 endpoint and no mistakes\n")


def test_several_endpoints_are_counted(project: Any) -> None:
    second = APP.partition("    @endpoint")[2].replace("write", "also")
    result = project.write(app=APP + "\n    @endpoint" + second).run("check")
    assert result.output == "app.py:Chat has 2 endpoints and no mistakes\n"


def test_all_mistakes_are_shown_together(project: Any) -> None:
    result = project.write(app=TWO_MISTAKES).run("check")
    assert result.exit_code == 1
    assert [line.split()[0] for line in result.stderr.splitlines() if line.startswith("HR")] == ["HR05", "HR06"]
    assert result.stdout == ""


def test_code_that_cannot_be_imported_is_a_mistake_in_it(project: Any) -> None:
    result = project.write(app="import zzz_not_there\n").run("check")
    assert result.exit_code == 1
    assert result.stderr.startswith('HR03 app.py imports "zzz_not_there", which is not installed\n')


def test_a_target_that_is_not_there_cannot_be_checked(project: Any) -> None:
    result = project.run("check", "nope.py")
    assert result.exit_code == 3
    assert result.stderr.startswith('HR01 no file "nope.py" here.')


def test_what_the_constructor_is_given_is_checked_too(project: Any) -> None:
    result = project.write(app=APP + "\napp = Chat.bind(sise=2)\n").run("check")
    assert result.exit_code == 1
    assert result.stderr.startswith("HR12 ")


def test_arguments_of_the_command_line_are_checked_too(project: Any) -> None:
    project.write(app=APP.replace("size: int = 1", "size: int"))
    assert project.run("check").exit_code == 1
    assert project.run("check", "--set", "Chat.size=big").stderr.startswith("HR19 Chat.size is int, not 'big'")
    assert project.run("check", "--set", "Chat.size=2").exit_code == 0
