"""The page of the example `chat_page` in a real browser: what is shown is what was said, and Stop stops the model.

The screenshots go to the test's folder, or to the one that HEADRACE_SCREENSHOTS names: look at them after a change.
"""

import importlib.util
import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import pytest
from chat_visit import ChatVisit
from playwright.sync_api import Page
from relay import CUT, HANG, Relay
from scripted_messages import BREAKING, SILENT, THOUGHTFUL, ZOO, heard, script, slowly, whole
from served import REPOSITORY, Served
from serving import serving

Arrive = Callable[[str], ChatVisit]

SERVICE = "tests/browser/chatting.py"

ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join(
        [str(REPOSITORY / "examples/chat_page"), str(REPOSITORY / "tests/support"), os.environ.get("PYTHONPATH", "")]
    )
}


@pytest.fixture(scope="module")
def chat() -> Iterator[Served]:
    """The server that all tests of the file visit."""
    with serving(SERVICE, "--drain", "0.5", environment=ENVIRONMENT) as served:
        yield served
    assert "Traceback" not in "".join(served.output)


@pytest.fixture
def arrive(new_page: Callable[[], Page]) -> Arrive:
    def open_page(url: str) -> ChatVisit:
        visit = ChatVisit(new_page(), url)
        visit.open()
        return visit

    return open_page


@pytest.fixture
def visit(chat: Served, arrive: Arrive) -> Iterator[ChatVisit]:
    """A visit in which the browser has nothing to complain about."""
    visit = arrive(f"http://127.0.0.1:{chat.port}/")
    yield visit
    assert visit.problems == []


# what is shown


def test_an_answer_is_shown_while_it_is_made(visit: ChatVisit) -> None:
    visit.ask(slowly(50))
    visit.until(lambda: visit.said().startswith("1 2 3 "))
    assert not visit.said().endswith("50 ")
    assert visit.status == "Answering"
    visit.until_it_ended()
    assert visit.said() == "".join(f"{number} " for number in range(1, 51))
    assert visit.status == "Answered"


def test_first_token_time_and_rate_are_shown_and_tokens_are_the_servers(visit: ChatVisit) -> None:
    visit.answer_to(slowly(20))
    found = re.fullmatch(r"first token (\d+) ms · (\d+) tokens/s · 20 tokens", visit.figures)
    assert found is not None
    assert 20 <= int(found[1]) < 1000
    assert 5 <= int(found[2]) <= 50


def test_every_character_arrives_as_it_was_sent(visit: ChatVisit) -> None:
    assert visit.answer_to(whole(*ZOO)) == ZOO


def test_a_long_answer_is_shown_whole_and_fast(visit: ChatVisit) -> None:
    visit.ask(whole({"count": 5000}))
    visit.until_it_ended()
    assert visit.said() == "".join(f"{number} " for number in range(1, 5001))
    assert visit.page.evaluate("document.querySelector('.turn.assistant .text').childNodes.length") == 1


def test_reasoning_stands_apart(visit: ChatVisit) -> None:
    assert visit.answer_to(THOUGHTFUL) == "Yes."
    assert visit.page.locator(".turn.assistant .reasoning p").text_content() == "Let me see."


def test_an_answer_at_the_token_limit_says_so(visit: ChatVisit) -> None:
    visit.answer_to(whole("Yes", finish="length"))
    assert visit.figures.endswith(" · at the token limit")


def test_the_conversation_goes_along(visit: ChatVisit, chat: Served) -> None:
    question = whole("Hel", "lo!")
    visit.answer_to(question)
    visit.answer_to("again")
    assert heard(chat) == [question, "Hello!", "again"]


def test_a_new_chat_forgets_the_old_one(visit: ChatVisit, chat: Served) -> None:
    visit.answer_to("hello")
    visit.click("New chat")
    assert visit.page.locator(".turn").count() == 0
    visit.answer_to("again")
    assert heard(chat) == ["again"]


def test_a_new_chat_in_the_middle_of_an_answer_stops_it_and_forgets_it(visit: ChatVisit, chat: Served) -> None:
    visit.ask(slowly(1000))
    visit.until(lambda: visit.said() != "")
    visit.click("New chat")
    visit.until_it_ended()
    visit.answer_to("again")
    assert heard(chat) == ["again"]


# stopping


