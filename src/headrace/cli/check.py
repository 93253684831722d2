"""`headrace check`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from headrace.cli.exits import refuse_definition
from headrace.cli.loading import load_bound
from headrace.cli.options import assignment_option, target_argument
from headrace.cli.target import find
from headrace.errors import DefinitionError
from headrace.services.definition import define


@click.command("check")
@target_argument
@assignment_option
def command(target: str | None, assignments: Mapping[str, str]) -> None:
    """Show all mistakes of TARGET at once. Its module is imported; nothing of the service is constructed."""
    try:
        location = find(target, Path.cwd())
        definition = define(load_bound(location, assignments))
    except DefinitionError as error:
        refuse_definition(error)
    count = len(definition.endpoints)
    click.echo(f"{location.label}:{definition.name} has {count} endpoint{'' if count == 1 else 's'} and no mistakes")
