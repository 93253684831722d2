"""Command-line options out of the table of settings, and the settings out of flags, environment and file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from headrace.cli.exits import EXIT_USAGE, fail
from headrace.cli.settings_file import UnreadableFile, read_file
from headrace.config import ConfigError, Setting, Settings, from_environment, from_toml, merge, settings

F = TypeVar("F", bound=Callable[..., Any])

target_argument = click.argument("target", required=False)


def _pairs(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    for value in values:
        if "=" not in value:
            raise click.BadParameter(f"{value} has no value; write CLASS.PARAMETER=VALUE")
    return dict(value.split("=", 1) for value in values)


assignment_option = click.option(
    "--set",
    "assignments",
    multiple=True,
    callback=_pairs,
    metavar="CLASS.PARAMETER=VALUE",
    help="A constructor argument; may be repeated.",
)


def with_settings(command: F) -> F:
    """Adds one option per setting; the values reach the command as keyword arguments, None where not given."""
    for row in reversed(list(settings())):
        command = _option(row)(command)
    return command


def _option(row: Setting) -> Callable[[F], F]:
    shown = f"  [default: {row.shown_default}]" if row.shown_default else ""
    summary = f"{row.summary}{shown}"
    if row.kind is bool:
        return click.option(f"{row.flag}/--no-{row.key}", row.name, default=None, help=summary)
    kind: Any = click.Choice(row.choices) if row.choices else str if row.repeatable else row.kind
    return click.option(row.flag, row.name, type=kind, multiple=row.repeatable, default=None, help=summary)


def read_settings(flags: Mapping[str, Any], folder: Path, defaults: Mapping[str, Any]) -> Settings:
    """The settings of this start. A wrong one ends the command with exit code 2.

    Args:
        flags: as the command got them.
        folder: where `headrace.toml` or `pyproject.toml` may be.
        defaults: what the command itself prefers to the table's defaults.
    """
    try:
        file = read_file(folder)
        given = from_toml(file.table, file.name)
        return merge(flags, from_environment(os.environ), {**defaults, **given})
    except (ConfigError, UnreadableFile) as error:
        fail(str(error), EXIT_USAGE)
