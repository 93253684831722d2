"""What the command prints: mistakes, and what a server says when it is ready."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

import click

from headrace.errors import DefinitionError, Mistake
from headrace.services.definition import ServiceDefinition
from headrace.services.endpoint import EndpointDefinition
from headrace.wire.formats import FORMATS

EXIT_USER_CODE, EXIT_USAGE, EXIT_CANNOT_START = 1, 2, 3


def fail(message: str, code: int) -> NoReturn:
    """Prints an error and ends the command."""
    click.secho(f"error: {message}", fg="red", err=True)
    raise SystemExit(code)


def show_mistakes(mistakes: Sequence[Mistake]) -> None:
    """Prints mistakes, a blank line between them."""
    for mistake in mistakes:
        head, _, rest = str(mistake).partition("\n")
        click.secho(head, fg="red", bold=True, err=True)
        click.echo(f"{rest}\n" if rest else "", err=True)


def refuse(error: DefinitionError, code: int = EXIT_CANNOT_START) -> NoReturn:
    """Prints all mistakes and ends the command."""
    show_mistakes(error.mistakes)
    raise SystemExit(code)


def show_ready(definition: ServiceDefinition, label: str, mode: str, address: str, seconds: float) -> None:
    """What a server prints when it answers: where it is and what it serves."""
    title = f"headrace {version('headrace')} · {mode} · {label}"
    ready = f"ready in {seconds:.2f} s"
    click.echo(f"  {click.style(title, bold=True)}{ready:>{max(90 - len(title), len(ready) + 2)}}")
    click.echo(f"  {click.style('➜', fg='green')} {click.style(address, fg='cyan')}")
    show_routes(definition)


def show_routes(definition: ServiceDefinition) -> None:
    """One line per endpoint: method, path, parameters, what it gives, and in which formats."""
    rows = [
        (
            f"{'|'.join(endpoint.methods)} {endpoint.path}",
            f"{endpoint.signature} → {endpoint.returns}",
            " · ".join(format_names(endpoint)),
        )
        for endpoint in definition.endpoints
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for route, types, formats in rows:
        click.echo(f"  {route:<{widths[0]}}   {types:<{widths[1]}}   {click.style(formats, dim=True)}")


def format_names(endpoint: EndpointDefinition) -> list[str]:
    """The formats that an endpoint answers in, by their short names."""
    kind = endpoint.types.item.kind
    usable = [f for f in FORMATS if (f.streams if endpoint.streams else f.unary) and f.only in (None, kind)]
    return ["json" if format_.name == "document" else format_.name for format_ in usable]
