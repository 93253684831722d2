"""`headrace check`."""

from __future__ import annotations

from pathlib import Path

import click

from headrace.cli.screen import EXIT_CANNOT_START, EXIT_USER_CODE, refuse
from headrace.cli.target import find, load
from headrace.errors import DefinitionError
from headrace.services.decorators import Bound
from headrace.services.definition import define


@click.command("check")
@click.argument("target", required=False)
def command(target: str | None) -> None:
    """Show all mistakes of TARGET at once. Its module is imported; nothing of the service is constructed."""
    try:
        location = find(target, Path.cwd())
    except DefinitionError as error:
        refuse(error, EXIT_CANNOT_START)
    try:
        loaded = load(location)
        definition = define(loaded.service if isinstance(loaded, Bound) else loaded)  # type: ignore[arg-type]
    except DefinitionError as error:
        refuse(error, EXIT_USER_CODE)
    count = len(definition.endpoints)
    click.echo(f"{location.label}:{definition.name} has {count} endpoint{'' if count == 1 else 's'} and no mistakes")
