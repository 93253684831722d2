"""One line per stream; nothing in it, and in no other line, can be forged."""

import json
import logging
import re
import sys
import time
from typing import Any

import pytest
from asgi import Call, ask, post

from headrace.errors import StreamError
from headrace.server.app import Application
from headrace.server.log import TEXT_CHARACTERS, JsonFormatter, TextFormatter, redacted, shown


def record(message: str, error: BaseException | None = None, **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord("user.code", logging.ERROR, "file.py", 1, "%s", (message,), None)
    if error is not None:
        try:
            raise error
        except BaseException:
            made.exc_info = sys.exc_info()
    vars(made).update(extra)
    return made


HOSTILE = "a\n12:00:00 POST /x 200 end\r\x1b[2J\x9b31m\x85\u2028\u202e\x00\x7f"


@pytest.fixture
def access(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "headrace.access")
    return caplog


# -- the lines of streams


async def test_a_complete_stream_is_one_line(app: Application, access: pytest.LogCaptureFixture) -> None:
    await post(app, "/count", {"to": 3})
    assert re.fullmatch(r"POST /count s_.{6} 200 first \d+ms 3 items \d+\.\d/s 0\.\ds end", access.messages[-1])


async def test_a_line_has_its_values_for_machines(app: Application, access: pytest.LogCaptureFixture) -> None:
    await post(app, "/count", {"to": 3}, x_request_id="r-1")
    fields = access.records[-1].headrace_fields  # type: ignore[attr-defined]
    assert fields.pop("stream_id").startswith("s_")
    assert fields.pop("first_item_ms") <= fields.pop("duration_ms")
    assert fields == {
        "method": "POST",
        "path": "/count",
        "request_id": "r-1",
        "endpoint": "Desk.count",
        "status": 200,
        "items": 3,
        "end": "ok",
    }


async def test_a_stream_that_its_client_left_says_so(
    app: Application, desk: Any, access: pytest.LogCaptureFixture
) -> None:
    call = Call(app, "POST", "/wait", arguments={"first": 2}).start()
    await call.await_text(b"0 1 ")
    call.leave()
    await call.ended()
    assert re.fullmatch(
        r"POST /wait s_.{6} stopped by client after 2 items, 0\.\ds; generator closed in \dms", access.messages[-1]
    )
    assert len(access.messages) == 1


async def test_a_refused_stream_has_its_status_and_code(app: Application, access: pytest.LogCaptureFixture) -> None:
    await post(app, "/count", {"to": "many"})
    assert re.fullmatch(r"POST /count s_.{6} 422 invalid_arguments", access.messages[-1])


async def test_a_status_that_tells_no_failure_is_logged_as_it_was_sent(
    app: Application, errors: Any, access: pytest.LogCaptureFixture
) -> None:
    errors["strange"] = type("Strange", (StreamError,), {"status": 200})("odd")
    assert (await post(app, "/fail", {"error": "strange"})).status == 500
    assert " 500 0 items " in access.messages[-1]


async def test_the_query_is_in_no_line(app: Application, access: pytest.LogCaptureFixture) -> None:
    await ask(app, "GET", "/count?to=1&token=s3cret")
    await ask(app, "GET", "/count?to=1")
    assert "s3cret" not in access.text
    assert "?" not in access.text
    assert "s3cret" not in str([vars(each) for each in access.records])


async def test_a_path_and_a_method_cannot_forge(app: Application, access: pytest.LogCaptureFixture) -> None:
    await ask(app, "GET\x1b[2J", "/\n12:00:00 POST /x 200 end\x9b")
    assert access.messages == [r"GET\x1b[2J /\n12:00:00 POST /x 200 end\x9b 404 not_found"]
    await ask(app, "GET", "/" + "x" * 60_000)
    assert len(access.messages[-1]) < 300
    assert len(str(access.records[-1].headrace_fields)) < 500  # type: ignore[attr-defined]


async def test_an_error_of_the_user_s_cannot_forge(
    app: Application, errors: Any, access: pytest.LogCaptureFixture
) -> None:
    errors["mine"] = type("Mine", (StreamError,), {"code": "my\ncode"})(HOSTILE)
    await post(app, "/fail", {"error": "mine"})
    assert access.messages[-1].isprintable()
    assert r" my\ncode: a\n12:00:00 POST" in access.messages[-1]


# -- formatters


def test_text_that_is_shown_is_on_one_line_and_bounded() -> None:
    assert shown(HOSTILE) == (r"a\n12:00:00 POST /x 200 end\r\x1b[2J\x9b31m\x85\u2028\u202e\x00\x7f")
    assert shown("\ud800") == r"\ud800"
    assert shown("\u00e9 \u2615") == "\u00e9 \u2615"
    assert shown("a" * 300 + "b" * 300) == "a" * 100 + " ... " + "b" * 100


def test_text_lines_of_others_have_their_level_and_name() -> None:
    line = TextFormatter().format(record("hello"))
    assert re.fullmatch(r"\d\d:\d\d:\d\d ERROR user\.code: hello", line)


def test_text_lines_of_streams_have_neither() -> None:
    line = TextFormatter().format(record("POST /x 200", headrace_fields={}))
    assert re.fullmatch(r"\d\d:\d\d:\d\d POST /x 200", line)


def test_no_message_begins_a_line_of_its_own_or_moves_the_cursor() -> None:
    line = TextFormatter().format(record(HOSTILE))
    assert line.isprintable()


def test_a_traceback_is_indented_and_escaped() -> None:
    text = TextFormatter().format(record("failed", ValueError(HOSTILE)))
    first, *others = text.split("\n")
    assert first.endswith("ERROR user.code: failed")
    assert others[0] == "  Traceback (most recent call last):"
    assert all(line.startswith("  ") and line.isprintable() for line in others)
    assert "  12:00:00 POST /x 200 end" in others


def test_a_traceback_of_a_huge_exception_is_bounded() -> None:
    error = ValueError("x" * 1_000_000)
    assert len(TextFormatter().format(record("y" * 1_000_000, error))) < 20_000
    assert len(JsonFormatter().format(record("y" * 1_000_000, error))) < 20_000


def test_an_exception_that_cannot_be_printed_is_survived() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "Silent: <exception str() failed>" in TextFormatter().format(record("failed", Silent()))


def test_json_lines_are_ascii_on_one_line() -> None:
    line = JsonFormatter().format(record(HOSTILE, ValueError(HOSTILE), headrace_fields={"path": HOSTILE}))
    assert line.isascii()
    assert line.isprintable()
    document = json.loads(line)
    assert (document["message"], document["path"], document["level"]) == (HOSTILE, HOSTILE, "error")
    assert HOSTILE in document["traceback"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", document["time"])


def test_json_carries_values_that_are_no_json_as_text() -> None:
    line = JsonFormatter().format(record("m", headrace_fields={"end": {1, 2}}))
    assert json.loads(line)["end"] == "{1, 2}"


# -- credentials


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer s3cret",
        "authorization: Basic s3cret==",
        "Proxy-Authorization=Digest username=a, response=s3cret",
        "{'authorization': 'Bearer s3cret', 'host': 'x'}",
        "[(b'authorization', b'Bearer s3cret'), (b'host', b'x')]",
        "Cookie: a=1; sid=s3cret",
        "Set-Cookie: sid=s3cret; Path=/; HttpOnly",
        "[(b'set-cookie', b'sid=s3cret; Path=/')]",
        "X-API-Key: s3cret",
        "api-key: s3cret",
        "[(b'api-key', b's3cret'), (b'host', b'x')]",
        "HEADRACE_API_KEY=s3cret headrace run",
        'api_key="two words s3cret"',
        "password = 's3cret'",
        "db_passwd:s3cret",
        "token: 4711s3cret",
        "HF_TOKEN=s3cret",
        '{"client_secret": "s3cret", "a": 1}',
        r'the body was "{\"api_key\": \"s3cret\"}"',
        '{"secretKey" : "a\\"s3cret"}',
        "Settings(api_key=('s3cret',))",
        "cookies={'a': '1', 'sid': 's3cret'}",
        "credentials=s3cret)",
        "it was called with Bearer s3cret.abc/+=",
        "GET https://user:s3cret@example.org/x",
        "HTTP Request: GET https://example.org/x?q=s3cret&b=1 200",
    ],
)
def test_a_credential_is_in_no_message_and_in_no_traceback(text: str) -> None:
    for formatter in (TextFormatter(), JsonFormatter()):
        line = formatter.format(record(text, ValueError(text), headrace_fields={"path": text}))
        assert "s3cret" not in line
        assert line.count("[redacted]") >= 2


