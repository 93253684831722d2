"""The group: its table, its help, and what holds for every subcommand."""

from typing import Any

import pytest

from headrace import __version__
from headrace.cli.main import COMMANDS

HELP = """\
Usage: headrace [OPTIONS] COMMAND [ARGS]...

  Write a generator; headrace puts it on every wire.

Options:
  --version   Show the version and exit.
  -h, --help  Show this message and exit.

Commands:
  dev     Serve with reload while you write the service.
  run     Serve in production.
  check   Show all mistakes of a service without starting it.
  routes  Show the endpoints of a service with their types.
  chat    Talk to a chat service.
  bench   Put load on a server and measure how it streams.
  demo    Let the built-in model answer a question, token by token.
"""


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_lists_the_subcommands(project: Any, flag: str) -> None:
    assert project.run(flag).output == HELP


def test_the_version_is_shown(project: Any) -> None:
    assert project.run("--version").output == f"headrace, version {__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_subcommand_of_the_table_has_help(project: Any, name: str) -> None:
    result = project.run(name, "--help")
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: headrace {name} [OPTIONS] ")


def test_an_unknown_subcommand_is_a_mistake_of_use(project: Any) -> None:
    result = project.run("serve")
    assert result.exit_code == 2
    assert "No such command 'serve'" in result.output


def test_ctrl_c_ends_with_130_and_no_words(project: Any) -> None:
    code = "raise KeyboardInterrupt\n"
    result = project.write(app=code).run("check")
    assert (result.exit_code, result.output) == (130, "")


def test_colours_are_left_out_on_request(project: Any) -> None:
    colourful = project.run("check", "nope.py", color=True, env={"NO_COLOR": ""})
    plain = project.run("check", "nope.py", color=True, env={"NO_COLOR": "1"})
    assert colourful.output.startswith("\x1b[31m\x1b[1mHR01 ")
    assert plain.output.startswith("HR01 ")
