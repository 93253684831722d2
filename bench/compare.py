"""headrace beside its peers: `python -m bench.compare` writes tables and pictures into docs/performance.md.

Each peer has an environment of its own below `~/.cache/headrace`, with the newest release when it was made, and serves
the same generators in its own idiom (`bench.peers`). All of a server's processes run on one core, the client
(`reader.c`, compiled here) on the other one. A round goes through all servers before the next one begins, so that all
see the same machine.

CPU is that of all processes of a server; a bare protocol that writes preformatted chunks is the limit. `--quick` takes
under five minutes, `--smoke` only shows that everything works, `--peers a,b` and `--workloads a,b` choose.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.bars import Panel, picture
from bench.batching import write
from bench.peers.process import REPOSITORY, cpu_seconds, memory, prepare, running, version
from bench.peers.table import PEERS, WORKLOADS, Peer, Workload

PAGE = REPOSITORY / "docs" / "performance.md"
PICTURE = REPOSITORY / "docs" / "performance.svg"
RAW = REPOSITORY / "docs" / "performance.json"
BEGIN = "<!-- begin: python -m bench.compare -->\n"
END = "<!-- end: python -m bench.compare -->"

SETTLES = 0.3  # seconds, before CPU time is read: what a server does after the last byte is its work, too
SILENT_STREAMS = 1000
CLIENT_CORE = {max(os.sched_getaffinity(0))}


@dataclass
class Measured:
    """One workload on one server, a number for each round; `us` is microseconds of CPU of all processes per item."""

    us: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)  # items per second of the clock
    first: list[float] = field(default_factory=list)  # seconds to the first item, the median of the streams
    delay: list[float] = field(default_factory=list)  # seconds from making an item to having it, the median
    client: list[float] = field(default_factory=list)  # share of the time that the client's core was busy


def drive(reader: Path, peer: Peer, port: int, workload: Workload) -> dict[str, float]:
    """What the client has seen."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(peer.request(workload))
        file.flush()
        command = [reader, str(port), str(workload.streams), str(workload.items), file.name, str(workload.repeat)]
        done = subprocess.run(
            [*command, *(["ws"] if workload.websocket else [])],
            stdout=subprocess.PIPE,
            preexec_fn=lambda: os.sched_setaffinity(0, CLIENT_CORE),
            check=True,
        )
    time.sleep(SETTLES)
    seen: dict[str, float] = json.loads(done.stdout)
    return seen


def measure(reader: Path, peer: Peer, process: int, port: int, workload: Workload, into: Measured) -> None:
    """One round of a workload, after a little of it that is not counted."""
    drive(
        reader, peer, port, replace(workload, streams=min(workload.streams, 8), items=min(workload.items, 3), repeat=1)
    )
    used = cpu_seconds(process)
    result = drive(reader, peer, port, workload)
    used = cpu_seconds(process) - used
    into.us.append(1e6 * used / workload.tokens)
    into.rate.append(workload.tokens / result["seconds"])
    into.first.append(result["first_p50"])
    into.delay.append(result["delay_p50"])
    into.client.append(result["cpu"] / result["seconds"])


def silent_bytes(peer: Peer, process: int, port: int) -> float:
    """Memory of one open stream that says nothing, among a thousand."""
    request = peer.request(Workload("", "silent", SILENT_STREAMS, 1))
    before = memory(process)
    with contextlib.ExitStack() as stack:
        for _ in range(SILENT_STREAMS):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            connection.sendall(request)
        time.sleep(3)
        return (memory(process) - before) / SILENT_STREAMS


def run(
    reader: Path, peers: Sequence[Peer], workloads: Sequence[Workload], rounds: int
) -> tuple[dict[str, dict[str, Measured]], dict[str, list[float]]]:
    """All rounds: what was measured by workload and server, and the bytes of a silent stream by server."""
    found: dict[str, dict[str, Measured]] = {each.name: {} for each in workloads}
    held: dict[str, list[float]] = {}
    for number in range(rounds):
        for peer in peers:
            with running(peer) as (process, port):
                for workload in workloads:
                    if peer.serves(workload):
                        into = found[workload.name].setdefault(peer.name, Measured())
                        measure(reader, peer, process, port, workload, into)
                held.setdefault(peer.name, []).append(silent_bytes(peer, process, port))
            print(f"round {number + 1} of {rounds}: {peer.name}", file=sys.stderr)
    return found, held


