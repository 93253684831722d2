"""Whether the cost of an item is flat: `python -m bench.growth` writes its tables into docs/performance.md.

CPU of a whole server process on a core of its own, against the number of streams, the size of an item and the length of
a stream; the client is `reader.c` on the other core. Median of three rounds, each of which goes through everything.
`tests/growth` counts the same, and fails; here it is measured how flat it is. `--quick` takes under a minute and
writes nothing; `--smoke` only shows that everything works.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from bench.batching import write
from bench.compare import PAGE, Measured, compiled, measure
from bench.peers.process import running
from bench.peers.table import PYTHON, Peer, Workload

BEGIN = "<!-- begin: python -m bench.growth -->\n"
END = "<!-- end: python -m bench.growth -->"

ROUNDS = 3
ITEMS = 200_000  # for each number: CPU time is told in steps of 10 ms
BYTES = 256 * 1024 * 1024  # or of large ones as many as have so many bytes
FLAT = 1.3  # the last row of a flat axis costs at most so many times the cheapest one

STREAMS = (1, 8, 64, 256, 1_000, 2_000)
ITEMS_OF_EACH = 200
SIZES = {"4 B": 4, "64 B": 64, "1 KB": 1024, "16 KB": 16 * 1024, "256 KB": 256 * 1024, "1 MB": 1024 * 1024}
LENGTHS = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
REQUESTS = 1_000  # at most so many one after the other
DESCRIPTORS = 8192


@dataclass(frozen=True)
class Row(Workload):
    """What is measured for one row of an axis, with items of so many bytes."""

    axis: str = ""
    size: int = 4


class Source(Peer):
    """The server."""

    def request(self, workload: Workload) -> bytes:
        """The bytes of a request, which says the size as well."""
        size = workload.size if isinstance(workload, Row) else 4
        body = b'{"count": %d, "size": %d}' % (workload.items, size)
        head = f"POST /{workload.route} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: {self.accept}\r\n"
        return f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


SERVER = Source(
    "headrace",
    "",
    (),
    (PYTHON, "-m", "headrace", "run", "bench/peers/growth_app.py", "--port", "PORT", "--max-concurrency", "5000"),
    frozenset({"plain", "polite"}),
    accept="text/event-stream",
)


def rows(items: int, size: int) -> list[Row]:
    """All that is measured.

    Args:
        items: about so many are made for a row, in requests one after the other where one has less.
        size: bytes in all of a row with large items.
    """
    streams = [
        Row(f"{each:,}", route, each, ITEMS_OF_EACH, axis=route) for route in ("plain", "polite") for each in STREAMS
    ]
    lengths = [Row(f"{each:,}", "plain", 1, each, axis="length") for each in LENGTHS]
    sizes = [Row(title, "plain", 1, min(items, size // each), axis="size", size=each) for title, each in SIZES.items()]
    requests = [min(items // row.items, REQUESTS) // row.streams for row in (*streams, *lengths)]
    repeated = [replace(row, repeat=max(1, each)) for row, each in zip([*streams, *lengths], requests, strict=True)]
    return [*repeated, *sizes]


def measured(all_rows: list[Row], rounds: int) -> dict[Row, float]:
    """Microseconds of CPU for an item, by row: the median of the rounds."""
    found = {row: Measured() for row in all_rows}
    with tempfile.TemporaryDirectory() as folder, running(SERVER) as (process, port):
        reader = compiled(Path(folder))
        for number in range(rounds):
            for row, into in found.items():
                measure(reader, SERVER, process, port, row, into)
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return {row: statistics.median(each.us) for row, each in found.items()}


def tables(found: dict[Row, float]) -> str:
    """As Markdown, and behind them in one line what is flat."""
    axes = {
        axis: {row.name: us for row, us in found.items() if row.axis == axis}
        for axis in ("plain", "polite", "size", "length")
    }
    axes["KB"] = {title: us * 1024 / SIZES[title] for title, us in axes["size"].items()}

    def table(head: str, *names: str) -> str:
        cells = [(title, *(figure(axes[name][title]) for name in names)) for title in axes[names[0]]]
        return f"| {head} |\n{'|--:' * (len(names) + 1)}|\n" + "".join(f"| {' | '.join(row)} |\n" for row in cells)

    return "\n".join(
        [
            table("streams at once | µs per item, never suspends | suspends before each", "plain", "polite"),
            table("size of an item | µs per item | µs per KB", "size", "KB"),
            table("items of a stream | µs per item", "length"),
            verdict({"streams": "plain", "streams that suspend": "polite", "size": "KB", "length": "length"}, axes),
        ]
    )


def figure(us: float) -> str:
    """Microseconds, with as many places as mean something."""
    return f"{us:,.{0 if us >= 100 else 1 if us >= 10 else 2}f}"


def verdict(judged: dict[str, str], axes: dict[str, dict[str, float]]) -> str:
    """One line: what the last row of each axis costs, as a multiple of the cheapest, and whether that is flat.

    Args:
        judged: what is judged by which column.
        axes: the columns by name, each a cost by row.
    """
    said: dict[bool, list[str]] = {True: [], False: []}
    for name, column in judged.items():
        costs = list(axes[column].values())
        times = costs[-1] / max(min(costs), 0.001)
        said[times <= FLAT].append(f"{name} ({times:.2f})")
    parts = [
        f"{what}: {', '.join(names)}" for what, names in (("Flat", said[True]), ("Not flat", said[False])) if names
    ]
    return f"{'. '.join(parts)}. The number is how many times the cheapest row the last one costs.\n"


def lift_descriptor_limit() -> None:
    """Lets this process, and those that it starts, have enough connections, as far as the machine allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < DESCRIPTORS:
        most = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def main() -> None:
    """Measures, prints the tables, and writes them into the page."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth")
    parser.add_argument("--quick", action="store_true", help="one round of less; writes nothing")
    parser.add_argument("--smoke", action="store_true", help="next to nothing of each; writes nothing")
    options = parser.parse_args()
    lift_descriptor_limit()
    all_rows, rounds = rows(ITEMS, BYTES), ROUNDS
    if options.quick:
        all_rows, rounds = rows(ITEMS // 5, BYTES // 5), 1
    elif options.smoke:
        rounds, all_rows = 1, [replace(row, streams=2, items=3, repeat=1) for row in all_rows]
    text = tables(measured(all_rows, rounds))
    print(text)
    if not (options.quick or options.smoke):
        write(PAGE, BEGIN, END, text)


if __name__ == "__main__":
    main()
