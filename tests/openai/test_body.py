from typing import Annotated, Any

import pytest
from pydantic import Field

from headrace.errors import InvalidArguments, MalformedBody
from headrace.openai.body import Body, parameter, read_body, wrong


class Inner(Body):
    size: Annotated[int, Field(ge=1)]


class Asked(Body):
    model: str
    rate: float = 1.0
    parts: list[Inner] | None = None


def test_a_body_becomes_the_object() -> None:
    assert read_body(Asked, b'{"model": "m", "rate": 1, "parts": [{"size": 2}]}') == Asked(
        model="m", rate=1.0, parts=[Inner(size=2)]
    )


def test_unknown_members_are_passed_over() -> None:
    assert read_body(Asked, b'{"model": "m", "service_tier": "auto", "store": {"a": [1]}}') == Asked(model="m")


def test_what_the_path_tells_counts() -> None:
    assert read_body(Asked, b'{"model": "of the body"}', {"model": "of the path"}).model == "of the path"


@pytest.mark.parametrize("data", [b"{", b"nope", b'{"model": "m"} x', b"\xff", b'{"model": "\\ud800"}'])
def test_what_is_no_json_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedBody, match="the body is not JSON"):
        read_body(Asked, data)


@pytest.mark.parametrize(
    ("data", "message", "pointer"),
    [
        (b"[]", "the body is JSON of type list; send an object", ""),
        (b"", "model: Field required", "/model"),
        (b"{}", "model: Field required", "/model"),
        (b'{"model": 3}', "model: Input should be a valid string", "/model"),
        (b'{"model": "m", "rate": "1"}', "rate: Input should be a valid number", "/rate"),
        (b'{"model": "m", "rate": true}', "rate: Input should be a valid number", "/rate"),
        (b'{"model": "m", "rate": 1e999}', "rate: Input should be a finite number", "/rate"),
        (b'{"model": "m", "parts": [{"size": 1}, {}]}', "parts[1].size: Field required", "/parts/1/size"),
        (
            b'{"model": 3, "rate": "1"}',
            "model: Input should be a valid string (and 1 more)",
            "/model",
        ),
    ],
)
def test_what_does_not_fit_is_named(data: bytes, message: str, pointer: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        read_body(Asked, data)
    assert caught.value.message == message
    assert caught.value.errors[0]["pointer"] == pointer


def test_a_million_wrong_values_make_a_short_refusal() -> None:
    with pytest.raises(InvalidArguments) as caught:
        read_body(Asked, b'{"model": "m", "parts": [' + b",".join([b"0"] * 100_000) + b"]}")
    assert len(caught.value.message) < 200


@pytest.mark.parametrize("item", [b"0", b'"a"', b"{}", b"[1,2]"])
def test_a_million_values_are_refused_before_they_are_read(item: bytes) -> None:
    with pytest.raises(InvalidArguments, match="the body has more than 262144 values; send fewer prompts") as caught:
        read_body(Asked, b'{"model": "m", "unknown": [' + b",".join([item] * 1_000_000) + b"]}")
    assert caught.value.errors[0]["pointer"] == ""


def test_a_text_may_have_as_many_commas_as_it_likes() -> None:
    assert read_body(Asked, b'{"model": "%b"}' % (b"a," * 1_000_000)).model.endswith("a,")


@pytest.mark.parametrize(
    ("pointer", "name"),
    [
        ("", ""),
        ("/model", "model"),
        ("/messages/0/role", "messages[0].role"),
        ("/tools/12/function/parameters", "tools[12].function.parameters"),
        ("/a~1b/c~0d", "a/b.c~d"),
    ],
)
def test_a_pointer_is_told_as_a_path_of_members(pointer: str, name: str) -> None:
    assert parameter(pointer) == name


def test_one_wrong_value_is_a_refusal_of_its_own() -> None:
    error: Any = wrong("/messages/1/name", "too odd", "missing")
    assert error.message == "messages[1].name: too odd"
    assert error.errors == ({"pointer": "/messages/1/name", "detail": "too odd", "type": "missing"},)
