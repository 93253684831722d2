from typing import Any

import pytest
from pydantic import TypeAdapter

from headrace.engines.generation import Sampling
from headrace.errors import InvalidArguments
from headrace.openai.body import read_body
from headrace.openai.sampling_body import SamplingBody


def read(**members: Any) -> SamplingBody:
    return read_body(SamplingBody, TypeAdapter(dict[str, Any]).dump_json({"model": "m", **members}))


def test_what_is_not_said_is_the_default() -> None:
    assert read().sampling(0.5, None, None) == Sampling(temperature=0.5, max_tokens=None)


def test_null_is_as_good_as_absent() -> None:
    absent = dict.fromkeys(
        [
            *("stream", "stream_options", "n", "max_tokens", "temperature", "top_p", "top_k", "seed", "stop"),
            *("presence_penalty", "frequency_penalty", "logit_bias"),
        ]
    )
    assert read(**absent).sampling(0.5, None, None) == Sampling(temperature=0.5, max_tokens=None)


def test_everything_is_passed_on() -> None:
    body = read(
        temperature=0,
        top_p=0.5,
        top_k=7,
        seed=3,
        stop=["a", "b"],
        presence_penalty=-2,
        frequency_penalty=2.0,
        logit_bias={"50256": -100, "0": 1.5},
    )
    assert body.sampling(1.0, 9, 5) == Sampling(
        temperature=0.0,
        top_p=0.5,
        top_k=7,
        seed=3,
        max_tokens=9,
        stop=("a", "b"),
        presence_penalty=-2.0,
        frequency_penalty=2.0,
        logit_bias={50256: -100.0, 0: 1.5},
        logprobs=5,
    )


def test_one_stop_string_needs_no_list() -> None:
    assert read(stop="\n").sampling(0, None, None).stop == ("\n",)


@pytest.mark.parametrize(("given", "kept"), [(-1, None), (0, None), (1, 1)])
def test_a_top_k_of_none_at_all_is_all_tokens(given: int, kept: int | None) -> None:
    assert read(top_k=given).sampling(0, None, None).top_k == kept


@pytest.mark.parametrize(("given", "kept"), [(0, 0), (2**63 - 1, 2**63 - 1), (-1, 2**63 - 1), (-(2**63), 0)])
def test_any_seed_of_64_bits_is_one_that_engines_know(given: int, kept: int) -> None:
    assert read(seed=given).sampling(0, None, None).seed == kept


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({}, False),
        ({"stream_options": None}, False),
        ({"stream": True, "stream_options": {}}, False),
        ({"stream": True, "stream_options": {"include_usage": False}}, False),
        ({"stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False}}, True),
    ],
)
def test_the_usage_ends_a_stream_where_it_was_asked_for(members: dict[str, Any], told: bool) -> None:
    assert read(**members).with_usage == told


@pytest.mark.parametrize(
    ("members", "parameter"),
    [
        ({"model": ""}, "model"),
        ({"model": "x" * 257}, "model"),
        ({"model": None}, "model"),
        ({"stream": "true"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"stream": "yes", "stream_options": {}}, "stream"),
        ({"stream_options": []}, "stream_options"),
        ({"stream_options": {}}, "stream_options"),
        ({"stream": None, "stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": False, "stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"n": 10**9}, "n"),
        ({"n": 1.5}, "n"),
        ({"n": True}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 2**31}, "max_tokens"),
        ({"max_tokens": 10**30}, "max_tokens"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": 2.1}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.1}, "top_p"),
        ({"top_k": -2}, "top_k"),
        ({"seed": 2**63}, "seed"),
        ({"seed": -(2**63) - 1}, "seed"),
        ({"stop": ["a"] * 17}, "stop"),
        ({"stop": [""]}, "stop[0]"),
        ({"stop": ["a", "x" * 257]}, "stop[1]"),
        ({"stop": [3]}, "stop[0]"),
        ({"stop": 3}, "stop"),
        ({"presence_penalty": 2.1}, "presence_penalty"),
        ({"frequency_penalty": -2.1}, "frequency_penalty"),
        ({"logit_bias": {"1": 101}}, "logit_bias[1]"),
        ({"logit_bias": {"one": 1}}, "logit_bias"),
        ({"logit_bias": {"-1": 1}}, "logit_bias"),
        ({"logit_bias": {"9" * 4000: 1}}, "logit_bias"),
        ({"logit_bias": {str(token): 1 for token in range(1025)}}, "logit_bias"),
        ({"logit_bias": []}, "logit_bias"),
    ],
)
def test_a_value_out_of_its_range_is_named(members: dict[str, Any], parameter: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        read(**members)
    assert caught.value.message.startswith(f"{parameter}: ")
    assert len(caught.value.errors) == 1
