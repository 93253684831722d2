"""`headrace chat` as a process, with real servers, in a real terminal and without one."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from relay import CUT, HANG, Relay
from scripted_messages import BREAKING, SCRIPTED, SILENT, THOUGHTFUL, ZOO, heard, slowly, whole
from served import Served
from serving import serving
from terminal import CTRL_D, Terminal

ENVIRONMENT = {
    "HEADRACE_API_KEY": "",
    "OPENAI_API_KEY": "",
}

HELLO = whole("you said ", "hello")


@pytest.fixture(scope="module")
def model() -> Iterator[Served]:
    with serving(SCRIPTED, environment=ENVIRONMENT) as served:
        yield served


def url(served: Served) -> str:
    return f"http://127.0.0.1:{served.port}"


def chat(lines: str | bytes, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """The command without a terminal: exit code, standard output, standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "headrace", "chat", *arguments],
        input=lines.encode() if isinstance(lines, str) else lines,
        env={**os.environ, **ENVIRONMENT, "PYTHONUTF8": "1", **environment},
        capture_output=True,
        timeout=30,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture
def terminal(model: Served, tmp_path: Path) -> Iterator[Terminal]:
    with Terminal("chat", url(model), folder=tmp_path, environment=ENVIRONMENT) as terminal:
        terminal.until("> ")
        yield terminal


# in a terminal


def test_a_conversation_in_a_terminal(terminal: Terminal, model: Served) -> None:
    assert f"  scripted at {url(model)}/v1 · /help · Ctrl-D leaves\n" in terminal.output
    terminal.type(f"{slowly(3)}\n")
    terminal.until("1 2 3 \n")
    terminal.until("first token")
    terminal.until("tokens/s · 3 tokens")
    terminal.type(f"{HELLO}\n")
    terminal.until("you said hello\n")
    terminal.until("> ")
    assert heard(model) == [slowly(3), "1 2 3 ", HELLO]
    terminal.type(CTRL_D)
    assert terminal.exit_code() == 0


def test_tokens_are_shown_as_they_come(terminal: Terminal) -> None:
    terminal.type(f"{slowly(1000)}\n")
    terminal.until("1 2 3 ")
    assert " 900 " not in terminal.output


def test_ctrl_c_stops_the_answer_on_the_server_and_a_second_one_leaves(terminal: Terminal, model: Served) -> None:
    terminal.type(f"{slowly(1000)}\n")
    terminal.until("1 2 3 ")
    assert model.state()["running"] == 1
    terminal.interrupt()
    model.until(lambda: model.state()["running"] == 0, within=0.3)
    terminal.until("pieces · stopped")
    terminal.until("> ")
    terminal.type(f"{HELLO}\n")
    terminal.until("you said hello\n")
    terminal.until("> ")
    question, answer, last = heard(model)
    assert re.fullmatch(r"1 2 3 .* \[stopped\]", answer)
    assert (question, last) == (slowly(1000), HELLO)
    terminal.type(f"{SILENT}\n")
    model.until(lambda: model.state()["running"] == 1, within=5)
    terminal.interrupt()
    model.until(lambda: model.state()["running"] == 0, within=0.3)
    terminal.until("stopped")
    terminal.until("> ")
    terminal.interrupt()
    assert terminal.exit_code() == 130
    assert "Traceback" not in terminal.output


def test_two_ctrl_c_at_the_prompt_leave(terminal: Terminal) -> None:
    terminal.interrupt()
    terminal.until("Ctrl-C again leaves")
    terminal.until("> ")
    terminal.interrupt()
    assert terminal.exit_code() == 130
    assert "Traceback" not in terminal.output


def test_a_line_that_was_asked_can_be_called_back(terminal: Terminal, model: Served) -> None:
    terminal.type(f"{HELLO}\n")
    terminal.until("you said hello\n")
    terminal.until("> ")
    terminal.type("\x1b[A \n")  # the arrow up
    terminal.until("you said hello\n")
    terminal.until("> ")
    assert heard(model) == [HELLO, "you said hello", f"{HELLO} "]


def test_every_character_reaches_the_terminal_and_the_server(terminal: Terminal, model: Served) -> None:
    terminal.type("é 水 \U0001f642\n")
    terminal.until("tokens")
    terminal.until("> ")
    assert heard(model) == ["é 水 \U0001f642"]
    terminal.type(f"{whole(*ZOO)}\n")
    terminal.until("\n\tend")
    assert ZOO.replace("\u0085", "\ufffd").replace("\n", "\r\n").encode() in terminal.raw


def test_a_failure_is_told_and_the_conversation_goes_on(terminal: Terminal) -> None:
    terminal.type(f"{BREAKING}\n")
    terminal.until("so far\n")
    terminal.until("cut off")
    terminal.until("error: upstream_failed: the upstream said 502")
    terminal.until("> ")
    terminal.type("/exit\n")
    assert terminal.exit_code() == 0


