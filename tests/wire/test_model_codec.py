import dataclasses
import datetime
import math
from collections import deque
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from headrace.errors import InvalidItem, WireError
from headrace.wire.model_codec import ModelCodec


class Token(BaseModel):
    text: str
    score: float | None = None


class Other(BaseModel):
    text: str


class Tokens(BaseModel):
    ids: list[int]


class Aliased(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    text: str = Field(alias="textValue")


class Loud(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="constants")
    score: float


@dataclasses.dataclass
class Row:
    name: str
    value: float = 0.0
    token: Token | None = None


class Usage(TypedDict):
    tokens: int


NAN = math.nan


@pytest.mark.parametrize(
    ("annotation", "value", "data"),
    [
        (Token, Token(text="a", score=1.5), b'{"text":"a","score":1.5}'),
        (Token, Token(text="NaN Infinity null"), b'{"text":"NaN Infinity null","score":null}'),
        (Token | int, 5, b"5"),
        (Row, Row("a", token=Token(text="b", score=1)), b'{"name":"a","value":0.0,"token":{"text":"b","score":1.0}}'),
        (Usage, {"tokens": 3}, b'{"tokens":3}'),
        (dict, {"a": [1, {"b": None}]}, b'{"a":[1,{"b":null}]}'),
        (list[int], [1, 2], b"[1,2]"),
        (int, 10**30, b"1000000000000000000000000000000"),
        (float, -0.5, b"-0.5"),
        (bool, True, b"true"),
        (None, None, b"null"),
        (Literal["a"], "a", b'"a"'),
        (datetime.date, datetime.date(2026, 11, 5), b'"2026-11-05"'),
        (tuple[int, str], (1, "a"), b'[1,"a"]'),
        (Any, {"a": "\u2028"}, b'{"a":"\\u2028"}'),
        (Aliased, Aliased(text="a"), b'{"textValue":"a"}'),
    ],
)
def test_a_value_is_written_and_read_back(annotation: Any, value: Any, data: bytes) -> None:
    codec = ModelCodec(annotation)
    assert codec.dumps(value) == data
    assert codec.loads(data) == value
    assert codec.check(value) == value


@pytest.mark.parametrize(
    ("annotation", "value", "made"),
    [
        (Token, {"text": "a"}, Token(text="a")),
        (Row, {"name": "a", "token": {"text": "b"}}, Row("a", token=Token(text="b"))),
        (list[Row], [{"name": "a"}, Row("b")], [Row("a"), Row("b")]),
        (list[int], (1, 2), [1, 2]),
    ],
)
def test_a_dict_becomes_the_model_it_stands_for(annotation: Any, value: Any, made: Any) -> None:
    assert ModelCodec(annotation).check(value) == made
    assert ModelCodec(annotation).dumps(value) == ModelCodec(annotation).dumps(made)


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (Token, {}, '^dict, expected Token: field "text" missing$'),
        (Token, {"text": 5}, '^dict, expected Token: field "text": input should be a valid string$'),
        (Token, {"text": 5, "score": "a"}, r"\(and 1 more\)$"),
        (Token, Other(text="a"), "^Other, expected Token: "),
        (Token, "secret", "^str, expected Token: input should be a valid dictionary or instance of Token$"),
        (Row, Row(5), '^Row, expected Row: field "name": input should be a valid string$'),  # type: ignore[arg-type]
        (Row, {"token": {}, "name": "a"}, 'field "token.text" missing'),
        (Token, Token.model_construct(text=5), '^Token, expected Token: field "text": '),
        (Usage, {"tokens": "a"}, 'field "tokens": '),
        (int, "5", "^str, expected int: input should be a valid integer$"),
        (int, True, "^bool, expected int: "),
        (str | None, 5, "^int, expected str | None: "),
        (Annotated[int, Field(ge=0)], -1, "greater than or equal to 0"),
        (list[int], ["a"], 'field "0": '),
        (Any, object(), "^object, expected Any: Unable to serialize unknown type"),
        (Any, b"\xff", "invalid utf-8"),
    ],
)
def test_what_is_not_of_the_type_is_refused(annotation: Any, value: Any, message: str) -> None:
    codec = ModelCodec(annotation)
    with pytest.raises(InvalidItem, match=message):
        codec.dumps(value)
    with pytest.raises(InvalidItem, match=message):
        codec.check(value)


