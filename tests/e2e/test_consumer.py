"""The consumer reads the streamlet in its own process, in another one, and from outside; and so do the curl lines."""

import ast
import json
import signal
import subprocess
import sys

import pytest
from served import REPOSITORY, Serve, Served

FOLDER = REPOSITORY / "examples" / "consumer"
TEXT = "it was a long time ago"
CHUNKS = [{"words": ["it", "was"]}, {"words": ["a", "long"]}, {"words": ["time", "ago"]}]
REPORT = {"start": {"characters": 22}, "chunks": CHUNKS, "totals": {"chunks": 3, "words": 6}}

READ = [("items", CHUNKS), ("whole", REPORT), ("item_bytes", CHUNKS), ("whole_bytes", REPORT)]


def curl_lines(program: str) -> list[str]:
    document = ast.get_docstring(ast.parse((FOLDER / program).read_text("utf-8"))) or ""
    return [line.removeprefix("curl ") for line in document.splitlines() if line.startswith("curl ")]


@pytest.fixture
def streamlet(serve: Serve) -> Served:
    return serve("examples/consumer/streamlet.py")


@pytest.mark.parametrize(("program", "count"), [("raw.py", 2), ("streamlet.py", 2), ("consumer.py", 4)])
def test_the_curl_lines_work(serve: Serve, program: str, count: int) -> None:
    served = serve(f"examples/consumer/{program}")
    lines = curl_lines(program)
    assert len(lines) == count
    for line in lines:
        command = f"curl -sS --fail-with-body {line.replace('localhost:8000', f'127.0.0.1:{served.port}')}"
        done = subprocess.run(command, shell=True, capture_output=True, timeout=30)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout


def test_in_one_process_everything_that_is_streamed_is_read(serve: Serve) -> None:
    served = serve("examples/consumer/consumer.py")
    assert [(name, json.loads(served.post(f"/{name}", {"text": TEXT})[2])) for name, _ in READ] == READ
    assert served.metric("headrace_streams_total", 'endpoint="Streamlet.whole"', 'end="ok"') == 1


def test_in_two_processes_the_same_code_reads_the_same(serve: Serve, streamlet: Served) -> None:
    environment = {"STREAMLET": f"http://127.0.0.1:{streamlet.port}"}
    served = serve("examples/consumer/consumer.py", environment=environment)
    assert [(name, json.loads(served.post(f"/{name}", {"text": TEXT})[2])) for name, _ in READ] == READ
    for name, _ in READ:
        assert streamlet.metric("headrace_streams_total", f'endpoint="Streamlet.{name}"', 'end="ok"') == 1


def test_a_streamlet_that_is_not_there_is_an_error_and_no_empty_answer(serve: Serve) -> None:
    served = serve("examples/consumer/consumer.py", environment={"STREAMLET": "http://127.0.0.1:9"})
    status, _, body = served.post("/whole", {"text": TEXT})
    assert status == 502
    assert json.loads(body)["code"] == "connection_failed"


def test_the_text_arrives_while_it_is_made(serve: Serve) -> None:
    served = serve("examples/consumer/raw.py")
    with served.send("/run", {"prompt": "Once upon a time"}, "text/plain") as connection:
        received = b""
        while b"Once " not in received:
            received += connection.recv(65536)
        assert b"time" not in received
        while b"time " not in received:
            received += connection.recv(65536)


def outside(server: Served, text: str, *options: str) -> subprocess.Popen[str]:
    """`client.py` in a process of its own."""
    program = [sys.executable, *options, str(FOLDER / "client.py"), f"http://127.0.0.1:{server.port}", text]
    return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_client_from_outside_reads_both_streams(streamlet: Served) -> None:
    with outside(streamlet, TEXT) as client:
        printed, _ = client.communicate(timeout=30)
    chunks = ["it was", "a long", "time ago"]
    assert printed.splitlines() == [*chunks, "22 characters", *chunks, "6 words in 3 chunks"]
    assert client.returncode == 0


def test_a_client_from_outside_loads_no_client_library_and_no_server(streamlet: Served) -> None:
    with outside(streamlet, TEXT, "-X", "importtime") as client:
        _, loaded = client.communicate(timeout=30)
    modules = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in loaded.splitlines() if "|" in line}
    assert "pydantic" in modules
    assert modules.isdisjoint({"httpx2", "httpcore2", "anyio", "starlette", "uvicorn", "numpy", "click"})


def test_a_client_from_outside_is_told_when_its_server_dies(serve: Serve) -> None:
    served = serve("examples/consumer/streamlet.py")
    with outside(served, "word " * 1000) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "word word\n"
        served.stop(signal.SIGKILL)
        printed, _ = client.communicate(timeout=30)
    assert client.returncode == 1
    assert "characters" not in printed
