import json

import pytest

from headrace.errors import WireError
from headrace.wire.json_line import escape_line_ends, read_json, write_line


def test_ascii_stays_as_it_is() -> None:
    assert escape_line_ends(b'{"a":"\\n"}') == b'{"a":"\\n"}'


def test_other_characters_stay_as_they_are() -> None:
    assert escape_line_ends('"é€🌊\u2027\u202a"'.encode()) == '"é€🌊\u2027\u202a"'.encode()


@pytest.mark.parametrize(
    ("character", "escaped"),
    [("\u0085", b'"\\u0085"'), ("\u2028", b'"\\u2028"'), ("\u2029", b'"\\u2029"'), ("\\\\\u2028", b'"\\\\\\u2028"')],
)
def test_what_splitlines_takes_for_a_line_end_is_escaped(character: str, escaped: bytes) -> None:
    assert escape_line_ends(f'"{character}"'.encode()) == escaped


def test_every_character_is_on_one_line_and_reads_back() -> None:
    text = "".join(chr(code) for code in range(0x3000))
    line = write_line(text)
    assert len(line.decode().splitlines()) == 1
    assert json.loads(line) == text


def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    assert write_line({"message": "a\ud800b"}) == b'{"message":"a?b"}'


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_line({"a": float("nan")})


def test_any_json_is_read() -> None:
    assert read_json('{"a":[1,null,"é"]}'.encode()) == {"a": [1, None, "é"]}


@pytest.mark.parametrize("data", [b"", b"{", b"NaN", b"[Infinity]", b'"\xff"', b'"\\ud800"', b"1 2"])
def test_what_is_no_json_is_malformed(data: bytes) -> None:
    with pytest.raises(WireError, match=r"^not JSON: "):
        read_json(data)