def test_a_doubt_of_the_serializer_is_settled_by_reading_back() -> None:
    assert ModelCodec(Tokens).dumps(Tokens.model_construct(ids=(1, 2))) == b'{"ids":[1,2]}'
    with pytest.raises(InvalidItem, match=r'field "ids.1": input should be a valid integer'):
        ModelCodec(Tokens).dumps(Tokens.model_construct(ids=(1, "a")))


def test_the_refused_value_is_not_in_the_message() -> None:
    with pytest.raises(InvalidItem) as caught:
        ModelCodec(Row).dumps(Row({"password": "hunter2"}))  # type: ignore[arg-type]
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("number", [NAN, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("annotation", "wrap"),
    [
        (float, lambda number: number),
        (Any, lambda number: number),
        (Any, lambda number: {"a": [{"b": number}]}),
        (Any, lambda number: [Token(text="a", score=number)]),
        (Any, lambda number: (Row("a", number),)),
        (Any, lambda number: {number}),
        (Any, lambda number: deque([number])),
        (dict, lambda number: {"a": {1: number}}),
        (dict[str, float], lambda number: {"a": number}),
        (list[float], lambda number: [1.0, number]),
        (Token, lambda number: Token(text="a", score=number)),
        (Token, lambda number: {"text": "a", "score": number}),
        (Row, lambda number: Row("a", number)),
        (Row, lambda number: Row("a", token=Token(text="b", score=number))),
        (Loud, lambda number: Loud(score=number)),
    ],
)
def test_nan_and_infinity_are_refused_wherever_they_are(annotation: Any, wrap: Any, number: float) -> None:
    with pytest.raises(InvalidItem, match=r"NaN and Infinity are not JSON$"):
        ModelCodec(annotation).dumps(wrap(number))


@pytest.mark.parametrize(
    ("annotation", "value"),
    [(Token, Token(text="\ud800")), (Any, {"a": ["\udfff"]}), (dict, {"\ud800": 1}), (Row, Row("\ud800"))],
)
def test_a_lone_surrogate_is_refused(annotation: Any, value: Any) -> None:
    with pytest.raises(InvalidItem, match=r"a lone surrogate cannot be written as UTF-8$"):
        ModelCodec(annotation).dumps(value)


def test_a_circle_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(InvalidItem, match=r"^list, expected Any: Circular reference"):
        ModelCodec(Any).dumps(circle)


def test_what_is_nested_too_deeply_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidItem, match="depth"):
        ModelCodec(Any).dumps(deep)


@pytest.mark.parametrize(
    ("annotation", "data"),
    [
        (Token, b'{"text":'),
        (Token, b""),
        (Token, b'{"text":"\xff"}'),
        (Token, b'{"text":"\\ud800"}'),
        (Token, b'{"text":"a","score":NaN}'),
        (float, b"Infinity"),
        (Any, b"[-Infinity]"),
        (int, b"1 2"),
    ],
)
def test_what_is_no_json_is_malformed(annotation: Any, data: bytes) -> None:
    with pytest.raises(WireError, match=r"^not JSON: "):
        ModelCodec(annotation).loads(data)


def test_the_words_nan_and_infinity_in_a_text_are_read() -> None:
    assert ModelCodec(list[str]).loads(b'["NaN","Infinity"]') == ["NaN", "Infinity"]


@pytest.mark.parametrize(
    ("annotation", "data", "message"),
    [
        (Token, b"[]", "^JSON that is not of type Token: input should be an object$"),
        (Token, b'{"text":5}', 'field "text": input should be a valid string'),
        (int, b'"5"', "not of type int"),
        (Row, b"{}", 'field "name" missing'),
    ],
)
def test_json_of_another_type_is_refused(annotation: Any, data: bytes, message: str) -> None:
    with pytest.raises(InvalidItem, match=message):
        ModelCodec(annotation).loads(data)


class Unknown:
    pass


@pytest.mark.parametrize("annotation", [Unknown, list[Unknown], 5, Annotated[str, Field(pattern="(")]])
def test_a_type_without_a_schema_is_refused(annotation: Any) -> None:
    with pytest.raises(TypeError, match="cannot be sent: pydantic has no schema for it"):
        ModelCodec(annotation)


def test_the_schema_is_of_what_is_written() -> None:
    assert ModelCodec(Aliased).schema() == {
        "title": "Aliased",
        "type": "object",
        "properties": {"textValue": {"title": "Textvalue", "type": "string"}},
        "required": ["textValue"],
    }
