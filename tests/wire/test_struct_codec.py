import math
from typing import Any

import msgspec
import pytest

from headrace.errors import InvalidItem, WireError
from headrace.wire.struct_codec import StructCodec


class Token(msgspec.Struct):
    text: str
    score: float | None = None


class Other(msgspec.Struct):
    text: str


class Odd(msgspec.Struct):
    value: object


def test_a_struct_is_written_and_read_back() -> None:
    codec = StructCodec(Token)
    assert codec.dumps(Token("a\u2028")) == b'{"text":"a\\u2028","score":null}'
    assert codec.loads(b'{"text":"a\\u2028","score":null}') == Token("a\u2028")
    assert codec.check(Token("a")) == Token("a")


def test_a_dict_becomes_the_struct_it_stands_for() -> None:
    assert StructCodec(Token).check({"text": "a"}) == Token("a")
    assert StructCodec(list[Token]).dumps([{"text": "a", "score": 1.5}]) == b'[{"text":"a","score":1.5}]'


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "^dict, expected Token: object missing required field text$"),
        ({"text": 5}, r"^dict, expected Token: expected str, got int - at \$.text$"),
        (Token(5), r"^Token, expected Token: expected str, got int - at \$.text$"),  # type: ignore[arg-type]
        (Other("a"), "^Other, expected Token: "),
        ("a", "^str, expected Token: expected object, got str$"),
        (Token("\ud800"), "a lone surrogate cannot be written as UTF-8$"),
        (Token("a", math.nan), "NaN and Infinity are not JSON$"),
        (Token("a", -math.inf), "NaN and Infinity are not JSON$"),
    ],
)
def test_what_is_not_of_the_type_is_refused(value: Any, message: str) -> None:
    with pytest.raises(InvalidItem, match=message):
        StructCodec(Token).dumps(value)
    with pytest.raises(InvalidItem, match=message):
        StructCodec(Token).check(value)


def test_what_msgspec_cannot_write_is_refused() -> None:
    with pytest.raises(InvalidItem, match="object is unsupported"):
        StructCodec(Odd).dumps(Odd(object()))


def test_what_is_nested_too_deeply_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidItem, match=r"nested too deeply$"):
        StructCodec(Odd).dumps(Odd(deep))


@pytest.mark.parametrize("data", [b'{"text":', b"", b'{"text":"\xff"}', b'{"text":"a","score":NaN}'])
def test_what_is_no_json_is_malformed(data: bytes) -> None:
    with pytest.raises(WireError, match=r"^not JSON: "):
        StructCodec(Token).loads(data)


def test_json_of_another_type_is_refused() -> None:
    with pytest.raises(InvalidItem, match=r"^JSON that is not of type Token: expected str, got int - at \$.text$"):
        StructCodec(Token).loads(b'{"text":5}')


def test_the_schema_names_the_fields() -> None:
    assert list(StructCodec(Token).schema()["$defs"]["Token"]["properties"]) == ["text", "score"]
