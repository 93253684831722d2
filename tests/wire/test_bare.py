import pytest

from headrace.errors import InvalidItem
from headrace.wire.bare import BareEncoder
from headrace.wire.events import End, Failure
from headrace.wire.stream_types import stream_types


def test_nothing_but_items_is_carried() -> None:
    encoder = BareEncoder(stream_types(str, header_type=int, footer_type=int))
    assert (encoder.header(1), encoder.footer(2), encoder.end(End(0)), encoder.failure(Failure("x", ""))) == (b"",) * 4
    assert (encoder.heartbeat, encoder.in_band) == (b"", False)


def test_header_and_footer_are_checked_all_the_same() -> None:
    encoder = BareEncoder(stream_types(str, header_type=int, footer_type=int))
    with pytest.raises(InvalidItem, match="str, expected int"):
        encoder.header("a")
    with pytest.raises(InvalidItem, match="str, expected int"):
        encoder.footer("a")


def test_header_and_footer_must_be_declared() -> None:
    encoder = BareEncoder(stream_types(str))
    with pytest.raises(InvalidItem, match="a header in a stream that declares none"):
        encoder.header(1)
    with pytest.raises(InvalidItem, match="a footer in a stream that declares none"):
        encoder.footer(1)
