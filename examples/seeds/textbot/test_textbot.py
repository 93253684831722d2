"""The text bot, with a real transformer: its words, its clients that leave, its failures and its limits."""

import http.client
import json
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from checkpoint import CONTEXT
from curl import curl_lines, run_curl
from served import Served, receive
from serving import serving
from transformers_environment import run_by

FOLDER = Path(__file__).parent
DOGS = "Which pet?\n"
LONG = "Count to:"  # the reply goes on until the model has no room left
TOGETHER = 4  # replies that are made at the same time; one more has a place, and waits


@pytest.fixture(scope="module")
def server(python: Path, checkpoint: Path) -> Iterator[Served]:
    limits = ("--max-concurrency", str(TOGETHER + 1), "--max-queue", "0")
    model = ("--set", f"WatchedTextbot.model={checkpoint}")
    with serving("examples/seeds/watched.py:WatchedTextbot", *limits, *model, program=run_by(python)) as served:
        yield served


@pytest.fixture
def bot(server: Served) -> Iterator[Served]:
    """The server, which has nothing to do before a test and after it."""
    yield server
    server.until(lambda: server.metric("headrace_streams_live") == 0, within=10)


def post(bot: Served, prompt: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return bot.request("POST", f"/?prompt={quote(prompt)}", headers=named)


@contextmanager
def reading(bot: Served, prompt: str) -> Iterator[socket.socket]:
    """A reply that is being read; its client leaves without a word at the end of the block."""
    connection = bot.connect()
    connection.sendall(f"POST /?prompt={quote(prompt)} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
    try:
        yield connection
    finally:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()


def client(bot: Served, prompt: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "client.py"), prompt, f"http://127.0.0.1:{bot.port}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


# -- what it answers


def test_the_reply_is_text(bot: Served) -> None:
    status, headers, body = post(bot, DOGS)
    assert (status, body) == (200, b"Dogs are the best.")
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["transfer-encoding"] == "chunked"


def test_every_word_is_a_chunk(bot: Served) -> None:
    with reading(bot, DOGS) as connection:
        reply = receive(connection, b"\r\n0\r\n\r\n").partition(b"\r\n\r\n")[2]
    assert reply == b"5\r\nDogs \r\n4\r\nare \r\n4\r\nthe \r\n5\r\nbest.\r\n0\r\n\r\n"


def test_words_arrive_while_the_model_makes_others(bot: Served) -> None:
    before = bot.state()["steps"]
    with reading(bot, LONG) as connection:
        receive(connection, b"one ")
        assert bot.state()["steps"] - before < CONTEXT // 2


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/?prompt=", 200),
        ("POST", "/", 422),
        ("GET", "/?prompt=rain", 405),
        ("POST", "/nowhere?prompt=rain", 404),
    ],
    ids=["an empty prompt", "no prompt", "another method", "another path"],
)
def test_every_answer_has_its_status_and_the_id_of_its_request(
    bot: Served, method: str, path: str, status: int
) -> None:
    answered, headers, _ = bot.request(method, path, headers={"x-request-id": "mine-1"})
    assert (answered, headers["x-request-id"]) == (status, "mine-1")


def test_the_reply_to_an_empty_prompt_is_the_model_s(bot: Served) -> None:
    assert post(bot, "")[2] == b"Say something."


def test_a_reply_without_a_word_is_complete(bot: Served) -> None:
    with reading(bot, "Say nothing.") as connection:
        assert receive(connection, b"0\r\n\r\n").endswith(b"\r\n\r\n0\r\n\r\n")


def test_a_reply_ends_where_the_model_has_no_room_left(bot: Served) -> None:
    before = bot.state()["steps"]
    words = post(bot, LONG)[2].decode().split()
    assert words[:11] == ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "one"]
    assert bot.state()["steps"] - before == len(words) == CONTEXT - 6  # tokens of the prompt


def test_a_prompt_that_leaves_no_room_is_refused(bot: Served) -> None:
    status, _, body = post(bot, "one " * CONTEXT)
    problem = json.loads(body)
    assert (status, problem["code"]) == (422, "prompt_too_long")
    assert problem["detail"].endswith(f"tokens, and this model takes {CONTEXT - 1}; shorten it")


def test_two_replies_are_made_at_the_same_time(bot: Served) -> None:
    with reading(bot, LONG) as one, reading(bot, LONG) as other:
        for number in (b"two ", b"five ", b"nine "):
            receive(one, number)
            receive(other, number)
        assert bot.state()["running"] == 2


def test_the_curl_line_of_the_program_works(bot: Served) -> None:
    (line,) = curl_lines(FOLDER / "textbot.py")
    assert run_curl(line, bot.port)