@pytest.mark.parametrize(
    "text",
    [
        "POST /tokens s_abcdef 200 first 84ms 128 items 61.2/s 2.1s end",
        "KeyError: 'model'",
        "InvalidTokenError: it has expired",
        "Generation(max_tokens=128, prompt_tokens: 7)",
        "key",
        "the keyboard is on the table",
        "see https://example.org/a/b",
    ],
)
def test_what_is_no_credential_stays(text: str) -> None:
    assert redacted(text) == text


def test_what_stands_beside_a_credential_stays() -> None:
    assert redacted('{"api_key": "s3cret", "model": "tiny"}') == '{"api_key": [redacted], "model": "tiny"}'
    assert redacted("a=1&api_key=s3cret&b=2") == "a=1&api_key=[redacted]&b=2"


def test_a_credential_that_the_bound_cuts_in_two_is_redacted_first() -> None:
    text = "x" * (TEXT_CHARACTERS - 10) + " api_key=" + "s3cret" * TEXT_CHARACTERS
    assert "s3cret" not in TextFormatter().format(record(text, ValueError(text)))
    assert "s3cret" not in JsonFormatter().format(record(text, ValueError(text)))


async def test_a_credential_in_an_error_of_the_user_s_is_not_in_the_line_of_the_stream(
    app: Application, errors: Any, access: pytest.LogCaptureFixture
) -> None:
    errors["mine"] = type("Mine", (StreamError,), {})("api_key=" + "s3cret" * 100)
    await post(app, "/fail", {"error": "mine"})
    assert "s3cret" not in access.messages[-1]


