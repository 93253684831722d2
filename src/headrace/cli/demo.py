"""`headrace demo`: a server with the built-in model, one question, and the answer as it is made."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator

import click

from headrace.cli.port import bind_next
from headrace.cli.screen import EXIT_CANNOT_START, fail
from headrace.demo import GREETING
from headrace.wire.events import End, Failure, Item
from headrace.wire.ndjson import NdjsonDecoder
from headrace.wire.typed import stream_types

QUESTION = "What is streaming?"
EXIT_STREAM_FAILED = 4
START_SECONDS = 20.0


@click.command("demo")
@click.argument("question", required=False, default=QUESTION)
@click.option("--once", is_flag=True, help="End after the answer instead of serving on.")
@click.option(
    "--port", default=8000, help="The port to serve on; the next free one when it is taken.", show_default=True
)
def command(question: str, once: bool, port: int) -> None:
    """Start a server with the built-in model and stream its answer to QUESTION."""
    with bind_next("127.0.0.1", port) as listener:
        free: int = listener.getsockname()[1]
    click.secho(GREETING, dim=True)
    command = [sys.executable, "-m", "headrace", "run", "--demo", "--port", str(free), "--log-level", "warning"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            _wait(server, free)
            code = _ask(free, question)
            if not once and code == 0:
                _explain(free)
                server.wait()
        except KeyboardInterrupt:
            code = 130
        finally:
            server.terminate()
    raise SystemExit(code)


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    """Returns when the server answers."""
    until = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < until:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == http.client.OK:
                return
        except OSError:
            time.sleep(0.02)
        finally:
            connection.close()
    fail("the demo server did not start", EXIT_CANNOT_START)


def _ask(port: int, question: str) -> int:
    """Prints the answer as it arrives, then its first-token time and rate. Returns the exit code."""
    click.echo(f"\n> {question}")
    asked, first, tokens = time.perf_counter(), 0.0, 0
    for event in _events(port, question):
        if isinstance(event, Item):
            tokens += 1
            first = first or time.perf_counter() - asked
            click.echo(event.data, nl=False)
        elif isinstance(event, Failure):
            click.secho(f"\n{event.code}: {event.message}", fg="red")
            return EXIT_STREAM_FAILED
    rest = time.perf_counter() - asked - first
    rate = f" · {(tokens - 1) / rest:.0f} pieces/s" if tokens > 1 and rest > 0 else ""
    click.secho(f"\n\n  first token {first * 1000:.0f} ms{rate} · {tokens} pieces", fg="green")
    return 0


def _events(port: int, question: str) -> Iterator[Item[str] | End | Failure]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = json.dumps({"messages": [{"role": "user", "content": question}]})
    connection.request("POST", "/chat", body, {"content-type": "application/json", "accept": "application/x-ndjson"})
    response = connection.getresponse()
    if response.status != http.client.OK:
        problem = json.loads(response.read())
        yield Failure(problem["code"], problem["detail"])
        return
    decoder = NdjsonDecoder(stream_types(str))
    while chunk := response.read1():
        for event in decoder.feed(chunk):
            if isinstance(event, (Item, End, Failure)):
                yield event
    decoder.finish()


def _explain(port: int) -> None:
    url = f"http://localhost:{port}"
    ask = """--json '{"messages": [{"role": "user", "content": "Tell me a story about a fox"}]}'"""
    click.echo(f"""
The server stays up at {url} until Ctrl-C. Try, in another terminal:

  curl -N {url}/chat {ask}
  curl -N {url}/chat {ask} -H 'accept: text/event-stream'
  curl -N {url}/complete --json '{{"prompt": "Once upon a time", "temperature": 0.8, "seed": 7}}'
  curl {url}/metrics
""")
