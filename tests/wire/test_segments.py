import numpy as np
import pytest

from headrace.errors import InvalidItem, WireError
from headrace.wire.segments import Segments, split_payload

PAYLOAD = (
    b"\x00\x00\x00\x02\x00\x00\x00\x08\x00\x00\x00\x03\x00\x00\x00\x02"  # two parts, 8 bytes of JSON, 3 and 2 bytes
    b"[0,1]   "
    b"abc\x00\x00\x00\x00\x00"
    b"de"
)


def written(*parts: bytes) -> Segments:
    segments = Segments()
    for part in parts:
        add(segments, part)
    return segments


def add(segments: Segments, part: bytes) -> int:
    view = memoryview(part)
    return segments.add(view, view)


def test_parts_are_numbered_in_the_order_they_come() -> None:
    segments = Segments()
    assert [add(segments, part) for part in (b"a", b"b")] == [0, 1]
    assert [bytes(segments.take(number)) for number in (1, 0, 1)] == [b"b", b"a", b"b"]


def test_a_payload_has_the_json_and_the_parts_at_multiples_of_eight() -> None:
    assert written(b"abc", b"de").join(b"[0,1]") == PAYLOAD


def test_a_payload_without_parts_is_the_json() -> None:
    assert Segments().join(b"[]") == b"[]"


def test_a_payload_comes_apart_as_it_was_made() -> None:
    head, segments = split_payload(PAYLOAD)
    assert head == b"[0,1]   "
    assert [bytes(segments.take(number)) for number in (0, 1)] == [b"abc", b"de"]


def test_json_alone_has_no_parts() -> None:
    head, segments = split_payload(b'{"a":1}')
    assert (head, segments.unused) == (b'{"a":1}', [])


def test_parts_are_views_of_the_payload() -> None:
    payload = b"\x00\x00\x00\x01\x00\x00\x00\x04\x00\x00\x00\x03null123"
    assert split_payload(payload)[1].take(0).obj is payload


def test_what_nobody_took_is_unused() -> None:
    segments = written(b"a", b"b", b"c")
    segments.take(1)
    assert segments.unused == [0, 2]


@pytest.mark.parametrize("number", [-1, 1, 2**70])
def test_there_is_no_other_part(number: int) -> None:
    with pytest.raises(LookupError):
        written(b"a").take(number)


def test_an_owner_that_comes_again_has_the_same_part() -> None:
    segments, one, two = Segments(), object(), object()
    assert [segments.add(memoryview(b"a"), owner) for owner in (one, two, one, two)] == [0, 1, 0, 1]
    assert segments.unused == [0, 1]


def test_more_parts_than_a_payload_can_tell_are_refused() -> None:
    assert written(*[b""] * 65535).join(b"1").startswith(b"\x00\x00\xff\xff")
    with pytest.raises(InvalidItem, match="65536 arrays in one value, which carries at most 65535: stack them"):
        written(*[b""] * 65536).join(b"1")


def test_a_part_that_is_too_long_for_its_size_is_refused() -> None:
    segments = Segments()
    array = np.broadcast_to(np.uint8(0), 2**32)  # takes one byte of memory
    segments.add(memoryview(array), array)
    with pytest.raises(InvalidItem, match="an array of 4 GiB or more: split it"):
        segments.join(b"null    ")


@pytest.mark.parametrize("size", range(1, len(PAYLOAD)))
def test_a_payload_that_is_cut_is_malformed(size: int) -> None:
    with pytest.raises(WireError, match="a payload"):
        split_payload(PAYLOAD[:size])


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"\x00\x00\x00", "a payload with arrays that ends after 3 bytes, inside its first 8"),
        (b"\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00", "not JSON with arrays: version 1, 1 parts"),
        (b"\x00\x00\x00\x00\x00\x00\x00\x02[]", "not JSON with arrays: version 0, 0 parts"),
        (b"\x00\x00\x00\x01\xff\xff\xff\xff\x00\x00\x00\x00", "not JSON with arrays: version 0, 1 parts"),
        (PAYLOAD + b"\x00", "a payload of 35 bytes whose JSON and arrays are said to have 34"),
        (
            b"\x00\x00\x00\x01\x00\x00\x00\x04\xff\xff\xff\xffnull",
            "a payload of 16 bytes whose JSON and arrays are said to have 4294967311",
        ),
    ],
)
def test_a_payload_whose_sizes_do_not_fit_is_malformed(payload: bytes, message: str) -> None:
    with pytest.raises(WireError) as caught:
        split_payload(payload)
    assert message in str(caught.value)
