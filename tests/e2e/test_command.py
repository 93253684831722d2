"""The command as a process: what it prints, how it starts again, and how it ends."""

import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import Serve, Served

TRIALS = "tests/e2e/trials.py"

POET = """\
import os
from collections.abc import AsyncIterator
from headrace import endpoint, service

@service
class Poet:
    def __init__(self, greeting: str = "hello", times: int = 1) -> None:
        self.line = (greeting + " ") * times

    @endpoint
    async def write(self) -> AsyncIterator[str]:
        yield self.line

    @endpoint
    async def worker(self) -> int:
        return os.getpid()
"""

HANGS = """\
import time
from collections.abc import AsyncIterator
from headrace import endpoint, service

@service
class Hangs:
    @endpoint
    async def forever(self) -> AsyncIterator[str]:
        yield "now "
        time.sleep(1000)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a service in it."""
    (tmp_path / "app.py").write_text(POET)
    return tmp_path


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        yield port


def change(file: Path, text: str) -> None:
    """Writes as an editor does, so that no look sees half of it; never with the time that the file had."""
    before = file.stat().st_mtime_ns if file.exists() else 0
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    if fresh.stat().st_mtime_ns == before:
        os.utime(fresh, ns=(before + 1, before + 1))
    fresh.replace(file)


def text(served: Served, path: str = "/write") -> str:
    status, _, body = served.post(path, {})
    assert status == 200
    return body.decode()


