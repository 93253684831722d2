"""`headrace routes`."""

from __future__ import annotations

from pathlib import Path

import click

from headrace.cli.exits import refuse_definition
from headrace.cli.loading import load
from headrace.cli.options import target_argument
from headrace.cli.screen import show_routes
from headrace.cli.target import find
from headrace.errors import DefinitionError
from headrace.services.decorators import Bound
from headrace.services.definition import define


@click.command("routes")
@target_argument
def command(target: str | None) -> None:
    """Show the endpoints of TARGET: method, path, parameters, what they give and in which formats."""
    try:
        loaded = load(find(target, Path.cwd()))
        # Constructor arguments do not matter here: they may be missing.
        show_routes(define(loaded.service if isinstance(loaded, Bound) else loaded))
    except DefinitionError as error:
        refuse_definition(error)