def test_stop_stops_the_model_within_300_ms_and_keeps_what_came(visit: ChatVisit, chat: Served) -> None:
    question = slowly(1000)
    visit.ask(question)
    visit.until(lambda: visit.said().startswith("1 2 3 "))
    assert chat.state()["running"] == 1
    visit.click("Stop")
    visit.until(lambda: chat.state()["running"] == 0, within=0.3)
    visit.until_it_ended()
    text = visit.said()
    assert (visit.status, visit.error, visit.figures.endswith(" · stopped")) == ("Stopped", "", True)
    visit.answer_to("and now?")
    assert heard(chat) == [question, f"{text} [stopped]", "and now?"]


def test_stop_before_the_first_token_stops_the_model_and_gives_the_question_back(
    visit: ChatVisit, chat: Served
) -> None:
    visit.ask(SILENT)
    visit.until(lambda: chat.state()["running"] == 1)
    assert visit.status == "Waiting for the first token"
    visit.page.keyboard.press("Escape")
    visit.until(lambda: chat.state()["running"] == 0, within=0.3)
    visit.until_it_ended()
    assert (visit.status, visit.question.input_value()) == ("Stopped", SILENT)


def test_a_page_that_is_left_stops_the_model(visit: ChatVisit, chat: Served) -> None:
    visit.ask(slowly(1000))
    visit.until(lambda: visit.said() != "")
    visit.page.close()
    chat.until(lambda: chat.state()["running"] == 0, within=0.3)


# keys


def test_shift_enter_begins_a_line_and_enter_sends(visit: ChatVisit, chat: Served) -> None:
    visit.question.press_sequentially("one")
    visit.question.press("Shift+Enter")
    visit.question.press_sequentially("two")
    visit.question.press("Enter")
    visit.until_it_ended()
    assert heard(chat) == ["one\ntwo"]


def test_enter_while_a_word_is_composed_does_not_send(visit: ChatVisit) -> None:
    visit.question.fill("にほん")
    visit.question.dispatch_event("keydown", {"key": "Enter", "isComposing": True})
    assert visit.page.locator(".turn").count() == 0


def test_nothing_is_sent_while_an_answer_comes_or_without_a_word(visit: ChatVisit) -> None:
    visit.ask("   ")
    visit.ask(slowly(1000))
    visit.until(lambda: visit.said() != "")
    visit.ask("hello")
    assert visit.page.locator(".turn.user").all_text_contents() == [slowly(1000)]
    assert visit.question.input_value() == "hello"
    visit.page.keyboard.press("Escape")
    visit.until_it_ended()


def test_every_control_can_be_reached_with_the_keyboard(visit: ChatVisit) -> None:
    visit.question.fill("hello")
    reached = []
    for _ in range(6):
        visit.page.keyboard.press("Tab")
        reached.append(visit.page.evaluate("document.activeElement.id"))
    assert reached == ["send", "", "model", "fresh", "log", "question"]
    visit.page.locator("#send").focus()
    visit.page.keyboard.press("Space")
    visit.until_it_ended()
    assert visit.said() == "hello"


def test_an_answer_is_read_aloud_when_it_is_whole(visit: ChatVisit) -> None:
    log = visit.page.get_by_role("log")
    visit.ask(slowly(20))
    visit.until(lambda: visit.said() != "")
    assert log.get_attribute("aria-busy") == "true"
    visit.until_it_ended()
    assert log.get_attribute("aria-busy") == "false"


# scrolling


def test_the_end_stays_in_sight_unless_its_reader_has_scrolled_away(visit: ChatVisit) -> None:
    from_end = "log => Math.round(log.scrollHeight - log.scrollTop - log.clientHeight)"
    log = visit.page.get_by_role("log")
    visit.answer_to(whole({"count": 3000}))
    assert log.evaluate(from_end) <= 1
    visit.ask(slowly(1000))
    visit.until(lambda: visit.said().startswith("1 2 3 "))
    log.evaluate("log => { log.scrollTop = 0; }")
    visit.until(lambda: visit.said().endswith(" 30 ") or " 30 " in visit.said())
    assert log.evaluate("log => log.scrollTop") == 0
    visit.click("Stop")
    visit.until_it_ended()


# what goes wrong


