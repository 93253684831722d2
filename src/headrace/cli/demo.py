"""`headrace demo`: a server with the built-in model, one question, and the answer as it is made."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator

import click

from headrace.cli.children import Child, Children
from headrace.cli.exits import EXIT_CANNOT_START, EXIT_OK, EXIT_STREAM_FAILED, EXIT_TRUNCATED, fail
from headrace.cli.pace import Pace
from headrace.cli.port import port_of
from headrace.cli.serving import take_port
from headrace.config import Settings
from headrace.demo import GREETING
from headrace.errors import HeadraceError, StreamTruncated
from headrace.wire.events import Failure, Item, StreamEvent
from headrace.wire.ndjson import NdjsonDecoder
from headrace.wire.stream_types import stream_types

QUESTION = "What is streaming?"
START_SECONDS = 20.0


@click.command("demo")
@click.argument("question", required=False, default=QUESTION)
@click.option("--once", is_flag=True, help="End after the answer instead of serving on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8000,
    help="The port to serve on; the next free one when it is taken.",
    show_default=True,
)
def command(question: str, once: bool, port: int) -> None:
    """Start a server with the built-in model and stream its answer to QUESTION."""
    click.secho(GREETING, dim=True)
    with take_port(Settings(port=port), next_port=True) as listener:
        arguments = ["run", "--demo", "--log-level", "warning", "--no-reload", "--workers", "1", "--drain", "1"]
        server = Children(arguments, listener, subprocess.DEVNULL).start()
        try:
            code = _show(server, port_of(listener), question, once)
        finally:
            server.stop()
            server.wait()
        raise SystemExit(code)


def _show(server: Child, port: int, question: str, once: bool) -> int:
    _wait(server, port)
    click.echo(f"\n> {question}")
    code = tell(_events(port, question), time.perf_counter)
    if once or code != EXIT_OK:
        return code
    _explain(port)
    return server.wait()


def _wait(server: Child, port: int) -> None:
    """Returns when the server answers."""
    until = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    fail("the demo server did not start", EXIT_CANNOT_START)


def tell(events: Iterable[StreamEvent], clock: Callable[[], float]) -> int:
    """Prints an answer as it arrives, then its first-token time and rate.

    Args:
        events: of the answer; asked for now.
        clock: seconds; monotonic.

    Returns:
        The exit code.
    """
    pace = Pace(clock)
    try:
        for event in events:
            if isinstance(event, Item):
                pace.piece()
                click.echo(event.data, nl=False)
            elif isinstance(event, Failure):
                return _failed(event.code, event.message, EXIT_STREAM_FAILED)
    except StreamTruncated as error:
        return _failed(error.code, error.message, EXIT_TRUNCATED)
    except HeadraceError as error:
        return _failed("not an answer", str(error), EXIT_STREAM_FAILED)
    click.secho(f"\n\n  {pace.told()}", fg="green")
    return EXIT_OK


def _failed(what: str, why: str, code: int) -> int:
    click.secho(f"\nerror: {what}: {why}", fg="red", err=True)
    return code


def _events(port: int, question: str) -> Iterator[StreamEvent]:
    """The events of the answer. Raises StreamTruncated when the connection ends before the answer does."""
    decoder = NdjsonDecoder(stream_types(str))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        body = json.dumps({"messages": [{"role": "user", "content": question}]})
        headers = {"content-type": "application/json", "accept": "application/x-ndjson"}
        connection.request("POST", "/chat", body, headers)
        response = connection.getresponse()
        if response.status != http.client.OK:
            problem = json.loads(response.read())
            yield Failure(problem["code"], problem["detail"])
            return
        while chunk := response.read1():
            yield from decoder.feed(chunk)
    except (OSError, http.client.HTTPException) as error:
        raise StreamTruncated(f"the connection was lost: {error}") from error
    finally:
        connection.close()
    yield from decoder.finish()


def _explain(port: int) -> None:
    url = f"http://localhost:{port}"
    ask = """--json '{"messages": [{"role": "user", "content": "Tell me a story about a fox"}]}'"""
    click.echo(f"""
The server stays up at {url} until Ctrl-C. Try, in another terminal:

  curl -N {url}/chat {ask} -H 'accept: */*'
  curl -N {url}/chat {ask} -H 'accept: text/event-stream'
  curl -N {url}/complete --json '{{"prompt": "Once upon a time", "temperature": 0.8, "seed": 7}}' -H 'accept: */*'
  curl {url}/metrics
""")