@pytest.mark.parametrize(
    "piece", ["a", "key", "key=\\", "key'", "://", "bearer ", "token=x", "cookie: ", "://a?", "\\"]
)
def test_no_text_takes_long(piece: str) -> None:
    text = "key" + piece * (200_000 // len(piece))
    started = time.process_time()
    redacted(text)
    assert time.process_time() - started < 1.0


def test_the_time_of_a_line_is_that_of_its_record() -> None:
    at = time.mktime((2026, 11, 20, 12, 1, 7, 0, 0, -1))
    assert TextFormatter().format(record("a", created=at)).startswith("12:01:07 ")
    assert TextFormatter().format(record("a", created=at + 0.999)).startswith("12:01:07 ")
    assert TextFormatter().format(record("a", created=at + 1)).startswith("12:01:08 ")


async def test_a_line_goes_through_the_filters_and_the_record_factory_of_logging(
    app: Application, access: pytest.LogCaptureFixture
) -> None:
    factory = logging.getLogRecordFactory()

    def traced(*args: Any, **kwargs: Any) -> logging.LogRecord:
        made = factory(*args, **kwargs)
        vars(made)["trace"] = "t-1"
        return made

    def drop(record: logging.LogRecord) -> bool:
        return "/length" not in record.getMessage()

    logger = logging.getLogger("headrace.access")
    logging.setLogRecordFactory(traced)
    logger.addFilter(drop)
    try:
        await post(app, "/count", {"to": 1})
        await ask(app, "POST", "/length", pieces=[b"a"], headers={"content-type": "application/octet-stream"})
    finally:
        logger.removeFilter(drop)
        logging.setLogRecordFactory(factory)
    (line,) = access.records
    assert (line.trace, line.name, line.levelname) == ("t-1", "headrace.access", "INFO")  # type: ignore[attr-defined]
    assert line.pathname.endswith("log.py")


async def test_a_log_that_is_too_high_for_lines_has_none(app: Application, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "headrace.access")
    await post(app, "/count", {"to": 1})
    await post(app, "/nowhere", {})
    assert caplog.records == []
