"""Both batch bots, served for real with a real transformer, as their clients see them."""

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from checkpoint import make_checkpoint
from crowd import Answer, answer_in, reset, rest_of
from served import Served, receive
from transformers_environment import run_by, transformers_python

HERE = Path(__file__).parent
STARTS_WITHIN = 180  # seconds; the first import of torch reads some hundred megabytes

PET = ("Which pet?\n", "Dogs are the best.")
SPACE = ("Space the final", " frontier.")
NOTHING = ("Say nothing.", "")
EMPTY = ("", "Say something.")
COUNT = "Count to:"  # goes on until the model can read no more

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(transformers_python(), tmp_path_factory.mktemp("checkpoint"))


@contextmanager
def bot(name: str, checkpoint: Path, *flags: str) -> Iterator[Served]:
    """A bot that runs; in the end every stream of it has ended."""
    command = ("run", str(HERE / name), "--port", "0", "--set", f"Batchbot.model={checkpoint}", *flags)
    served = Served(*command, program=run_by(transformers_python()))
    try:
        found = re.search(r"http://[^ ]*?:(\d+)/", served.line_with("➜", within=STARTS_WITHIN))
        assert found is not None
        served.port = int(found[1])
        yield served
        served.assert_every_stream_ended()
    finally:
        served.stop()


@pytest.fixture(scope="module")
def batchbot(checkpoint: Path) -> Iterator[Served]:
    with bot("batchbot.py", checkpoint, "--set", "Batchbot.wait=0.5") as served:
        yield served


@pytest.fixture(scope="module", params=["batchbot.py", "continuous.py"])
def either(request: pytest.FixtureRequest, checkpoint: Path) -> Iterator[Served]:
    with bot(request.param, checkpoint) as served:
        yield served


def begin(served: Served, prompt: str) -> socket.socket:
    connection = served.connect()
    head = (
        f"POST /?prompt={quote(prompt)} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    )
    connection.sendall(head.encode())
    return connection


def ask(served: Served, prompt: str) -> Answer:
    return answer_in(rest_of(begin(served, prompt)))


def ask_together(served: Served, *prompts: str) -> list[Answer]:
    with ThreadPoolExecutor(len(prompts)) as clients:
        return list(clients.map(lambda prompt: ask(served, prompt), prompts))


def steps(served: Served) -> int:
    return int(served.request("GET", "/steps")[2])


def stands_still(served: Served) -> bool:
    before = steps(served)
    time.sleep(0.2)
    return steps(served) == before


# both of them


@pytest.mark.parametrize(("prompt", "reply"), [PET, SPACE, NOTHING, EMPTY])
def test_a_prompt_is_answered_as_text(either: Served, prompt: str, reply: str) -> None:
    answer = ask(either, prompt)
    assert (answer.status, answer.body.decode(), answer.clean) == (200, reply, True)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "x-request-id" in answer.headers


def test_prompts_of_many_lengths_at_once_get_their_own_replies(either: Served) -> None:
    pairs = [PET, SPACE, EMPTY, NOTHING] * 4
    answers = ask_together(either, *(prompt for prompt, _ in pairs))
    assert [answer.body.decode() for answer in answers] == [reply for _, reply in pairs]


def test_tokens_come_one_by_one(either: Served) -> None:
    received = rest_of(begin(either, COUNT))
    assert answer_in(received).clean
    assert received.count(b"\r\n") > 100  # most tokens are chunks of their own


def test_the_loop_is_not_blocked_between_the_tokens(either: Served) -> None:
    running = begin(either, COUNT)
    receive(running, b" one")
    slowest = 0.0
    for _ in range(20):
        started = time.monotonic()
        assert either.request("GET", "/livez")[0] == 200
        slowest = max(slowest, time.monotonic() - started)
    assert slowest < 0.5
    reset(running)


def test_a_client_that_leaves_stops_the_model(either: Served) -> None:
    running = begin(either, COUNT)
    receive(running, b" one")
    reset(running)
    either.until(lambda: stands_still(either), within=2)


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/", 422), ("GET", "/", 405), ("GET", "/nowhere", 404)]
)
def test_what_is_asked_in_a_wrong_way_is_told(either: Served, method: str, path: str, status: int) -> None:
    assert either.request(method, path)[0] == status


def test_a_prompt_that_is_too_long_is_told_to_its_own_client(either: Served) -> None:
    long, short = ask_together(either, "Count " * 300, PET[0])
    assert (long.status, long.error) == (422, "prompt_too_long")
    assert short.body.decode() == PET[1]


def test_the_client_prints_the_reply(either: Served) -> None:
    command = [sys.executable, str(HERE / "client.py"), PET[0], f"http://127.0.0.1:{either.port}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == PET[1] + "\n"


# the batch


def test_two_prompts_share_the_steps_of_one_batch(batchbot: Served) -> None:
    before = steps(batchbot)
    answers = ask_together(batchbot, COUNT, COUNT)
    assert answers[0].body == answers[1].body
    assert answers[0].body.startswith(b" one two three")
    assert 240 < steps(batchbot) - before < 300  # those of one reply; some more are made before its end is known


def test_the_shorter_reply_ends_its_connection_when_it_ends(batchbot: Served) -> None:
    long, short = begin(batchbot, COUNT), begin(batchbot, PET[0])
    answer = answer_in(rest_of(short))
    at = steps(batchbot)
    assert (answer.body.decode(), answer.clean) == (PET[1], True)
    assert answer_in(rest_of(long)).clean
    assert steps(batchbot) > at + 50


def test_a_lone_client_waits_for_the_timeout_and_not_longer(batchbot: Served) -> None:
    started = time.monotonic()
    alone = begin(batchbot, PET[0])
    receive(alone, b"D")
    assert 0.5 <= time.monotonic() - started < 1.5
    rest_of(alone)