def tables(found: dict[str, dict[str, Measured]], held: dict[str, list[float]]) -> str:
    """As Markdown: microseconds per item, and how many times those of headrace that is."""
    names = list(held)
    head = "| CPU µs per item | " + " | ".join(names) + " |\n|---" + "|--:" * len(names) + "|\n"
    for workload, servers in found.items():
        ours = statistics.median(servers["headrace"].us) if "headrace" in servers else 0
        cells = []
        for name in names:
            if name not in servers:
                cells.append("")
                continue
            us = statistics.median(servers[name].us)
            times = f" ({us / ours:.1f} x)" if ours and name != "headrace" else ""
            cells.append(f"{us:.{0 if us >= 10 else 1 if us >= 1 else 2}f}{times}")
        head += f"| `{workload}` | {' | '.join(cells)} |\n"
    return head + _waits(found, names) + _memory(held)


def _waits(found: dict[str, dict[str, Measured]], names: list[str]) -> str:
    """Seconds that a reader waits."""
    rows = [("one item", "first", "first item of one request"), ("paced/200", "delay", "delivery of a paced item")]
    text = "\n| median wait, ms | " + " | ".join(names) + " |\n|---" + "|--:" * len(names) + "|\n"
    for workload, what, title in rows:
        servers = found.get(workload, {})
        waits = {name: 1000 * statistics.median(getattr(each, what)) for name, each in servers.items()}
        cells = [f"{waits[name]:.3f}" if name in waits else "" for name in names]
        text += f"| {title} | {' | '.join(cells)} |\n"
    return text


def _memory(held: dict[str, list[float]]) -> str:
    cells = [f"{statistics.median(each) / 1000:.0f}" for each in held.values()]
    head = "\n| kB of an open stream that is silent | " + " | ".join(held) + " |\n|---" + "|--:" * len(held) + "|\n"
    return f"{head}| among {SILENT_STREAMS:,} | {' | '.join(cells)} |\n"


def panels(found: dict[str, dict[str, Measured]], held: dict[str, list[float]]) -> list[Panel]:
    """What the picture shows."""

    def medians(what: str, factor: float, *workloads: str) -> dict[str, dict[str, float]]:
        return {
            workload: {name: factor * statistics.median(getattr(each, what)) for name, each in found[workload].items()}
            for workload in workloads
        }

    kilobytes = {f"among {SILENT_STREAMS:,}": {name: statistics.median(each) / 1000 for name, each in held.items()}}
    return [
        Panel("CPU per item", "µs", medians("us", 1, *found)),
        Panel("first item of one request", "ms", medians("first", 1000, "one item")),
        Panel("delivery of a paced item", "ms", medians("delay", 1000, "paced/200")),
        Panel("memory of an open stream that is silent", "kB", kilobytes),
    ]


def told(where: dict[str, Any]) -> str:
    """The machine and the versions, as a sentence."""
    versions = ", ".join(f"{name} {each}" for name, each in where["versions"].items() if each)
    return (
        f"\nMade at commit {where['commit']} on {where['cores']} cores, Linux {where['kernel']}, "
        f"Python {where['python']}: {versions}.\n"
    )


def compiled(folder: Path) -> Path:
    """The client."""
    program = folder / "reader"
    subprocess.run(["cc", "-O2", "-o", program, Path(__file__).with_name("reader.c")], check=True)
    return program


def machine(peers: Sequence[Peer]) -> dict[str, Any]:
    """Where and with what it was measured."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    ).stdout.strip()
    return {
        "commit": commit,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "versions": {peer.name: version(peer) for peer in peers},
    }


def main() -> None:
    """Measures, prints the tables, and writes page, picture and raw numbers."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare")
    parser.add_argument("--quick", action="store_true", help="one round of the short workloads; writes nothing")
    parser.add_argument("--smoke", action="store_true", help="headrace and the limit, tiny; writes nothing")
    parser.add_argument("--peers", help="their names, with commas between; writes nothing")
    parser.add_argument("--workloads", help="likewise")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    peers = [each for each in PEERS if not options.peers or each.name in options.peers.split(",")]
    workloads = [each for each in WORKLOADS if not options.workloads or each.name in options.workloads.split(",")]
    rounds = options.rounds
    if options.smoke:
        peers, rounds = [each for each in PEERS if not each.packages], 1
        workloads = [replace(each, streams=4, items=10, repeat=1) for each in WORKLOADS]
    elif options.quick:
        rounds = 1
        workloads = [
            replace(each, items=min(each.items, each.quick_items), repeat=1 + each.repeat // 5) for each in workloads
        ]
    for peer in peers:
        prepare(peer)
    with tempfile.TemporaryDirectory() as folder:
        found, held = run(compiled(Path(folder)), peers, workloads, rounds)
    text = tables(found, held)
    print(text)
    if not (options.smoke or options.quick or options.peers or options.workloads):
        where = machine(peers)
        raw = {workload: {name: asdict(each) for name, each in found[workload].items()} for workload in found}
        RAW.write_text(json.dumps({"machine": where, "workloads": raw, "silent": held}, indent=1) + "\n")
        PICTURE.write_text(picture(panels(found, held)))
        write(PAGE, BEGIN, END, text + told(where))


if __name__ == "__main__":
    main()