def test_a_failure_in_the_middle_is_told_and_what_came_is_kept(visit: ChatVisit, chat: Served) -> None:
    assert visit.answer_to(BREAKING) == "so far"
    assert (visit.error, visit.status) == ("the upstream said 502", "Failed")
    assert visit.figures.endswith(" · cut off")
    visit.answer_to("and now?")
    assert heard(chat) == [BREAKING, "so far [cut off]", "and now?"]


def test_a_refusal_is_told_and_the_question_given_back(chat: Served, arrive: Arrive) -> None:
    visit = arrive(f"http://127.0.0.1:{chat.port}/")
    question = script({"fail": 503, "retry_after": 7})
    assert visit.answer_to(question) == ""
    assert visit.error == "the upstream said 503. Try again in 7 s."
    assert visit.question.input_value() == question
    assert ["503" in problem for problem in visit.problems] == [True]  # the browser's own line, nothing of ours


def test_a_server_that_is_gone_is_told(arrive: Arrive) -> None:
    served = Served("run", SERVICE, "--port", "0", environment=ENVIRONMENT).ready()
    visit = arrive(f"http://127.0.0.1:{served.port}/")
    served.stop()
    visit.answer_to("hello")
    assert visit.error == "The server cannot be reached. Is it running?"


def delta(finish: str | None = None, **members: Any) -> str:
    return "data: " + json.dumps({"choices": [{"index": 0, "delta": members, "finish_reason": finish}]}) + "\n\n"


WATER, STOP, DONE = delta(content="Water"), delta("stop"), "data: [DONE]\n\n"
WHOLE = WATER + STOP + DONE
EVENTS = "content-type: text/event-stream\r\n"


def page_files() -> Any:
    """The example's table of files."""
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    spec = importlib.util.spec_from_file_location("chat_page", REPOSITORY / "examples/chat_page/chat_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


PAGE = page_files()


def relayed(head: str, pieces: Iterable[bytes | object]) -> Relay:
    """A server of the page whose every answer has this head and these pieces."""

    def answer(request: bytes) -> Iterable[bytes | object]:
        path = request.split()[1].decode()
        if path == "/v1/chat/completions":
            return chain([f"HTTP/1.1 {head}connection: close\r\n\r\n".encode()], pieces)
        name = "page.html" if path == "/" else path[1:]
        found = name in PAGE.FILES
        body = b'{"data": [{"id": "tiny"}]}' if not found else (PAGE.FOLDER / name).read_bytes()
        kind = PAGE.FILES.get(name, "application/json")
        length = f"content-type: {kind}\r\ncontent-length: {len(body)}\r\n"
        return [f"HTTP/1.1 200 OK\r\n{length}connection: close\r\n\r\n".encode(), body]

    return Relay(answer)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(WHOLE.replace("\n", "\r\n"), "Water", id="CRLF"),
        pytest.param(WHOLE.replace("\n", "\r"), "Water", id="CR"),
        pytest.param("\ufeff" + WHOLE.replace("data: ", "data:"), "Water", id="byte order mark and no space"),
        pytest.param(": ping\n" + WATER + ": ping\n\n" + STOP + DONE, "Water", id="comments"),
        pytest.param("id: 1\nretry: 10\nevent: message\n" + WHOLE, "Water", id="other fields"),
        pytest.param('data: {"choices":\ndata: []}\n\n' + WHOLE, "Water", id="several data lines"),
        pytest.param('data: {"choices": [{"content_filter_offsets": {}}]}\n\n' + WHOLE, "Water", id="no delta"),
        pytest.param('data: {"object": "", "prompt_filter_results": []}\n\n' + WHOLE, "Water", id="no choices"),
        pytest.param(delta(content="<b>é</b>水\U0001f642") + STOP + DONE, "<b>é</b>水\U0001f642", id="no markup"),
        pytest.param(delta(refusal="I must not") + STOP + DONE, "I must not", id="refusal"),
    ],
)
def test_what_other_servers_send_is_understood_byte_by_byte(arrive: Arrive, body: str, text: str) -> None:
    with relayed(f"200 OK\r\n{EVENTS}", [bytes([byte]) for byte in body.encode()]) as relay:
        visit = arrive(relay.url)
        assert visit.answer_to("What flows?") == text
        assert (visit.error, visit.problems) == ("", [])


CUT_OFF = "The answer was cut off: the stream ended before the answer did."


