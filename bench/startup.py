"""What starting costs: `python -m bench.startup` prints a table, median of five.

CPU is user and system time of the whole process; wall time is from the spawn to the first 200 of `/readyz`.
"""

from __future__ import annotations

import http.client
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROUNDS = 5
SERVICE = """
from collections.abc import AsyncIterator
from headrace import endpoint, service

@service
class Poet:
    @endpoint
    async def write(self, topic: str) -> AsyncIterator[str]:
        yield topic
"""


def cpu(*arguments: str) -> float:
    """CPU milliseconds of one Python process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def first_answer(*arguments: str) -> float:
    """Milliseconds from the spawn of a server to its first 200."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "headrace", "run", *arguments, "--port", str(port)]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            while not answers(port):
                time.sleep(0.002)
            return 1000 * (time.perf_counter() - started)
        finally:
            server.terminate()


def answers(port: int) -> bool:
    """Whether the server is ready."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


def rounds(measure: Callable[..., float], *arguments: str) -> list[float]:
    """The same measurement `ROUNDS` times."""
    return [measure(*arguments) for _ in range(ROUNDS)]


def main() -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "app.py"
        target.write_text(SERVICE)
        rows = [
            ("`python -c pass`, CPU", "", rounds(cpu, "-c", "pass")),
            ("`import headrace`, CPU", "200 ms", rounds(cpu, "-c", "import headrace")),
            ("`headrace --help`, CPU", "200 ms", rounds(cpu, "-m", "headrace", "--help")),
            (
                "`headrace run app.py` to the first 200, wall",
                "500 ms",
                [first_answer(str(target)) for _ in range(ROUNDS)],
            ),
            (
                "`headrace run --demo` (loads the model), wall",
                "800 ms",
                [first_answer("--demo") for _ in range(ROUNDS)],
            ),
        ]
    print("| what | median of 5 | lowest to highest | asked |\n|---|--:|--:|--:|")
    for what, asked, values in rows:
        median = statistics.median(values)
        print(f"| {what} | {median:.0f} ms | {min(values):.0f} to {max(values):.0f} ms | {asked} |")


if __name__ == "__main__":
    main()
