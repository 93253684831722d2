"""What a server says when it is ready, and what it serves."""

from __future__ import annotations

from importlib.metadata import version

import click

from headrace.services.definition import ServiceDefinition
from headrace.services.endpoint import EndpointDefinition
from headrace.wire.formats import FORMATS

WIDTH = 90


def show_ready(definition: ServiceDefinition, label: str, mode: str, address: str, seconds: float) -> None:
    """What a server prints when it answers: where it is and what it serves."""
    title = f"headrace {version('headrace')} · {mode} · {label}"
    ready = f"ready in {seconds:.2f} s"
    click.echo(f"  {click.style(title, bold=True)}{ready:>{max(WIDTH - len(title), len(ready) + 2)}}")
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
    rows += [(f"* {mount.path}/", f"→ {type(mount.app).__name__}", "asgi") for mount in definition.mounts]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for route, types, formats in rows:
        click.echo(f"  {route:<{widths[0]}}   {types:<{widths[1]}}   {click.style(formats, dim=True)}")


def format_names(endpoint: EndpointDefinition) -> list[str]:
    """What an endpoint answers in, by short names: the formats that people ask for, and WebSocket, which all speak."""
    kind = endpoint.types.item.kind
    shown = [f for f in FORMATS if (f.streams if endpoint.streams else f.unary) and not f.named]
    names = ["json" if f.name == "document" else f.name for f in shown if f.only in (None, kind)]
    return [*names, "ws"]