def is_running(pid: int) -> bool:
    """Whether there is such a process; one that has ended and that nobody asked about does not count."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def read_until(connection: socket.socket, text: bytes) -> None:
    """Reads until this has arrived."""
    received = b""
    while text not in received:
        piece = connection.recv(65536)
        assert piece, received
        received += piece


def rest_of(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    received = b""
    while piece := connection.recv(65536):
        received += piece
    connection.close()
    return received


# what it prints


def test_a_server_says_where_it_is_and_what_it_serves(launch: Serve, folder: Path) -> None:
    served = launch("run", "--port", "0", folder=folder).ready()
    served.line_with("POST /write")
    head, address, *_ = served.output
    assert re.fullmatch(r"  headrace \S+ · run · app.py:Poet +ready in \d+\.\d\d s\n", head)
    assert address == f"  ➜ http://127.0.0.1:{served.port}/\n"
    assert served.output[2] == "  POST /write    () → str*   text · ndjson · sse · json · ws\n"
    served.assert_every_stream_ended()


def test_every_stream_has_one_line_in_the_log(serve: Serve) -> None:
    served = serve(TRIALS)
    served.post("/count", {"to": 3})
    line = served.line_with("/count s_", within=5)
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d POST /count s_\S{6} 200 first [\d.]+ms 3 items [\d.]+/s [\d.]+s end\n", line
    )  # fmt: skip
    served.post("/fails", {"after": 0, "how": "busy"})
    assert "429" in served.line_with("/fails s_", within=5)
    served.post("/nothing", {})
    served.line_with("404 not_found", within=5)
    assert sum("/count s_" in line for line in served.output) == 1


def test_every_stream_has_one_json_object_in_the_log(serve: Serve) -> None:
    served = serve(TRIALS, "--log-format", "json")
    _, headers, _ = served.post("/count", {"to": 3})
    document: dict[str, Any] = json.loads(served.line_with('"/count"', within=5))
    assert document["stream_id"] == headers["headrace-stream-id"]
    named = ("level", "method", "path", "endpoint", "status", "items", "end")
    assert [document[name] for name in named] == ["info", "POST", "/count", "Trials.count", 200, 3, "ok"]


def test_a_log_level_of_warning_leaves_the_streams_out(serve: Serve) -> None:
    served = serve(TRIALS, "--log-level", "warning")
    served.post("/count", {"to": 1})
    served.assert_every_stream_ended()
    assert served.stop() == 0
    assert not any("/count s_" in line for line in served.output)


# what it is told


def test_constructor_arguments_come_from_the_command_line(launch: Serve, folder: Path) -> None:
    sets = ("--set", "Poet.greeting=good day", "--set", "Poet.times=2")
    served = launch("run", "--port", "0", *sets, folder=folder).ready()
    assert text(served) == "good day good day "
    served.assert_every_stream_ended()


def test_an_argument_that_does_not_fit_is_told(launch: Serve, folder: Path) -> None:
    served = launch("run", "--port", "0", "--set", "Poet.times=many", folder=folder)
    served.line_with("HR19 Poet.times is int, not 'many'")
    assert served.exit_code() == 3


def test_the_port_comes_from_the_environment(launch: Serve, folder: Path, taken: int) -> None:
    served = launch("run", folder=folder, environment={"PORT": str(taken), "HEADRACE_PORT": "0"}).ready()
    assert served.port not in (0, taken)
    served.assert_every_stream_ended()
    refused = launch("run", folder=folder, environment={"PORT": str(taken)})
    refused.line_with(f"HR11 port {taken} on 127.0.0.1")
    assert refused.exit_code() == 3


def test_the_demo_model_answers(launch: Serve, tmp_path: Path) -> None:
    served = launch("run", "--demo", "--port", "0", folder=tmp_path).ready()
    status, _, body = served.post("/chat", {"messages": [{"role": "user", "content": "What is streaming?"}]})
    assert status == 200
    assert len(body.decode().split()) > 3
    served.assert_every_stream_ended()


def test_the_demo_once_prints_the_answer_and_ends(launch: Serve, tmp_path: Path) -> None:
    served = launch("demo", "--once", "what is streaming?", folder=tmp_path)
    served.line_with("> what is streaming?")
    assert re.search(r"first token \d+ ms · \d+ pieces/s · \d+ pieces", served.line_with("first token"))
    assert served.exit_code() == 0


def test_the_demo_stays_up_until_ctrl_c_and_leaves_nobody_behind(launch: Serve, tmp_path: Path) -> None:
    served = launch("demo", "--port", "0", folder=tmp_path)
    found = re.search(r"http://localhost:(\d+)", served.line_with("stays up at"))
    assert found is not None
    served.port = int(found.group(1))
    served.line_with("/metrics")
    served.assert_every_stream_ended()
    [server] = children_of(served.process.pid)
    assert served.stop(signal.SIGINT) == 130
    assert not is_running(server)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_demo_leaves_nobody_behind_however_it_ends(launch: Serve, tmp_path: Path, number: signal.Signals) -> None:
    served = launch("demo", "--port", "0", folder=tmp_path)
    served.line_with("/metrics")
    [server] = children_of(served.process.pid)
    assert served.stop(number) == -number
    served.until(lambda: not is_running(server), within=10)


# ports


def test_run_refuses_a_taken_port_and_names_its_owner_and_a_free_one(launch: Serve, folder: Path, taken: int) -> None:
    served = launch("run", "--port", str(taken), folder=folder)
    head = served.line_with("HR11")
    assert re.fullmatch(rf"HR11 port {taken} on 127\.0\.0\.1 is in use by .+ \(pid {os.getpid()}\)\n", head)
    fix = re.search(r"--port (\d+)", served.line_with("fix:"))
    assert served.exit_code() == 3
    assert fix is not None
    socket.create_server(("127.0.0.1", int(fix.group(1)))).close()


def test_dev_takes_the_next_free_port_and_says_who_has_the_wanted_one(launch: Serve, folder: Path, taken: int) -> None:
    served = launch("dev", "--port", str(taken), folder=folder)
    line = served.line_with("HR11")
    served.ready()
    assert f"is in use by {Path('/proc/self/comm').read_text().strip()} (pid {os.getpid()})" in line
    assert line.endswith(f"; using {served.port}\n")
    assert text(served) == "hello "
    served.assert_every_stream_ended()


def test_a_port_is_taken_from_the_start_and_not_when_the_model_is_loaded(launch: Serve, tmp_path: Path) -> None:
    starting = (
        'import pathlib, time\npathlib.Path("starting").touch()\n'
        'while not pathlib.Path("go").exists(): time.sleep(0.01)\n'
    )
    (tmp_path / "app.py").write_text(starting + POET)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    first = launch("run", "--port", port, folder=tmp_path)
    first.until(lambda: (tmp_path / "starting").exists(), within=10)
    second = launch("run", "--port", port, folder=tmp_path)
    second.line_with("HR11")
    assert second.exit_code() == 3
    (tmp_path / "go").touch()
    assert text(first.ready()) == "hello "
    first.assert_every_stream_ended()


def test_a_port_is_free_again_as_soon_as_its_server_has_ended(launch: Serve, folder: Path) -> None:
    first = launch("run", "--port", "0", folder=folder).ready()
    connection = first.send("/write", {})
    read_until(connection, b"hello")
    first.assert_every_stream_ended()
    assert first.stop() == 0  # it closes first: its side of the connection lingers
    connection.close()
    second = launch("run", "--port", str(first.port), folder=folder).ready()
    assert text(second) == "hello "
    second.assert_every_stream_ended()


# starting again


def test_a_change_starts_again_on_the_same_port(launch: Serve, folder: Path) -> None:
    served = launch("dev", "--port", "0", folder=folder).ready()
    port = served.port
    assert text(served) == "hello "
    change(folder / "app.py", POET.replace('"hello"', '"bonjour"'))
    served.line_with("app.py changed: starting again")
    served.ready()
    assert (served.port, text(served)) == (port, "bonjour ")
    served.assert_every_stream_ended()
    assert served.stop(signal.SIGINT) == 130


def test_a_syntax_error_is_shown_and_waited_out(launch: Serve, folder: Path) -> None:
    served = launch("dev", "--port", "0", folder=folder).ready()
    change(folder / "app.py", POET.replace("class Poet:", "class Poet"))
    served.line_with("app.py changed")
    assert served.line_with("HR03") == "HR03 app.py is not valid Python: expected ':'\n"
    served.line_with("waiting for a change")
    change(folder / "app.py", POET.replace('"hello"', '"mended"'))
    served.line_with("app.py changed")
    assert text(served.ready()) == "mended "
    served.assert_every_stream_ended()


def test_dev_ends_when_its_first_start_fails(launch: Serve, folder: Path) -> None:
    change(folder / "app.py", POET.replace("class Poet:", "class Poet"))
    served = launch("dev", "--port", "0", folder=folder)
    served.line_with("HR03 app.py is not valid Python")
    assert served.exit_code() == 3


def test_an_open_stream_does_not_hold_a_reload_up(launch: Serve, folder: Path) -> None:
    (folder / "app.py").write_text(Path(TRIALS).read_text())
    served = launch("dev", "--port", "0", folder=folder).ready()
    connection = served.send("/count", {"to": 1_000_000, "pause": 0.01}, accept="application/x-ndjson")
    assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    change(folder / "new.py", "")
    served.line_with("new.py changed")
    served.ready()
    assert b'"error":{"code":"shutting_down"' in rest_of(connection)
    served.assert_every_stream_ended()


def test_code_that_hangs_does_not_hold_a_reload_up(launch: Serve, folder: Path) -> None:
    (folder / "app.py").write_text(HANGS)
    served = launch("dev", "--port", "0", folder=folder).ready()
    connection = served.send("/forever", {})
    read_until(connection, b"now")
    change(folder / "app.py", POET)
    served.line_with("app.py changed")
    assert text(served.ready()) == "hello "
    connection.close()
    served.assert_every_stream_ended()


# several workers


def test_workers_share_the_port_and_announce_themselves_once(launch: Serve, folder: Path) -> None:
    served = launch("run", "--port", "0", "--workers", "3", folder=folder).ready()
    seen: set[str] = set()
    served.until(lambda: len(seen) == 3 or seen.add(text(served, "/worker")) is not None, within=30)
    assert seen == {str(pid) for pid in children_of(served.process.pid)}
    assert "3 workers" in served.output[0]
    assert served.stop() == 0
    assert sum("ready in" in line for line in served.output) == 1


def test_a_worker_that_is_killed_is_replaced(launch: Serve, folder: Path) -> None:
    served = launch("run", "--port", "0", "--workers", "2", folder=folder).ready()
    first, second = children_of(served.process.pid)
    os.kill(first, signal.SIGKILL)
    served.line_with(f"worker {first} ended with 137: starting another")
    served.until(lambda: int(text(served, "/worker")) not in (first, second), within=20)
    assert second in children_of(served.process.pid)
    assert served.stop() == 0


def test_workers_that_cannot_start_end_the_command(launch: Serve, folder: Path) -> None:
    served = launch("run", "--port", "0", "--workers", "2", "--set", "Poet.times=many", folder=folder)
    served.line_with("HR19")
    assert served.exit_code() == 3


@pytest.mark.parametrize("flags", [("dev",), ("run", "--workers", "2")])
def test_a_killed_supervisor_leaves_nobody_behind(launch: Serve, folder: Path, flags: tuple[str, ...]) -> None:
    command, *rest = flags
    served = launch(command, "--port", "0", *rest, folder=folder).ready()
    children = children_of(served.process.pid)
    assert served.stop(signal.SIGKILL) == -signal.SIGKILL
    served.until(lambda: not any(is_running(child) for child in children), within=10)


def test_a_supervisor_that_is_killed_before_its_child_is_ready_leaves_nobody_behind(
    launch: Serve, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text('import pathlib, time\npathlib.Path("starting").touch()\ntime.sleep(1000)\n')
    served = launch("dev", "--port", "0", folder=tmp_path)
    served.until(lambda: (tmp_path / "starting").exists(), within=10)
    [child] = children_of(served.process.pid)
    assert served.stop(signal.SIGKILL) == -signal.SIGKILL
    served.until(lambda: not is_running(child), within=10)


def test_a_signal_to_all_processes_of_a_service_still_drains(launch: Serve) -> None:
    served = launch("run", TRIALS, "--port", "0", "--workers", "2").ready()
    connection = served.send("/count", {"to": 20, "pause": 0.05})
    read_until(connection, b"0\n")
    for child in children_of(served.process.pid):
        os.kill(child, signal.SIGTERM)
    assert served.stop(signal.SIGTERM) == 0
    assert b"19\n" in rest_of(connection)


# ending


def test_sigterm_lets_a_stream_finish_and_ends_with_0(launch: Serve) -> None:
    served = launch("run", TRIALS, "--port", "0").ready()
    connection = served.send("/count", {"to": 20, "pause": 0.03})
    read_until(connection, b"0\n")
    served.process.send_signal(signal.SIGTERM)
    assert rest_of(connection).endswith(b"19\n\r\n0\r\n\r\n")
    assert served.exit_code() == 0
    assert sum("20 items" in line and line.endswith("end\n") for line in served.output) == 1


def test_ctrl_c_lets_a_stream_finish_and_ends_with_130(launch: Serve) -> None:
    served = launch("run", TRIALS, "--port", "0").ready()
    connection = served.send("/count", {"to": 20, "pause": 0.03})
    read_until(connection, b"0\n")
    served.process.send_signal(signal.SIGINT)
    assert rest_of(connection).endswith(b"19\n\r\n0\r\n\r\n")
    assert served.exit_code() == 130


def test_a_second_ctrl_c_ends_at_once(launch: Serve) -> None:
    served = launch("run", TRIALS, "--port", "0").ready()
    connection = served.send("/silent", {})
    served.until(lambda: served.metric("headrace_streams_live") == 1, within=5)
    served.process.send_signal(signal.SIGINT)
    served.until(lambda: refuses(served.port), within=5)
    served.process.send_signal(signal.SIGINT)
    assert served.exit_code(within=5) == 130
    connection.close()


def test_a_second_ctrl_c_ends_the_workers_at_once(launch: Serve) -> None:
    served = launch("run", TRIALS, "--port", "0", "--workers", "2").ready()
    connection = served.send("/never_awaits", {"to": 1_000_000_000})
    assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
    children = children_of(served.process.pid)
    served.process.send_signal(signal.SIGINT)
    served.until(lambda: sum(is_running(child) for child in children) == 1, within=5)  # the other one has nothing to do
    served.process.send_signal(signal.SIGINT)
    assert served.exit_code(within=5) == 130
    connection.close()


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_stream_over_the_drain_time_is_told_that_the_server_shuts_down(launch: Serve) -> None:
    served = launch("run", TRIALS, "--port", "0", "--drain", "0.3").ready()
    connection = served.send("/count", {"to": 1_000_000, "pause": 0.01}, accept="application/x-ndjson")
    assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    served.process.send_signal(signal.SIGTERM)
    assert b'"error":{"code":"shutting_down"' in rest_of(connection)
    assert served.exit_code() == 0


@pytest.mark.parametrize("command", ["run", "dev"])
def test_a_constructor_that_fails_ends_the_command_with_its_line(launch: Serve, tmp_path: Path, command: str) -> None:
    code = POET.replace("        self.line =", '        open("weights.bin")\n        self.line =')
    (tmp_path / "app.py").write_text(code)
    served = launch(command, "--port", "0", folder=tmp_path)
    assert served.exit_code(within=5) == 3
    said = "".join(served.output)
    assert said.startswith("HR12 Poet.__init__ raised FileNotFoundError: [Errno 2] No such file")
    assert '\n  app.py:8\n    open("weights.bin")\n' in said
    assert "Traceback" not in said
    assert said.count("HR12") == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
@pytest.mark.parametrize("where", ["import", "__init__", "on_start"])
def test_a_signal_interrupts_a_start(
    launch: Serve, tmp_path: Path, number: signal.Signals, code: int, where: str
) -> None:
    wait = 'import pathlib, time; pathlib.Path("starting").touch(); time.sleep(1000)'
    async_wait = 'import asyncio, pathlib; pathlib.Path("starting").touch(); await asyncio.sleep(1000)'
    (tmp_path / "app.py").write_text(
        {
            "import": f"{wait}\n{POET}",
            "__init__": POET.replace("        self.line =", f"        {wait}\n        self.line ="),
            "on_start": POET.replace(
                "    @endpoint", f"    async def on_start(self):\n        {async_wait}\n    @endpoint", 1
            ),
        }[where]
    )
    served = launch("run", "--port", "0", folder=tmp_path)
    served.until(lambda: (tmp_path / "starting").exists(), within=10)
    assert served.stop(number) == code
    assert "Traceback" not in "".join(served.output)


def test_a_started_server_answers(serve: Serve) -> None:
    assert serve(TRIALS).request("GET", "/readyz")[0] == 200