@pytest.mark.parametrize(
    ("head", "body", "text", "error"),
    [
        pytest.param(f"200 OK\r\n{EVENTS}", [WATER], "Water", CUT_OFF, id="no end"),
        pytest.param(f"200 OK\r\n{EVENTS}", [WATER + STOP], "Water", CUT_OFF, id="no [DONE]"),
        pytest.param(f"200 OK\r\n{EVENTS}", [], "", CUT_OFF, id="nothing"),
        pytest.param(
            f"200 OK\r\n{EVENTS}",
            [WATER + DONE],
            "Water",
            "The server ended the answer without saying why. It may not be complete.",
            id="no finish reason",
        ),
        pytest.param(
            f"200 OK\r\n{EVENTS}",
            [WATER + 'data: {"error": {"message": "out of memory", "code": "internal"}}\n\n'],
            "Water",
            "out of memory",
            id="an error in the stream",
        ),
        pytest.param(
            f"200 OK\r\n{EVENTS}",
            [WATER + "data: {oops\n\n" + STOP + DONE],
            "Water",
            "The server sent something that is no answer.",
            id="not JSON",
        ),
        pytest.param(
            "200 OK\r\ncontent-type: text/html\r\n",
            ["<p>Welcome</p>"],
            "",
            "The server answered with text/html, not with a stream.",
            id="a page",
        ),
        pytest.param(
            "400 Bad Request\r\ncontent-type: application/json\r\n",
            ['{"error": {"message": "too long", "param": null}}'],
            "",
            "too long",
            id="a refusal",
        ),
        pytest.param("502 Bad Gateway\r\n", ["<h1>Oh</h1>"], "", "The server answered 502.", id="a proxy's refusal"),
    ],
)
def test_an_answer_that_is_none_or_not_whole_is_told(
    arrive: Arrive, head: str, body: list[Any], text: str, error: str
) -> None:
    with relayed(head, [piece.encode() if isinstance(piece, str) else piece for piece in body]) as relay:
        visit = arrive(relay.url)
        assert visit.answer_to("What flows?") == text
        assert (visit.error, visit.status) == (error, "Failed")


def test_a_connection_that_is_lost_in_the_middle_is_told(arrive: Arrive) -> None:
    seen = threading.Event()

    def pieces() -> Iterator[bytes | object]:
        yield WATER.encode()
        assert seen.wait(10)
        yield CUT

    with relayed(f"200 OK\r\n{EVENTS}content-length: 10000\r\n", pieces()) as relay:
        visit = arrive(relay.url)
        visit.ask("What flows?")
        visit.until(lambda: visit.said() == "Water")
        seen.set()
        visit.until_it_ended()
        assert (visit.said(), visit.error) == ("Water", "The answer was cut off: the connection was lost.")


def test_an_answer_that_the_page_gives_up_is_left(arrive: Arrive) -> None:
    with relayed(f"200 OK\r\n{EVENTS}", [WATER.encode(), b"data: {oops\n\n", HANG]) as relay:
        visit = arrive(relay.url)
        assert visit.answer_to("What flows?") == "Water"
        assert visit.error == "The server sent something that is no answer."
        assert relay.left.wait(5)


# how it looks


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_looks_well_in_every_state(
    chat: Served, arrive: Arrive, scheme: Literal["light", "dark"], tmp_path: Path
) -> None:
    visit = arrive(f"http://127.0.0.1:{chat.port}/")
    folder = Path(os.environ.get("HEADRACE_SCREENSHOTS") or tmp_path)

    def take(state: str) -> None:
        visit.page.wait_for_timeout(150)
        visit.page.screenshot(path=folder / f"chat-{state}-{scheme}.png")

    visit.page.emulate_media(color_scheme=scheme)
    take("empty")
    visit.answer_to("Is there anybody who reads this rather long question to its end, and what would he say of it?")
    visit.answer_to(THOUGHTFUL)
    visit.ask(slowly(1000))
    visit.until(lambda: " 20 " in visit.said())
    take("answering")
    visit.click("Stop")
    visit.until_it_ended()
    visit.answer_to(BREAKING)
    take("failed")
    visit.page.set_viewport_size({"width": 390, "height": 844})
    visit.answer_to(whole({"count": 100}))
    take("narrow")
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert len(list(folder.glob(f"chat-*-{scheme}.png"))) == 4
