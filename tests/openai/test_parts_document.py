import pytest

from headrace.engines.events import Finish, TextDelta
from headrace.errors import InvalidItem, StreamTruncated
from headrace.openai.parts import Parts
from headrace.openai.parts_document import PartsDocument
from headrace.wire.events import End, Failure


def texts(parts: Parts) -> dict[str, object]:
    return {"reason": parts.finish().reason, "texts": [part.text for part in parts.all]}


def test_the_document_comes_at_the_end_on_one_line() -> None:
    document = PartsDocument(texts)
    pieces = [document.item(TextDelta("a\u2028")), document.item(Finish("stop")), document.end(End(2))]
    assert pieces == [b"", b"", b'{"reason":"stop","texts":["a\\u2028"]}']


def test_an_answer_that_is_not_finished_has_no_document() -> None:
    document = PartsDocument(texts)
    document.item(TextDelta("a"))
    with pytest.raises(StreamTruncated):
        document.end(End(1))


def test_an_event_that_must_not_come_is_an_error() -> None:
    with pytest.raises(InvalidItem):
        PartsDocument(texts).item(TextDelta("a", 1))


def test_a_failure_is_never_in_band() -> None:
    document = PartsDocument(texts)
    told = (document.header(1), document.footer(1), document.failure(Failure("x", "")), document.heartbeat)
    assert told == (b"", b"", b"", b"")
    assert not document.in_band
