"""`headrace`: the table of its subcommands."""

from __future__ import annotations

import importlib
import os
from typing import Any

import click

from headrace.cli.exits import EXIT_STOPPED

COMMANDS = {
    "dev": "Serve with reload while you write the service.",
    "run": "Serve in production.",
    "check": "Show all mistakes of a service without starting it.",
    "routes": "Show the endpoints of a service with their types.",
    "chat": "Talk to a chat service.",
    "bench": "Put load on a server and measure how it streams.",
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

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the subcommand. Ctrl-C ends every one of them with 130, without a traceback."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise SystemExit(EXIT_STOPPED) from None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="headrace", prog_name="headrace")
@click.pass_context
def main(context: click.Context) -> None:
    """Write a generator; headrace puts it on every wire."""
    if os.environ.get("NO_COLOR"):  # no-color.org: set and not empty
        context.color = False
