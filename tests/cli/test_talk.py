"""A conversation: what is asked, what is printed where, what is kept, and how it ends."""

import asyncio
import os
import re
import signal
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from chat_stub import ChatStub, Piece, answer, asks, delta, record

from headrace.cli.chat_server import ChatServer
from headrace.cli.conversation import Conversation
from headrace.cli.talk import HELP, Talk

TalkTo = Callable[[ChatStub], Talk]
BUSY = httpx2.Response(503, json={"error": {"message": "all slots are taken", "code": "model_busy"}})


@pytest.fixture
def talk_to() -> Iterator[TalkTo]:
    with asyncio.Runner() as runner:
        servers = []

        def begin(stub: ChatStub) -> Talk:
            servers.append(ChatServer("http://tiny.test", transport=stub))
            return Talk(runner, servers[-1], {"model": "tiny"}, Conversation())

        yield begin
        for server in servers:
            runner.run(server.close())


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[], tuple[str, str]]:
    """What was printed on standard output and standard error, its times left out."""

    def read() -> tuple[str, str]:
        out, err = capsys.readouterr()
        return out, re.sub(r"\d+ ms", "N ms", err)

    return read


def asked(stub: ChatStub, number: int = -1) -> list[str]:
    """What was said before a request and in it, in turns."""
    return [message["content"] for message in stub.requests[number]["messages"]]


class Stops(asyncio.Event):
    """A place in a body where Ctrl-C is pressed, and nothing comes any more."""

    async def wait(self) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return await super().wait()


def test_an_answer_goes_to_standard_output_and_its_pace_to_the_other(talk_to: TalkTo, said: Any) -> None:
    assert talk_to(ChatStub(answer("Wa", "ter", tokens=2))).answer("What flows?") == 0
    assert said() == ("Water\n", "  first token N ms · 2 tokens\n")


def test_what_was_said_goes_along_with_the_next_question(talk_to: TalkTo) -> None:
    stub = ChatStub(answer("Water"), answer("Down"))
    talk = talk_to(stub)
    talk.answer("What flows?")
    talk.answer("Where to?")
    assert asked(stub) == ["What flows?", "Water", "Where to?"]


def test_reasoning_stands_apart_and_is_no_part_of_the_answer(talk_to: TalkTo, said: Any) -> None:
    stub = ChatStub([delta(reasoning_content="Hm"), *answer("Water")], answer("Down"))
    talk = talk_to(stub)
    talk.answer("What flows?")
    assert said() == ("Water\n", "Hm\n  first token N ms · 2 pieces\n")
    talk.answer("Where to?")
    assert asked(stub) == ["What flows?", "Water", "Where to?"]


def test_an_answer_at_the_limit_says_so(talk_to: TalkTo, said: Any) -> None:
    talk_to(ChatStub(answer("Wa", finish="length", tokens=1))).answer("What flows?")
    assert said()[1] == "  first token N ms · 1 token · at the token limit\n"


@pytest.mark.parametrize(
    ("body", "code", "out", "err"),
    [
        (BUSY, 4, "", "error: model_busy: all slots are taken\n"),
        (
            [delta(content="Wa"), record(error={"message": "out of memory", "code": "internal"})],
            4,
            "Wa\n",
            "  first token N ms · 1 piece · cut off\nerror: internal: out of memory\n",
        ),
        (
            [delta(content="Wa")],
            5,
            "Wa\n",
            "  first token N ms · 1 piece · cut off\nerror: truncated: the stream ended before the answer did\n",
        ),
        (
            httpx2.ConnectError("refused"),
            3,
            "",
            "error: cannot connect to http://tiny.test: refused; is the address right, and the server running?\n",
        ),
        ([b"data: {\n\n"], 4, "", "error: the server sent '{', which is not JSON\n"),
        (
            httpx2.Response(401, json={"error": {"message": "wrong key", "code": "invalid_api_key"}}),
            4,
            "",
            "error: invalid_api_key: wrong key; give its key: --api-key KEY, or HEADRACE_API_KEY=KEY\n",
        ),
        (
            httpx2.Response(400, json={"error": {"message": "too long", "code": "context_length_exceeded"}}),
            4,
            "",
            "error: context_length_exceeded: too long; /reset begins anew\n",
        ),
        (
            httpx2.Response(500, json={"error": {"message": "\x1b]0;ha\x07", "code": "odd"}}),
            4,
            "",
            "error: odd: \ufffd]0;ha\ufffd\n",
        ),
    ],
)
def test_what_goes_wrong_is_told_and_has_its_exit_code(
    talk_to: TalkTo, said: Any, body: Any, code: int, out: str, err: str
) -> None:
    ended = talk_to(ChatStub(body)).answer("What flows?")
    assert (ended, *said()) == (code, out, err)


def test_a_question_without_an_answer_is_not_kept(talk_to: TalkTo) -> None:
    stub = ChatStub(BUSY, answer("Water"))
    talk = talk_to(stub)
    talk.answer("What flows?")
    talk.answer("What flows now?")
    assert asked(stub) == ["What flows now?"]


