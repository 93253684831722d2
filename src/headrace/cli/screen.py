"""What a server says when it is ready, and what it serves."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

import click

from headrace.cli.printable import printable
from headrace.services.definition import ServiceDefinition
from headrace.services.endpoint import EndpointDefinition
from headrace.wire.formats import FORMATS

WIDTH = 90


@dataclass(frozen=True, slots=True)
class Ready:
    """A server that answers.

    Attributes:
        label: of what it serves.
        mode: the subcommand.
        address: of the server, with a slash at the end.
        seconds: from its start until now.
        model: the name to ask its OpenAI API for; None: it has none.
    """

    definition: ServiceDefinition
    label: str
    mode: str
    address: str
    seconds: float
    model: str | None = None


def show_ready(ready: Ready) -> None:
    """What a server prints when it answers: where it is and what it serves."""
    title = f"headrace {version('headrace')} · {ready.mode} · {ready.label}"
    seconds = f"ready in {ready.seconds:.2f} s"
    click.echo(f"  {click.style(title, bold=True)}{seconds:>{max(WIDTH - len(title), len(seconds) + 2)}}")
    arrow = click.style("➜", fg="green")
    where = f"  {arrow} {click.style(ready.address, fg='cyan')}"
    if ready.model is not None:
        where += f'        {arrow} OpenAI base {ready.address}v1 (model "{printable(ready.model)}")'
    click.echo(where)
    show_routes(ready.definition)


def show_routes(definition: ServiceDefinition) -> None:
    """One line per endpoint: method, path, parameters, what it gives, and in which formats.

    An endpoint that speaks another API says in words what it does: its parameters are that API's.
    """
    rows = [_row(endpoint) for endpoint in definition.endpoints]
    rows += [(f"* {mount.path}/", f"→ {type(mount.app).__name__}", "asgi") for mount in definition.mounts]
    routes = max(len(route) for route, _, _ in rows)
    types = max((len(what) for _, what, formats in rows if formats), default=0)
    for route, what, formats in rows:
        end = f"{what:<{types}}   {click.style(formats, dim=True)}" if formats else what
        click.echo(f"  {route:<{routes}}   {end}")


def _row(endpoint: EndpointDefinition) -> tuple[str, str, str]:
    route = f"{'|'.join(endpoint.methods)} {endpoint.path}"
    if endpoint.dialect is not None:
        return route, endpoint.summary, ""
    return route, f"{endpoint.signature} → {endpoint.returns}", " · ".join(format_names(endpoint))


def format_names(endpoint: EndpointDefinition) -> list[str]:
    """What an endpoint answers in, by short names: the formats that people ask for, and WebSocket, which all speak."""
    kind = endpoint.types.item.kind
    shown = [f for f in FORMATS if (f.streams if endpoint.streams else f.unary) and not f.named]
    names = ["json" if f.name == "document" else f.name for f in shown if f.only in (None, kind)]
    return [*names, "ws"]
