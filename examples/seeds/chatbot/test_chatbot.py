"""The chat bot, with a real transformer: conversations that remember, clients that leave, and failures."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from checkpoint import CONTEXT
from served import Served
from serving import serving
from transformers_environment import run_by
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect

FOLDER = Path(__file__).parent
FINISHED = "<<Response Finished>>"
LONG = "Count to:"  # the reply goes on until the model has no room left


@pytest.fixture(scope="module")
def server(python: Path, checkpoint: Path) -> Iterator[Served]:
    model = ("--set", f"WatchedChatbot.model={checkpoint}")
    with serving("examples/seeds/watched.py:WatchedChatbot", *model, program=run_by(python)) as served:
        yield served


@pytest.fixture
def bot(server: Served) -> Iterator[Served]:
    """The server, which has nothing to do before a test and after it."""
    yield server
    server.until(lambda: server.metric("headrace_streams_live") == 0, within=10)


@contextmanager
def conversation(bot: Served) -> Iterator[ClientConnection]:
    """A conversation whose client leaves without a word at the end of the block."""
    with connect(f"ws://127.0.0.1:{bot.port}/", proxy=None) as websocket:
        yield websocket
        websocket.close_socket()


def heard(websocket: ClientConnection) -> list[str]:
    """The pieces of one reply."""
    return list(iter(lambda: websocket.recv(timeout=20, decode=True), FINISHED))


def closed(websocket: ClientConnection) -> tuple[int | None, str | None]:
    """Reads until the server closes; code and reason."""
    with pytest.raises(ConnectionClosedError):
        heard(websocket)
    return websocket.close_code, websocket.close_reason


def client(bot: Served, *prompts: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "client.py"), f"ws://127.0.0.1:{bot.port}", *prompts]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


# -- conversations


def test_every_word_is_a_message_and_a_mark_ends_the_reply(bot: Served) -> None:
    with conversation(bot) as websocket:
        websocket.send("Which pet?\n")
        assert [websocket.recv(timeout=20) for _ in range(5)] == ["Dogs ", "are ", "the ", "best.", FINISHED]


@pytest.mark.parametrize(
    ("prompt", "first", "second"),
    [
        ("Space the final", " frontier.", " of the starship."),
        ("Coffee the first", " drink.", " of the cup."),
    ],
)
def test_a_reply_depends_on_all_that_was_said(bot: Served, prompt: str, first: str, second: str) -> None:
    with conversation(bot) as websocket:
        websocket.send(prompt)
        assert "".join(heard(websocket)) == first
        websocket.send(" These are the voyages")
        assert "".join(heard(websocket)) == second


def test_every_connection_has_a_conversation_of_its_own(bot: Served) -> None:
    with conversation(bot) as one, conversation(bot) as other:
        one.send("Space the final")
        other.send("Coffee the first")
        assert ("".join(heard(one)), "".join(heard(other))) == (" frontier.", " drink.")
        one.send(" These are the voyages")
        other.send(" These are the voyages")
        assert ("".join(heard(one)), "".join(heard(other))) == (" of the starship.", " of the cup.")


def test_what_is_said_during_a_reply_is_answered_after_it(bot: Served) -> None:
    with conversation(bot) as websocket:
        websocket.send("Space the final")
        websocket.send(" These are the voyages")
        assert ["".join(heard(websocket)) for _ in range(2)] == [" frontier.", " of the starship."]


def test_a_reply_without_a_word_is_only_the_mark(bot: Served) -> None:
    with conversation(bot) as websocket:
        websocket.send("Say nothing.")
        assert heard(websocket) == []


def test_two_replies_are_made_at_the_same_time(bot: Served) -> None:
    with conversation(bot) as one, conversation(bot) as other:
        one.send(LONG)
        other.send(LONG)
        for _ in range(10):
            assert one.recv(timeout=20) != FINISHED
            assert other.recv(timeout=20) != FINISHED
        assert bot.state()["running"] == 2


def test_the_handshake_has_the_id_of_its_request(bot: Served) -> None:
    with connect(f"ws://127.0.0.1:{bot.port}/", proxy=None, additional_headers={"x-request-id": "mine-1"}) as websocket:
        assert websocket.response is not None
        assert websocket.response.headers["x-request-id"] == "mine-1"


def test_the_client_prints_both_replies(bot: Served) -> None:
    done = client(bot)
    assert (done.returncode, done.stdout) == (0, " frontier.\n\n of the starship.\n\n")


# -- clients that leave


def test_a_client_that_leaves_stops_the_model(bot: Served) -> None:
    gone = bot.metric("headrace_streams_total", 'end="client_gone"')
    with conversation(bot) as websocket:
        websocket.send(LONG)
        assert [websocket.recv(timeout=20) for _ in range(3)] == [" ", "one ", "two "]
        assert bot.state()["running"] == 1
    bot.until(lambda: bot.state()["running"] == 0, within=1.0)
    bot.until(lambda: bot.metric("headrace_streams_total", 'end="client_gone"') == gone + 1, within=1.0)


def test_a_client_that_leaves_between_two_replies_ends_its_conversation(bot: Served) -> None:
    ended = bot.metric("headrace_streams_total", 'end="ok"', "Chatbot.app")
    with conversation(bot) as websocket:
        websocket.send("Space the final")
        heard(websocket)
    bot.until(lambda: bot.metric("headrace_streams_total", 'end="ok"', "Chatbot.app") == ended + 1, within=2.0)


# -- failures


@pytest.mark.parametrize("prompt", ["Fail.", "Count to: one two three four"], ids=["at once", "later"])
def test_a_failure_closes_the_connection_and_says_so(bot: Served, prompt: str) -> None:
    with conversation(bot) as websocket:
        websocket.send(prompt)
        code, reason = closed(websocket)
    assert (code, (reason or "").partition(":")[0]) == (1011, "internal")
    assert "4711" not in (reason or "")
    bot.line_with("RuntimeError: the secret is 4711")


def test_a_conversation_that_leaves_the_model_no_room_is_closed_with_the_reason(bot: Served) -> None:
    with conversation(bot) as websocket:
        websocket.send(LONG)
        assert len(heard(websocket)) > CONTEXT // 2
        websocket.send(" and on")
        code, reason = closed(websocket)
    assert code == 1011
    assert (reason or "").startswith("prompt_too_long: the prompt has ")


def test_a_binary_message_is_refused_with_the_reason(bot: Served) -> None:
    with conversation(bot) as websocket:
        websocket.send(b"Space the final")
        code, reason = closed(websocket)
    assert code == 1003
    assert (reason or "").endswith("send it as a text message")


def test_the_client_tells_a_failure(bot: Served) -> None:
    done = client(bot, "Fail.")
    assert done.returncode == 1
    assert done.stderr.startswith("the bot has broken off")
