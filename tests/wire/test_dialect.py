"""The values of the dialect protocol; what servers make of them stands in `tests/server`."""

import pytest
from shouting import Shouting

from headrace.errors import InvalidItem
from headrace.wire.dialect import UNDECIDED, Dialect, Refusal
from headrace.wire.events import End, Failure


def test_an_answer_that_is_not_decided_tells_nothing() -> None:
    encoder = UNDECIDED.encoder
    assert UNDECIDED.gathers
    assert (encoder.in_band, encoder.heartbeat) == (False, b"")
    assert (encoder.end(End(0)), encoder.failure(Failure("busy", "", False, "s_1", 0))) == (b"", b"")
    with pytest.raises(InvalidItem):
        encoder.header("a")


def test_a_refusal_is_json_without_headers_of_its_own() -> None:
    refusal = Refusal(400, b"{}")
    assert (refusal.content_type, refusal.headers) == ("application/json", {})


def test_a_dialect_needs_no_base_class() -> None:
    dialect: Dialect = Shouting()
    assert dialect.read(b'{"say": "rain"}', {}) == {"say": "rain", "whole": False}
