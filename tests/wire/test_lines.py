import pytest

from headrace.errors import RecordTooLarge
from headrace.wire.lines import Lines


def lines_of(pieces: list[bytes], limit: int = 100) -> list[bytes]:
    lines = Lines(limit)
    return [line for piece in pieces for line in lines.read(piece)]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([b""], []),
        ([b"a"], []),
        ([b"a\n"], [b"a"]),
        ([b"a\r"], [b"a"]),
        ([b"a\r\n"], [b"a"]),
        ([b"a\n\r"], [b"a", b""]),
        ([b"a\r\r\n\n"], [b"a", b"", b""]),
        ([b"a\r", b"\n"], [b"a"]),
        ([b"a\r", b"", b"\nb\n"], [b"a", b"b"]),
        ([b"a\r", b"\n", b"\n"], [b"a", b""]),
        ([b"a\r", b"b\n"], [b"a", b"b"]),
        ([b"a\r", b"\n\r", b"\n"], [b"a", b""]),
        ([b"a", b"b", b"c\nd"], [b"abc"]),
        ([b"a\x0b\x0c\x1c\x85b\n"], [b"a\x0b\x0c\x1c\x85b"]),
    ],
)
def test_lines_end_at_lf_cr_and_crlf(pieces: list[bytes], expected: list[bytes]) -> None:
    assert lines_of(pieces) == expected


def test_bytes_that_wait_for_the_end_of_their_line_are_unfinished() -> None:
    lines = Lines(100)
    assert not lines.unfinished
    assert list(lines.read(b"a\nb")) == [b"a"]
    assert lines.unfinished
    assert list(lines.read(b"\n")) == [b"b"]
    assert not lines.unfinished


def test_a_line_at_the_limit_is_taken_and_one_above_is_not() -> None:
    assert lines_of([b"12345\n"], limit=5) == [b"12345"]
    for pieces in ([b"123456\n"], [b"123456"], [b"12345", b"6\n"], [b"12345", b"6"]):
        with pytest.raises(RecordTooLarge, match="a line of 6 bytes or more; the limit is 5"):
            lines_of(pieces, limit=5)


def test_lines_before_one_above_the_limit_come_out() -> None:
    read = Lines(5).read(b"1\n2\n123456\n3\n")
    assert (next(read), next(read)) == (b"1", b"2")
    with pytest.raises(RecordTooLarge):
        next(read)


def test_an_unfinished_line_only_grows_where_it_is() -> None:
    # So that no byte is copied or searched twice, however small the pieces are.
    lines = Lines(1_000_000)
    assert list(lines.read(b"x")) == []
    buffer = lines._unfinished
    for _ in range(10_000):
        assert list(lines.read(b"x")) == []
    assert lines._unfinished is buffer
    assert list(lines.read(b"\n")) == [b"x" * 10_001]
