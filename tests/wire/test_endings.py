import pytest

from headrace.errors import WireError
from headrace.wire.endings import end_json, failure_json, read_end, read_failure, read_object
from headrace.wire.events import End, Failure


def test_times_that_nobody_measured_are_left_out() -> None:
    assert end_json(End(3)) == b'{"items":3}'
    assert end_json(End(3, duration_ms=1.0)) == b'{"items":3,"duration_ms":1.0}'


def test_times_have_three_decimals() -> None:
    assert end_json(End(0, 0.12349, 12345.6789)) == b'{"items":0,"first_item_ms":0.123,"duration_ms":12345.679}'


def test_a_failure_has_all_its_members() -> None:
    assert failure_json(Failure("x", "m")) == (
        b'{"code":"x","message":"m","retryable":false,"stream_id":"","items_sent":0}'
    )


def test_a_failure_with_half_a_surrogate_pair_still_arrives() -> None:
    assert failure_json(Failure("x", "a\ud800", True, "s", 5)) == (
        b'{"code":"x","message":"a?","retryable":true,"stream_id":"s","items_sent":5}'
    )


def test_endings_read_back() -> None:
    end, failure = End(3, 1.5, 2.5), Failure("x", "m\u2028", True, "s", 4)
    assert read_end(end_json(end)) == end
    assert read_failure(failure_json(failure)) == failure


def test_unknown_members_are_passed_over() -> None:
    assert read_end(b'{"items":1,"tokens":[2]}') == End(1)
    assert read_failure(b'{"code":"x","type":"y"}') == Failure("x", "")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "not JSON"),
        (b"[]", "list for the end, expected an object"),
        (b"{}", 'nothing for "items" of the end, expected int'),
        (b'{"items":true}', 'bool for "items" of the end, expected int'),
        (b'{"items":1.0}', 'float for "items"'),
        (b'{"items":1,"first_item_ms":true}', 'bool for "first_item_ms" of the end, expected a number'),
        (b'{"items":1,"duration_ms":"1"}', 'str for "duration_ms" of the end, expected a number'),
        (b'{"items":1,"duration_ms":NaN}', "not JSON"),
    ],
)
def test_an_end_that_makes_no_sense_is_malformed(data: bytes, message: str) -> None:
    with pytest.raises(WireError, match=message):
        read_end(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"5", "int for the error, expected an object"),
        (b"{}", 'nothing for "code" of the error, expected str'),
        (b'{"code":5}', 'int for "code"'),
        (b'{"code":"x","message":5}', 'int for "message"'),
        (b'{"code":"x","retryable":1}', 'int for "retryable" of the error, expected bool'),
        (b'{"code":"x","stream_id":1}', 'int for "stream_id"'),
        (b'{"code":"x","items_sent":"1"}', 'str for "items_sent"'),
    ],
)
def test_a_failure_that_makes_no_sense_is_malformed(data: bytes, message: str) -> None:
    with pytest.raises(WireError, match=message):
        read_failure(data)


def test_an_object_is_read_as_its_members() -> None:
    assert read_object(b'{"a":[1]}', "thing") == {"a": [1]}
