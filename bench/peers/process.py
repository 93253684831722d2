"""A server of the comparison as processes: its environment, its start and end, what it uses."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from pathlib import Path

from bench.peers.table import PYTHON, Peer, Workload

REPOSITORY = Path(__file__).parent.parent.parent
STARTS_WITHIN = 60  # seconds
SERVER_CORE = {min(os.sched_getaffinity(0))}
CPU_CLOCK = 2
"""What makes a clock of a process's number, with the number's complement above it (clock_getcpuclockid(3))."""


def prepare(peer: Peer) -> None:
    """Makes the environment, once."""
    if not peer.environment or peer.python.exists():
        return
    folder = peer.python.parent.parent
    venv.create(folder, with_pip=True)
    try:
        subprocess.run([peer.python, "-m", "pip", "install", "--quiet", *peer.packages], check=True)
    except BaseException:
        shutil.rmtree(folder)
        raise


def version(peer: Peer) -> str:
    """Of its first package."""
    if not peer.packages:
        return ""
    name = peer.packages[-1 if peer.name == "sse-starlette" else 0].partition("[")[0]
    code = f"import importlib.metadata as m; print(m.version({name!r}))"
    return subprocess.run([peer.python, "-c", code], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


@contextlib.contextmanager
def running(peer: Peer) -> Iterator[tuple[int, int]]:
    """A server, on its core: its first process, and its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    places = {"PORT": str(port), PYTHON: str(peer.python)}
    command = [places.get(each, each) for each in peer.command]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            cwd=REPOSITORY,
            env=environment,
            preexec_fn=lambda: os.sched_setaffinity(0, SERVER_CORE),
            start_new_session=True,
        )
        try:
            _wait_for_items(peer, process, port)
            yield process.pid, port
        except BaseException:
            log.seek(0)
            sys.stderr.write(f"{peer.name}: {log.read()[-2000:].decode(errors='replace')}\n")
            raise
        finally:
            _end(process)


def _wait_for_items(peer: Peer, process: subprocess.Popen[bytes], port: int) -> None:
    """Returns when the server has streamed one item."""
    until = time.monotonic() + STARTS_WITHIN
    request = peer.request(Workload("", "plain", 1, 1))
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(request)
            received = b""
            while data := connection.recv(65536):
                received += data
                if b"~" in received:
                    return
        assert process.poll() is None, f"{peer.name} ended with {process.returncode}"
        assert time.monotonic() < until, f"{peer.name} does not answer"
        time.sleep(0.1)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the processes of a server, which have a session of their own."""
    tree = processes(process.pid)
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for each in tree:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, 9)


def processes(first: int) -> list[int]:
    """A process and all below it."""
    found, waiting = list[int](), [first]
    while waiting:
        found.append(waiting.pop())
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{found[-1]}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
    return found


def cpu_seconds(first: int) -> float:
    """Processor time of a process and all below it, also of their threads that have ended."""
    total = 0.0
    for process in processes(first):
        with contextlib.suppress(OSError):
            total += time.clock_gettime(~process << 3 | CPU_CLOCK)
    return total


def memory(first: int) -> int:
    """Bytes of a process and all below it, those that they share counted once for each sharing process's part."""
    total = 0
    for process in processes(first):
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
    return total