def test_the_client_prints_the_reply(bot: Served) -> None:
    done = client(bot, DOGS)
    assert (done.returncode, done.stdout) == (0, "Dogs are the best.\n")


# -- clients that leave


@pytest.mark.parametrize("after", [b"HTTP/1.1 200", b"three "], ids=["the head", "some words"])
def test_a_client_that_leaves_stops_the_model(bot: Served, after: bytes) -> None:
    gone = bot.metric("headrace_streams_total", 'end="client_gone"')
    with reading(bot, LONG) as connection:
        receive(connection, after)
        assert bot.state()["running"] == 1
    bot.until(lambda: bot.state()["running"] == 0, within=1.0)
    assert bot.metric("headrace_streams_total", 'end="client_gone"') == gone + 1
    left = bot.state()["steps"]
    assert post(bot, DOGS)[2] == b"Dogs are the best."
    assert bot.state()["steps"] == left + 12  # of this reply, and none of the other


def test_a_place_is_free_when_the_model_has_stopped_and_not_before(bot: Served) -> None:
    with reading(bot, "Slow."):
        bot.until(lambda: bot.state()["running"] == 1, within=1.0)
    bot.until(lambda: bot.metric("headrace_streams_live") == 0, within=2.0)
    assert bot.state()["running"] == 0


# -- failures and limits


def test_a_failure_before_the_first_word_is_a_status(bot: Served) -> None:
    status, headers, body = post(bot, "Fail.")
    assert (status, headers["content-type"]) == (500, "application/problem+json")
    assert json.loads(body)["code"] == "internal"
    assert b"4711" not in body
    bot.line_with("RuntimeError: the secret is 4711")


def test_a_failure_after_some_words_is_a_connection_that_is_cut(bot: Served) -> None:
    with pytest.raises(http.client.IncompleteRead) as cut:
        post(bot, "Count to: one two three four")
    assert cut.value.partial == b" five six seven eight nine ten one two three "
    bot.line_with("RuntimeError: the secret is 4711")


@pytest.mark.parametrize(
    ("prompt", "printed", "told"),
    [
        ("Fail.", "", "500: "),
        ("Count to: one two three four", " five six seven eight nine ten one two three ", "the bot has broken off"),
    ],
    ids=["before the first word", "after some words"],
)
def test_the_client_tells_a_failure(bot: Served, prompt: str, printed: str, told: str) -> None:
    done = client(bot, prompt)
    assert (done.returncode, done.stdout) == (1, printed)
    assert done.stderr.startswith(told)


def test_a_time_limit_before_the_first_word_is_a_status(bot: Served) -> None:
    status, _, body = post(bot, LONG, headrace_timeout="0.001")
    assert (status, json.loads(body)["code"]) == (504, "deadline_exceeded")


def test_a_time_limit_after_some_words_is_a_cut_and_stops_the_model(bot: Served) -> None:
    with pytest.raises(http.client.IncompleteRead) as cut:
        post(bot, LONG, headrace_timeout="0.8")
    assert cut.value.partial.startswith(b" one two ")
    bot.until(lambda: bot.state()["running"] == 0, within=1.0)


@contextmanager
def busy(bot: Served) -> Iterator[None]:
    """As many replies as the model makes at the same time, being made."""
    with ExitStack() as replies:
        for _ in range(TOGETHER):
            receive(replies.enter_context(reading(bot, LONG)), b"one ")
        yield


def test_a_client_that_leaves_before_its_turn_leaves_no_work(bot: Served) -> None:
    before = bot.state()["replies"]
    with busy(bot):
        with reading(bot, LONG):
            bot.until(lambda: bot.metric("headrace_streams_live") == TOGETHER + 1, within=2.0)
        bot.until(lambda: bot.metric("headrace_streams_live") == TOGETHER, within=0.5)
    bot.until(lambda: bot.metric("headrace_streams_live") == 0, within=2.0)
    assert bot.state()["replies"] == before + TOGETHER


def test_who_finds_every_place_taken_is_told_to_come_back(bot: Served) -> None:
    with busy(bot), reading(bot, LONG):
        bot.until(lambda: bot.metric("headrace_streams_live") == TOGETHER + 1, within=2.0)
        status, headers, body = post(bot, DOGS)
    assert (status, json.loads(body)["code"]) == (503, "overloaded")
    assert int(headers["retry-after"]) >= 1
    bot.until(lambda: post(bot, DOGS)[0] == 200, within=5.0)


def test_a_model_that_is_not_there_is_told_at_the_start(python: Path) -> None:
    command = [str(python), "-m", "headrace", "run", str(FOLDER / "textbot.py"), "--set", "Textbot.model=./nowhere"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, env={"HF_HUB_OFFLINE": "1"})
    assert done.returncode == 3
    assert "./nowhere" in done.stdout + done.stderr
