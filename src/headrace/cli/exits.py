"""How the command ends: its exit codes, and what it says on the way out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import click

from headrace.errors import DefinitionError, Mistake

EXIT_OK = 0
EXIT_USER_CODE = 1
EXIT_USAGE = 2
EXIT_CANNOT_START = 3
EXIT_STREAM_FAILED = 4
EXIT_TRUNCATED = 5
EXIT_STOPPED = 130


def fail(message: str, code: int) -> NoReturn:
    """Prints an error and ends the command."""
    click.secho(f"error: {message}", fg="red", err=True)
    raise SystemExit(code)


def refuse(mistakes: Sequence[Mistake], code: int) -> NoReturn:
    """Prints all mistakes and ends the command."""
    show_mistakes(mistakes)
    raise SystemExit(code)


def refuse_definition(error: DefinitionError) -> NoReturn:
    """`refuse` for a command that only reads the code: there was no target, or there is something wrong with it."""
    missing = all(mistake.code == "HR01" for mistake in error.mistakes)
    refuse(error.mistakes, EXIT_CANNOT_START if missing else EXIT_USER_CODE)


def show_mistakes(mistakes: Sequence[Mistake]) -> None:
    """Prints mistakes, a blank line between them."""
    for number, mistake in enumerate(mistakes):
        head, _, rest = str(mistake).partition("\n")
        click.secho(f"\n{head}" if number else head, fg="red", bold=True, err=True)
        if rest:
            click.echo(rest, err=True)
