import base64
import struct
from typing import Any

import pytest
from pydantic import TypeAdapter

from headrace.engines.engine import Embeddings
from headrace.errors import InvalidArguments
from headrace.openai.body import read_body
from headrace.openai.embeddings import EmbeddingsRequest, in_base64

TWO = Embeddings([[0.5, -2.0], [1.0, 0.1]], 7)


def read(**members: Any) -> EmbeddingsRequest:
    return read_body(EmbeddingsRequest, TypeAdapter(dict[str, Any]).dump_json({"model": "m", "input": "hi", **members}))


def test_one_text_needs_no_list() -> None:
    assert read().input == ["hi"]


def test_several_texts_are_a_list() -> None:
    assert read(input=["a", "b"]).input == ["a", "b"]


def test_the_answer_has_a_vector_for_each_text() -> None:
    assert read().answer(TWO) == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, -2.0]},
            {"object": "embedding", "index": 1, "embedding": [1.0, 0.1]},
        ],
        "model": "m",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }


def test_base64_has_floats_of_32_bits_with_the_low_byte_first() -> None:
    assert in_base64([0.5, -2.0]) == "AAAAPwAAAMA="
    told = read(encoding_format="base64").answer(TWO)["data"][1]["embedding"]
    assert struct.unpack("<2f", base64.b64decode(told)) == pytest.approx((1.0, 0.1))


@pytest.mark.parametrize("dimensions", [None, 2])
def test_the_length_of_the_vectors_may_be_asked_for(dimensions: int | None) -> None:
    read(dimensions=dimensions).check_dimensions(TWO)


def test_another_length_than_the_model_s_is_refused() -> None:
    with pytest.raises(InvalidArguments) as caught:
        read(dimensions=256).check_dimensions(TWO)
    assert caught.value.message == "dimensions: 256; this model's vectors have 2"


@pytest.mark.parametrize("given", [[1, 2], [[1, 2]]])
def test_token_ids_are_refused_with_the_reason(given: Any) -> None:
    with pytest.raises(InvalidArguments) as caught:
        read(input=given)
    assert caught.value.message.startswith("input[0]: texts are read here, not token ids")
    assert caught.value.errors[0]["type"] == "unsupported"


@pytest.mark.parametrize(
    ("members", "parameter"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": ""}, "input"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": [{}]}, "input[0]"),
        ({"input": ["a"] * 2049}, "input"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"dimensions": 0}, "dimensions"),
        ({"model": 3}, "model"),
    ],
)
def test_a_request_that_cannot_be_made_is_named(members: dict[str, Any], parameter: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        read(**members)
    assert caught.value.message.startswith(f"{parameter}: ")
