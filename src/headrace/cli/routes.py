"""`headrace routes`."""

from __future__ import annotations

from pathlib import Path

import click

from headrace.cli.screen import refuse, show_routes
from headrace.cli.target import find, load
from headrace.errors import DefinitionError
from headrace.services.decorators import Bound
from headrace.services.definition import define


@click.command("routes")
@click.argument("target", required=False)
def command(target: str | None) -> None:
    """Show the endpoints of TARGET: method, path, parameters, what they give and in which formats."""
    try:
        loaded = load(find(target, Path.cwd()))
        show_routes(define(loaded.service if isinstance(loaded, Bound) else loaded))  # type: ignore[arg-type]
    except DefinitionError as error:
        refuse(error)
