"""`headrace chat`: talk to a chat service, ours or any other with an OpenAI-compatible API."""

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
from collections.abc import Callable
from typing import Any

import click

from headrace.cli.chat_server import ChatServer
from headrace.cli.conversation import Conversation
from headrace.cli.exits import EXIT_STREAM_FAILED, EXIT_USAGE, fail
from headrace.cli.printable import printable
from headrace.cli.talk import Talk, exit_code, reason
from headrace.errors import HeadraceError


@click.command("chat")
@click.argument("url", required=False, default="http://127.0.0.1:8000")
@click.option("--model", help="Which model answers; the server's first one, unless told.")
@click.option(
    "--api-key",
    envvar=["HEADRACE_API_KEY", "OPENAI_API_KEY"],
    show_envvar=True,
    help="The key that opens the server. Other users of the machine can see flags: prefer the environment.",
)
@click.option("--system", help="What the model is told before the conversation.")
@click.option("--temperature", type=click.FloatRange(0, 2), help="0 always takes the likeliest token.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="The longest answer.")
def command(url: str, model: str | None, api_key: str | None, system: str | None, **sampling: Any) -> None:
    """Talk to the chat service at URL.

    Without a path in URL, its OpenAI API is at /v1. Ctrl-C stops an answer, twice it leaves. Where the input is no
    terminal, each line of it is a question, and the answers alone go to the output.
    """
    # The variable of a server may name several keys; any of them opens it.
    try:
        server = ChatServer(url, api_key.split(",")[0].strip() if api_key else None)
    except ValueError as error:
        fail(str(error), EXIT_USAGE)
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="surrogateescape" if stream is sys.stdin else "replace")
    with asyncio.Runner() as runner:
        try:
            chosen = model or _first(runner.run(server.models()), server)
            options = {"model": chosen, **{name: value for name, value in sampling.items() if value is not None}}
            talk = Talk(runner, server, options, Conversation(system))
            if not (sys.stdin.isatty() and sys.stdout.isatty()):
                raise SystemExit(talk.with_lines(sys.stdin))
            click.secho(f"  {printable(chosen)} at {server.base} · /help · Ctrl-D leaves", dim=True, err=True)
            raise SystemExit(talk.with_a_person(_line_editor()))
        except HeadraceError as error:
            fail(reason(error), exit_code(error))
        finally:
            runner.run(server.close())


def _first(models: list[str], server: ChatServer) -> str:
    if not models:
        fail(f"{server.base} has no model; name one with --model", EXIT_STREAM_FAILED)
    return models[0]


def _line_editor() -> Callable[[str], str]:
    """`input`, with the keys and the history of readline where Python has it."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  # deferred: importing it changes the terminal
    return input