def test_ctrl_c_stops_an_answer_and_keeps_what_came_of_it(talk_to: TalkTo, said: Any) -> None:
    stub = ChatStub([delta(content="1 2 3"), Stops()], answer("4"))
    talk = talk_to(stub)
    assert talk.answer("Count") == 130
    assert stub.bodies[0].closed
    assert said() == ("1 2 3\n", "  first token N ms · 1 piece · stopped\n")
    talk.answer("Go on")
    assert asked(stub) == ["Count", "1 2 3 [stopped]", "Go on"]


def test_ctrl_c_before_the_first_token_stops_too(talk_to: TalkTo, said: Any) -> None:
    stub = ChatStub([Stops()])
    assert talk_to(stub).answer("Count") == 130
    assert stub.bodies[0].closed
    assert said() == ("", "  stopped\n")


# with a person


def test_the_end_of_input_leaves(talk_to: TalkTo) -> None:
    stub = ChatStub(answer("Water"))
    assert talk_to(stub).with_a_person(asks("What flows?")) == 0
    assert asked(stub) == ["What flows?"]


def test_a_failure_does_not_end_the_conversation(talk_to: TalkTo) -> None:
    stub = ChatStub(BUSY, answer("Water"))
    assert talk_to(stub).with_a_person(asks("What flows?", "And now?")) == 0
    assert len(stub.requests) == 2


@pytest.mark.parametrize(
    ("lines", "code", "requests"),
    [
        pytest.param([KeyboardInterrupt(), KeyboardInterrupt(), "?"], 130, 0, id="twice at the prompt"),
        pytest.param([KeyboardInterrupt(), "?", KeyboardInterrupt(), "?"], 0, 2, id="a question between them"),
        pytest.param(["stop", KeyboardInterrupt(), "?"], 130, 1, id="once in an answer, once at the prompt"),
        pytest.param(["stop", "?", KeyboardInterrupt(), "?"], 0, 3, id="an answer between them"),
    ],
)
def test_two_interrupts_with_no_question_between_them_leave(
    talk_to: TalkTo, lines: list[Any], code: int, requests: int
) -> None:
    bodies: list[list[Piece]] = [
        [delta(content="1"), Stops()] if line == "stop" else answer("yes") for line in lines if isinstance(line, str)
    ]
    stub = ChatStub(*bodies)
    assert talk_to(stub).with_a_person(asks(*lines)) == code
    assert len(stub.requests) == requests


def test_the_first_interrupt_at_the_prompt_says_what_a_second_one_does(talk_to: TalkTo, said: Any) -> None:
    talk_to(ChatStub()).with_a_person(asks(KeyboardInterrupt()))
    assert said() == ("", "\n  Ctrl-C again leaves\n\n")


def test_reset_begins_a_new_conversation(talk_to: TalkTo) -> None:
    stub = ChatStub(answer("Water"), answer("Fire"))
    talk_to(stub).with_a_person(asks("What flows?", "/reset", "What burns?"))
    assert asked(stub) == ["What burns?"]


def test_exit_leaves(talk_to: TalkTo) -> None:
    stub = ChatStub()
    assert talk_to(stub).with_a_person(asks("/exit", "What flows?")) == 0
    assert stub.requests == []


@pytest.mark.parametrize(
    ("line", "err"),
    [
        ("/help", f"{HELP}\n"),
        ("/rest", "  there is no /rest; did you mean /reset\n"),
        ("/zebra", "  there is no /zebra; try /help\n"),
        ("  ", ""),
    ],
)
def test_a_command_is_no_question(talk_to: TalkTo, said: Any, line: str, err: str) -> None:
    stub = ChatStub()
    talk_to(stub).with_a_person(asks(line))
    assert (stub.requests, said()[1]) == ([], f"{err}\n")


def test_a_question_may_begin_with_a_slash(talk_to: TalkTo) -> None:
    stub = ChatStub(answer("A folder."))
    talk_to(stub).with_a_person(asks("/etc is what?"))
    assert asked(stub) == ["/etc is what?"]


# with lines


def test_every_line_is_a_question_of_one_conversation(talk_to: TalkTo, said: Any) -> None:
    stub = ChatStub(answer("Water"), answer("Down"))
    assert talk_to(stub).with_lines(["What flows?\n", "\n", "Where to?\r\n"]) == 0
    assert asked(stub) == ["What flows?", "Water", "Where to?"]
    assert said()[0] == "Water\nDown\n"


def test_the_first_answer_that_fails_ends_the_lines(talk_to: TalkTo) -> None:
    stub = ChatStub([delta(content="Wa")], answer("Down"))
    assert talk_to(stub).with_lines(["What flows?\n", "Where to?\n"]) == 5
    assert len(stub.requests) == 1


def test_bytes_that_are_no_text_become_replacement_characters(talk_to: TalkTo) -> None:
    stub = ChatStub(answer("?"))
    talk_to(stub).answer("caf\udce9")
    assert asked(stub) == ["caf\ufffd"]
