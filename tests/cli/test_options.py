"""Options out of the table of settings, and settings out of flags, environment and file."""

import contextlib
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from headrace.cli.options import assignment_option, read_settings, with_settings
from headrace.config import settings


@click.command()
@with_settings
@assignment_option
def command(assignments: dict[str, str], **flags: Any) -> None:
    read = read_settings(flags, Path.cwd(), {"reload": True, "drain": 0.5})
    for name in ("port", "reload", "drain", "cors_origin"):
        click.echo(f"{name}={getattr(read, name)}")
    click.echo(f"assignments={assignments}")


def run(folder: Path, *arguments: str, **environment: str) -> tuple[int, list[str]]:
    with contextlib.chdir(folder):
        result = CliRunner().invoke(command, arguments, env=environment)
    return result.exit_code, result.output.splitlines()


def test_every_setting_has_a_flag() -> None:
    flags = [option for parameter in command.params for option in parameter.opts]
    assert flags == [*(row.flag for row in settings()), "--set"]


def test_a_command_prefers_its_own_defaults(tmp_path: Path) -> None:
    assert run(tmp_path)[1] == ["port=8000", "reload=True", "drain=0.5", "cors_origin=()", "assignments={}"]


def test_the_file_wins_over_the_defaults_of_the_command(tmp_path: Path) -> None:
    (tmp_path / "headrace.toml").write_text("[headrace]\nreload = false\nport = 1\n")
    assert run(tmp_path)[1][:2] == ["port=1", "reload=False"]


def test_the_environment_wins_over_the_file_and_the_flag_over_both(tmp_path: Path) -> None:
    (tmp_path / "headrace.toml").write_text("[headrace]\nport = 1\n")
    assert run(tmp_path, HEADRACE_PORT="2", PORT="3")[1][0] == "port=2"
    assert run(tmp_path, PORT="3")[1][0] == "port=3"
    assert run(tmp_path, "--port", "4", HEADRACE_PORT="2")[1][0] == "port=4"


def test_a_switch_can_be_turned_off(tmp_path: Path) -> None:
    assert run(tmp_path, "--no-reload")[1][1] == "reload=False"


def test_a_list_is_a_flag_given_several_times(tmp_path: Path) -> None:
    arguments = ("--cors-origin", "https://a.example", "--cors-origin", "https://b.example")
    assert run(tmp_path, *arguments)[1][3] == "cors_origin=('https://a.example', 'https://b.example')"


def test_assignments_are_pairs_and_a_value_may_hold_the_sign(tmp_path: Path) -> None:
    code, lines = run(tmp_path, "--set", "Chat.a=1", "--set", "Chat.b=x=y", "--set", "Chat.c=")
    assert (code, lines[-1]) == (0, "assignments={'Chat.a': '1', 'Chat.b': 'x=y', 'Chat.c': ''}")


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (("--port", "70000"), {}, "error: the setting port is 70000; it takes a whole number from 0 to 65535"),
        (("--port", "x"), {}, "Error: Invalid value for '--port': 'x' is not a valid integer."),
        ((), {"HEADRACE_DRAIN": "long"}, "error: the setting drain is 'long' (from HEADRACE_DRAIN); it takes a number"),
        (("--set", "Chat.a"), {}, "Error: Invalid value for '--set': Chat.a has no value; write CLASS.PARAMETER=VALUE"),
        (("--log-format", "xml"), {}, "Error: Invalid value for '--log-format': 'xml' is not one of 'text', 'json'."),
    ],
)
def test_a_wrong_value_is_a_mistake_of_use(
    tmp_path: Path, arguments: tuple[str, ...], environment: dict[str, str], said: str
) -> None:
    code, lines = run(tmp_path, *arguments, **environment)
    assert code == 2
    assert lines[-1].startswith(said)


def test_a_file_that_cannot_be_read_is_a_mistake_of_use(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("tool.headrace = 1\n")
    assert run(tmp_path) == (2, ["error: pyproject.toml: tool.headrace is 1, not a table"])


def test_what_is_served_stands_beside_the_settings(tmp_path: Path) -> None:
    (tmp_path / "headrace.toml").write_text('[headrace]\ntarget = "app.py"\nengine = "tiny"\nmodel = "x"\nport = 1\n')
    assert run(tmp_path)[1][0] == "port=1"


def test_an_unknown_setting_of_the_file_is_a_mistake_of_use(tmp_path: Path) -> None:
    (tmp_path / "headrace.toml").write_text("[headrace]\nprot = 1\n")
    code, [said] = run(tmp_path)
    assert (code, said) == (2, 'error: headrace.toml has an unknown setting "prot". Did you mean "port"?')
