"""What `dev` and `run` share: from TARGET and settings to a server that answers."""

from __future__ import annotations

import dataclasses
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from headrace.cli.options import read_settings, with_settings
from headrace.cli.port import PortTaken, bind, bind_next, url
from headrace.cli.screen import EXIT_CANNOT_START, EXIT_USAGE, fail, refuse, show_mistakes, show_ready
from headrace.cli.supervisor import Files, Supervisor
from headrace.cli.target import Location, find, load
from headrace.config import Settings
from headrace.errors import DefinitionError, SetupError
from headrace.services.decorators import Bound
from headrace.services.mistakes import setup_mistake
from headrace.services.overrides import configured

DEMO = "headrace.demo:Chat"

TARGET_HELP = (
    "TARGET is file.py, file.py:Class, package.module:Class or package.module:app. Left out, it is `target` of the"
    " settings file, else app.py, main.py or service.py."
)


@dataclasses.dataclass(frozen=True, slots=True)
class Launch:
    """One start of a server, as the command line asked for it."""

    mode: str
    target: str | None
    assignments: tuple[str, ...]
    inherited: str | None
    next_port: bool
    settings: Settings
    started: float


def serving_command(mode: str, summary: str, defaults: Mapping[str, Any], *, next_port: bool) -> click.Command:
    """Makes a subcommand that serves TARGET.

    Args:
        defaults: settings that this subcommand prefers to the table's defaults.
        next_port: whether a taken port is passed over for the next free one.
    """

    @click.command(mode, help=f"{summary}\n\n{TARGET_HELP}")
    @click.argument("target", required=False)
    @with_settings
    @click.option(
        "--set", "assignments", multiple=True, metavar="CLASS.PARAMETER=VALUE", help="A constructor argument."
    )
    @click.option("--demo", is_flag=True, help="Serve the built-in chat model instead of a TARGET.")
    @click.option("--inherit", hidden=True, help="Descriptors of the listener and of the supervisor's pipe.")
    def command(
        target: str | None, assignments: tuple[str, ...], demo: bool, inherit: str | None, **flags: Any
    ) -> None:
        started = time.perf_counter()
        if demo and target:
            fail("--demo serves the built-in model; leave out TARGET", EXIT_USAGE)
        settings = read_settings(flags, Path.cwd(), defaults)
        start = Launch(mode, DEMO if demo else target, assignments, inherit, next_port, settings, started)
        raise SystemExit(launch(start))

    return command


def launch(start: Launch) -> int:
    """Serves until a signal, in this process or in children of it. Returns the exit code."""
    try:
        location = find(start.target, Path.cwd())
    except DefinitionError as error:
        refuse(error)
    listener, pipe = _listener(start)
    if start.settings.reload:
        return Supervisor(sys.argv[1:], listener).keep_one(Files(location.root))
    if start.settings.workers > 1:
        return Supervisor(sys.argv[1:], listener).keep_many(start.settings.workers)
    return _serve(start, location, listener, pipe)


def _listener(start: Launch) -> tuple[socket.socket, int | None]:
    """The socket to listen on, and the pipe that ends with the supervisor, when there is one."""
    settings = start.settings
    if start.inherited is not None:
        descriptor, _, pipe = start.inherited.partition(",")
        return socket.socket(fileno=int(descriptor)), int(pipe)
    try:
        take = bind_next if start.next_port and settings.port else bind
        listener = take(settings.host, settings.port)
    except PortTaken as error:
        fail(f"{error}; stop it, or choose another: --port {settings.port + 1}", EXIT_CANNOT_START)
    except OSError as error:
        fail(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}", EXIT_CANNOT_START)
    taken: int = listener.getsockname()[1]
    if settings.port and taken != settings.port:
        click.secho(f"  {PortTaken(settings.host, settings.port)}; using {taken}", fg="yellow", err=True)
    return listener, None


def _serve(start: Launch, location: Location, listener: socket.socket, pipe: int | None) -> int:
    from headrace.server.app import Application
    from headrace.server.run import configure_logging, run

    try:
        bound = _bound(location, start.assignments)
        application = Application(bound, start.settings)
    except DefinitionError as error:
        refuse(error)
    definition = application.runtime.definition
    label = f"{location.label}:{location.name or bound.service.__name__}"

    def ready() -> None:
        show_ready(definition, label, start.mode, url(listener), time.perf_counter() - start.started)

    configure_logging(start.settings)
    try:
        return run(application, listener, ready, pipe)
    except SetupError as error:
        show_mistakes([setup_mistake(definition.name, error.__cause__ or error)])
        return EXIT_CANNOT_START


def _bound(location: Location, assignments: tuple[str, ...]) -> Bound[Any]:
    loaded = load(location)
    bound = loaded if isinstance(loaded, Bound) else Bound(loaded)  # type: ignore[arg-type]  # `load` gives no other
    pairs = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            fail(f"--set {assignment}: write CLASS.PARAMETER=VALUE", EXIT_USAGE)
        pairs[key] = value
    return configured(bound, pairs) if pairs else bound
