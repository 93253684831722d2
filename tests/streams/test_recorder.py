from collections.abc import Iterator
from typing import Any

import pytest

from headrace.errors import Cancelled, InvalidItem, MissingFooter, MissingHeader, OutOfOrder
from headrace.streams.recorder import Recorder
from headrace.wire.events import End, Failure, Footer, Header, Order


def ticks() -> Iterator[float]:
    yield from (10.0, 11.0, 12.0)


def test_values_become_records_and_items_are_counted(plain: Any) -> None:
    recorder = Recorder(plain(), Order(header=True, footer=True))
    records = [recorder.record(value) for value in (Header("h"), "a", "b", Footer("f"))]
    assert records == [b"<h>", b"a;", b"b;", b"</f>"]
    assert recorder.items == 2


def test_the_time_of_the_first_item_is_kept_and_no_later_one(plain: Any) -> None:
    recorder = Recorder(plain(), Order(header=True), ticks().__next__)
    recorder.record(Header("h"))
    assert recorder.first_item_at is None
    recorder.record("a")
    recorder.record("b")
    assert recorder.first_item_at == 10.0


def test_a_first_item_that_cannot_be_encoded_was_none(plain: Any) -> None:
    recorder = Recorder(plain(), Order())
    with pytest.raises(InvalidItem, match="item 1 is bad"):
        recorder.record("bad")
    assert (recorder.items, recorder.first_item_at) == (0, None)


def test_an_invalid_item_is_named_by_its_place(plain: Any) -> None:
    recorder = Recorder(plain(), Order())
    recorder.record("a")
    with pytest.raises(InvalidItem, match="item 2 is bad"):
        recorder.record("bad")
    assert recorder.items == 1


def test_an_item_after_the_footer_is_out_of_order(plain: Any) -> None:
    recorder = Recorder(plain(), Order(footer=True))
    recorder.record("a")
    recorder.record(Footer("f"))
    with pytest.raises(OutOfOrder):
        recorder.record("b")
    assert recorder.items == 1


def test_a_declared_header_must_come_first(plain: Any) -> None:
    with pytest.raises(MissingHeader):
        Recorder(plain(), Order(header=True)).record("a")


def test_completion_checks_that_the_footer_came(plain: Any) -> None:
    with pytest.raises(MissingFooter):
        Recorder(plain(), Order(footer=True)).complete()


@pytest.mark.parametrize("value", ["a", Header("h"), Footer("f")])
def test_after_stop_every_value_is_refused(plain: Any, value: Any) -> None:
    recorder = Recorder(plain(), Order(header=True, footer=True))
    recorder.stop()
    with pytest.raises(Cancelled):
        recorder.record(value)
    assert recorder.items == 0


@pytest.mark.parametrize(
    ("values", "sent", "items"),
    [
        pytest.param([Header("h"), "a", "b", Footer("f")], 4, 2, id="all of it"),
        pytest.param([Header("h"), "a", "b", Footer("f")], 3, 2, id="all but the footer"),
        pytest.param([Header("h"), "a", "b"], 2, 1, id="one item less"),
        pytest.param([Header("h"), "a"], 1, 0, id="the header only"),
        pytest.param([Header("h"), "a"], 0, 0, id="nothing"),
        pytest.param(["a", "b", Footer("f")], 1, 1, id="without a header"),
    ],
)  # fmt: skip
def test_only_items_among_the_records_that_were_sent_count(
    plain: Any, values: list[Any], sent: int, items: int
) -> None:
    recorder = Recorder(plain(), Order(header=isinstance(values[0], Header), footer=True))
    for value in values:
        recorder.record(value)
    recorder.forget(sent)
    assert recorder.items == items


def test_the_ending_is_the_encoders(plain: Any) -> None:
    recorder = Recorder(plain(), Order())
    assert recorder.ending(End(items=3)) == b"[end 3]"
    assert recorder.ending(Failure("internal", "no", items_sent=3)) == b"[internal 3]"
    assert (recorder.in_band, recorder.heartbeat) == (True, b"~")


def test_another_encoder_can_be_taken_before_the_first_value(plain: Any) -> None:
    first, second = plain(), plain()
    first.item = second.header
    recorder = Recorder(first, Order())
    recorder.encode_with(second)
    assert (recorder.record("a"), recorder.in_band, recorder.heartbeat) == (b"a;", True, b"~")
    with pytest.raises(AssertionError, match="values were recorded"):
        recorder.encode_with(first)


def test_another_encoder_does_not_start_what_was_stopped(plain: Any) -> None:
    recorder = Recorder(plain(), Order())
    recorder.stop()
    recorder.encode_with(plain())
    with pytest.raises(Cancelled):
        recorder.record("a")
