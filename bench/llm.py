"""What the server adds to a model: `python -m bench.llm` writes its table into docs/performance.md.

The same questions go to the bare engine, read by a loop in its own process, and through `/v1/chat/completions` to a
server with that engine, in turns, median of five. What makes the tokens has one core and the client the other one.
GPT-2 runs in the environment that the tests of transformers have made; without it, it is left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bench.batching import REPOSITORY, TRANSFORMERS, write
from bench.llm_load import CLIENTS, MAX_TOKENS, Request, Round, load
from bench.peers.process import cpu_seconds
from bench.startup import answers

PAGE = REPOSITORY / "docs" / "performance.md"
BEGIN = "<!-- begin: python -m bench.llm -->\n"
END = "<!-- end: python -m bench.llm -->"
ROUNDS = 5
MAKER, CLIENT = ({min(os.sched_getaffinity(0))}, {max(os.sched_getaffinity(0))})  # cores
ENVIRONMENT = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

HEAD = (
    "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n"
    "content-type: application/json\r\ncontent-length: {}\r\n\r\n"
)


def on_maker_core() -> None:
    """Runs in a child before its program."""
    os.sched_setaffinity(0, MAKER)


def bare(python: Path, engine: str, model: str, clients: int) -> Round:
    """One round without a server."""
    command = [python, "-m", "bench.llm_load", engine, model, str(clients)]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, cwd=REPOSITORY, env=ENVIRONMENT, preexec_fn=on_maker_core
    )
    return Round(**json.loads(done.stdout.splitlines()[-1]))


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    process: int
    port: int
    model: str  # as it calls it


@contextlib.contextmanager
def server(python: Path, engine: str, model: str) -> Iterator[Server]:
    """A server with the engine."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = ["--engine", engine, "--port", str(port), "--max-concurrency", "64", "--log-level", "warning"]
    command = [python, "-m", "headrace", "run", *options, *(["--model", model] if model else [])]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, cwd=REPOSITORY, env=ENVIRONMENT, preexec_fn=on_maker_core
    ) as process:
        try:
            while not answers(port):
                assert process.poll() is None, "the server did not start"
                time.sleep(0.02)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=10) as response:
                yield Server(process.pid, port, json.load(response)["data"][0]["id"])
        finally:
            process.terminate()


async def ask(server: Server, text: str) -> Request:
    """One request over a connection of its own; parses no more than it must."""
    document = {
        "model": server.model,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": MAX_TOKENS,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    body = json.dumps(document).encode()
    asked, first, received = time.perf_counter(), 0.0, bytearray()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(HEAD.format(len(body)).encode() + body)
        while data := await reader.read(65536):
            received += data
            if not first and received.count(b'"content":') > 1:  # the first one is empty and comes with the role
                first = time.perf_counter() - asked
    finally:
        writer.close()
    usage = next((line for line in reversed(received.splitlines()) if b'"usage":{' in line), None)
    assert usage is not None, bytes(received[:1000])
    assert b"data: [DONE]" in received, bytes(received[-1000:])
    return Request(first, json.loads(usage.removeprefix(b"data: "))["usage"]["completion_tokens"])


def served(server: Server, clients: int) -> Round:
    """One round through a server."""
    return uvloop.run(load(clients, lambda text: ask(server, text), lambda: cpu_seconds(server.process)))


def table(title: str, python: Path, engine: str, model: str) -> str:
    """The rows of one model."""
    rounds: dict[int, list[tuple[Round, Round]]] = {clients: [] for clients in CLIENTS}
    with server(python, engine, model) as started:
        for _ in range(ROUNDS):
            for clients, pairs in rounds.items():
                pairs.append((bare(python, engine, model, clients), served(started, clients)))
    text = (
        f"| {title} | engine: µs of CPU per token | with the server | added | tokens/s, engine | server "
        "| first token, engine | server |\n|---|--:|--:|--:|--:|--:|--:|--:|\n"
    )
    for clients, pairs in rounds.items():
        costs = [[1e6 * each.cpu / each.tokens for each in pair] for pair in pairs]
        before, after = (statistics.median(column) for column in zip(*costs, strict=True))
        added = statistics.median(cost[1] - cost[0] for cost in costs)
        rates = [statistics.median(pair[way].tokens / pair[way].seconds for pair in pairs) for way in (0, 1)]
        firsts = [1000 * statistics.median(pair[way].first for pair in pairs) for way in (0, 1)]
        text += (
            f"| {clients} at once | {before:.0f} | {after:.0f} | {added:.1f} | {rates[0]:,.0f} | {rates[1]:,.0f} "
            f"| {firsts[0]:.1f} ms | {firsts[1]:.1f} ms |\n"
        )
    return text


def main() -> None:
    """Prints the tables, and writes them into the page."""
    os.sched_setaffinity(0, CLIENT)
    tables = [table("built-in model", Path(sys.executable), "tiny", "")]
    if TRANSFORMERS.exists():
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([TRANSFORMERS, "-m", "bench.gpt2_checkpoint", folder], check=True, cwd=REPOSITORY)
            tables.append(table("GPT-2 of 4.5 million parameters", TRANSFORMERS, "transformers", folder))
    text = "\n".join(tables)
    print(text)
    write(PAGE, BEGIN, END, text)


if __name__ == "__main__":
    main()
