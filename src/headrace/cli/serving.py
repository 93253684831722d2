"""What `dev` and `run` share: from TARGET and settings to a server that answers, or to the children that will."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from headrace.cli.children import Children, Inheritance
from headrace.cli.engine_choice import EngineChoice, choose
from headrace.cli.exits import EXIT_CANNOT_START, EXIT_USAGE, fail, refuse
from headrace.cli.launch import Launch
from headrace.cli.options import assignment_option, read_settings, target_argument, with_settings
from headrace.cli.port import PortTaken, bind, bind_next, free_port, port_of
from headrace.cli.settings_file import UnreadableFile
from headrace.cli.supervisor import Supervisor
from headrace.cli.target import Location, find
from headrace.cli.watch import Watch
from headrace.config import ConfigError, Settings
from headrace.engines.table import ENGINES
from headrace.errors import DefinitionError, Mistake, SetupError

DEMO = "tiny"
"""The engine of `--demo`."""

RELOAD_GRACE = 3.0
"""Seconds that a server gets, after the drain, to stop before a reload kills it: its code may hang."""

TARGET_HELP = (
    "TARGET is file.py, file.py:Class, package.module:Class or package.module:app. Left out, it is `target` of the"
    " settings file, else app.py, main.py or service.py."
)


def serving_command(mode: str, summary: str, defaults: Mapping[str, Any], *, next_port: bool) -> click.Command:
    """Makes a subcommand that serves TARGET.

    Args:
        defaults: settings that this subcommand prefers to the table's defaults.
        next_port: whether a taken port is passed over for the next free one.
    """

    @click.command(mode, help=f"{summary}\n\n{TARGET_HELP}")
    @target_argument
    @with_settings
    @assignment_option
    @click.option(
        "--engine",
        metavar="NAME",
        help=f"Serve a language model instead of a TARGET; {', '.join(ENGINES)}.  [env var: HEADRACE_ENGINE]",
    )
    @click.option("--model", metavar="PATH_OR_NAME", help="The engine's model.  [env var: HEADRACE_MODEL]")
    @click.option("--demo", is_flag=True, help=f"Serve the built-in chat model: --engine {DEMO}.")
    @click.option("--inherit", type=Inheritance.read, hidden=True, help="What a child gets from its supervisor.")
    def command(
        target: str | None,
        assignments: Mapping[str, str],
        engine: str | None,
        model: str | None,
        demo: bool,
        inherit: Inheritance | None,
        **flags: Any,
    ) -> None:
        if demo and (target or engine or model):
            fail("--demo serves the built-in model; leave out TARGET, --engine and --model", EXIT_USAGE)
        settings = read_settings(flags, Path.cwd(), defaults)
        source = EngineChoice(DEMO) if demo else _source(target, {"engine": engine, "model": model}, Path.cwd())
        launch = Launch(mode, source, assignments, settings)
        if inherit is not None:
            raise SystemExit(_serve(launch, socket.socket(fileno=inherit.listener), inherit))
        with take_port(settings, next_port=next_port) as listener:
            raise SystemExit(_start(launch, listener))

    return command


def take_port(settings: Settings, *, next_port: bool) -> socket.socket:
    """The socket to listen on. Ends the command when there is none; says so when it is not on the wanted port."""
    host, wanted = settings.host, settings.port
    try:
        listener = (bind_next if next_port and wanted else bind)(host, wanted)
    except PortTaken as error:
        free = free_port(host, wanted)
        fix = f"stop it, or take a free one: --port {free}" if free else "stop it, or choose another one with --port"
        refuse([Mistake("HR11", str(error), fix=fix)], EXIT_CANNOT_START)
    except OSError as error:
        fail(f"cannot listen on {host}:{wanted}: {error.strerror}", EXIT_CANNOT_START)
    if wanted and port_of(listener) != wanted:
        click.secho(f"  HR11 {PortTaken(host, wanted)}; using {port_of(listener)}", fg="yellow", err=True)
    return listener


def _source(target: str | None, flags: Mapping[str, str | None], folder: Path) -> Location | EngineChoice:
    try:
        return choose(target, flags, os.environ, folder) or find(target, folder)
    except (ConfigError, UnreadableFile) as error:
        fail(str(error), EXIT_USAGE)
    except SetupError as error:
        fail(str(error), EXIT_CANNOT_START)
    except DefinitionError as error:
        refuse(error.mistakes, EXIT_CANNOT_START)


def _start(launch: Launch, listener: socket.socket) -> int:
    settings = launch.settings
    if not settings.reload and settings.workers == 1:
        return _serve(launch, listener, None)
    supervisor = Supervisor(Children(sys.argv[1:], listener))
    if settings.reload:
        return supervisor.keep_one(Watch(launch.source.watched), settings.drain + RELOAD_GRACE)
    return supervisor.keep_many(settings.workers)


def _serve(launch: Launch, listener: socket.socket, inherited: Inheritance | None) -> int:
    from headrace.cli.worker import Worker  # deferred: a supervisor needs nothing of the server

    return Worker(launch, inherited).serve(listener)