def test_control_characters_of_a_model_do_not_reach_the_terminal(tmp_path: Path) -> None:
    body = b'data: {"choices": [{"delta": {"content": "a\\u001b]0;owned\\u0007b"}, "finish_reason": "stop"}]}\n\n'
    with answering(EVENTS, body + DONE) as relay, Terminal("chat", relay.url, folder=tmp_path) as terminal:
        terminal.until("> ")
        terminal.type("hello\n")
        terminal.until("a\ufffd]0;owned\ufffdb")
        terminal.until("> ")


def test_a_terminal_without_a_server_ends_with_3(tmp_path: Path) -> None:
    with Terminal("chat", "http://127.0.0.1:1", folder=tmp_path) as terminal:
        terminal.until("error: cannot connect to http://127.0.0.1:1")
        assert terminal.exit_code() == 3


# without one


def test_without_a_terminal_every_line_is_a_question_and_the_answers_alone_go_out(model: Served) -> None:
    code, out, err = chat(f"{HELLO}\n\n{THOUGHTFUL}\n{whole(*ZOO)}\n", url(model))
    assert (code, out) == (0, f"you said hello\nYes.\n{ZOO}\n")
    assert err.count("first token") == 3
    assert "Let me see." in err
    assert heard(model)[:4] == [HELLO, "you said hello", THOUGHTFUL, "Yes."]


def test_options_reach_the_server(model: Served) -> None:
    code, _, _ = chat("hello\n", url(model), "--system", "Be brief.", "--temperature", "0", "--max-tokens", "5")
    assert (code, heard(model)) == (0, ["Be brief.", "hello"])


def test_bytes_that_are_no_text_are_replaced(model: Served) -> None:
    assert chat(b"caf\xe9\n", url(model))[:2] == (0, "caf\ufffd\n")


def test_a_key_opens_the_server(tmp_path: Path) -> None:
    served = Served("run", SCRIPTED, "--port", "0", "--api-key", "k-1", environment=ENVIRONMENT)
    try:
        served.ready()
        assert chat("hello\n", url(served), OPENAI_API_KEY="k-1")[:2] == (0, "hello\n")
        code, out, err = chat("hello\n", url(served))
        assert (code, out) == (4, "")
        assert "give its key: --api-key KEY, or HEADRACE_API_KEY=KEY" in err
    finally:
        served.stop()


EVENTS = "200 OK\r\ncontent-type: text/event-stream"
DONE = b"data: [DONE]\n\n"
MODELS = b'{"object": "list", "data": [{"id": "odd"}]}'


def answering(head: str, *pieces: bytes | object) -> Relay:
    """A server with one model, whose every answer has this head and these pieces."""

    def answer(request: bytes) -> list[bytes | object]:
        if request.startswith(b"GET /v1/models "):
            length = f"content-type: application/json\r\ncontent-length: {len(MODELS)}"
            return [f"HTTP/1.1 200 OK\r\n{length}\r\nconnection: close\r\n\r\n".encode(), MODELS]
        return [f"HTTP/1.1 {head}\r\nconnection: close\r\n\r\n".encode(), *pieces]

    return Relay(answer)


WATER = b'data: {"choices": [{"delta": {"content": "Water"}, "finish_reason": null}]}\n\n'


@pytest.mark.parametrize(
    ("head", "pieces", "code", "out", "error"),
    [
        pytest.param(EVENTS, [WATER], 5, "Water\n", "truncated: the stream ended before the answer did", id="an end"),
        pytest.param(
            f"{EVENTS}\r\ncontent-length: 9999", [WATER, CUT], 5, "Water\n", "the connection was lost", id="a cut"
        ),
        pytest.param(
            EVENTS, [WATER, b'data: {"error": {"message": "no"}}\n\n'], 4, "Water\n", "server_error: no", id="an error"
        ),
        pytest.param("503 Busy", [b'{"error": {"message": "busy"}}'], 4, "", "server_error: busy", id="a status"),
        pytest.param("200 OK", [b"hello"], 4, "", "not with an event stream", id="no stream"),
        pytest.param("200 OK\r\ncontent-length: 5", [CUT], 5, "", "the connection was lost", id="nothing"),
    ],
)
def test_an_answer_that_is_not_whole_has_its_exit_code(
    head: str, pieces: list[bytes | object], code: int, out: str, error: str
) -> None:
    with answering(head, *pieces) as relay:
        ended, said, told = chat("What flows?\nAnd now?\n", relay.url)
        questions = sum(request.startswith(b"POST") for request in relay.requests)
    assert (ended, said, questions) == (code, out, 1)
    assert error in told
    assert "Traceback" not in told


def test_no_server_ends_with_3() -> None:
    code, out, err = chat("hello\n", "http://127.0.0.1:1", "--model", "tiny")
    assert (code, out) == (3, "")
    assert "is the address right, and the server running?" in err


def test_ctrl_c_without_a_terminal_closes_the_connection_and_ends_with_130() -> None:
    with answering(EVENTS, WATER, HANG) as relay:
        process = subprocess.Popen(
            [sys.executable, "-m", "headrace", "chat", relay.url],
            env={**os.environ, **ENVIRONMENT},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"What flows?\nAnd now?\n")
        process.stdin.flush()
        assert process.stdout.read(5) == b"Water"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
        assert relay.left.wait(5)
    assert (process.returncode, out) == (130, b"\n")
    assert b"Traceback" not in err
