"""`headrace`: the table of its subcommands."""

from __future__ import annotations

import importlib
from importlib.metadata import version

import click

COMMANDS = {
    "dev": "Serve with reload while you write the service.",
    "run": "Serve in production.",
    "check": "Show all mistakes of a service without starting it.",
    "routes": "Show the endpoints of a service with their types.",
    "demo": "Let the built-in model answer a question, token by token.",
}


class LazyGroup(click.Group):
    """Imports a subcommand's file, `headrace.cli.<name>`, when the subcommand is chosen."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand; None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"headrace.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table alone: help loads no subcommand."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("headrace"), prog_name="headrace")
def main() -> None:
    """Write a generator; headrace puts it on every wire."""
