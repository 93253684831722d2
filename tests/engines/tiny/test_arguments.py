import dataclasses
from typing import Any

import pytest

from headrace.engines.engine import Generation, Message, Sampling
from headrace.engines.tiny.arguments import check
from headrace.errors import InvalidArguments


@pytest.mark.parametrize(
    "generation",
    [
        Generation(prompt=""),
        Generation(messages=[Message("system", ""), Message("user", "hi"), Message("assistant", "hello")]),
        Generation(prompt="a", sampling=Sampling(temperature=2.0, top_p=0.001, seed=0, max_tokens=1, stop=("a", "b"))),
        Generation(prompt="a", sampling=Sampling(seed=9223372036854775807, max_tokens=1_000_000, stop=("a",) * 16)),
    ],
)
def test_these_are_accepted(generation: Generation) -> None:
    check(generation)


@pytest.mark.parametrize(
    ("generation", "detail"),
    [
        (Generation(), "give exactly one of messages and prompt; this has neither"),
        (
            Generation(messages=[Message("user", "a")], prompt="a"),
            "give exactly one of messages and prompt; this has both",
        ),
    ],
)
def test_exactly_one_of_messages_and_prompt_is_needed(generation: Generation, detail: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        check(generation)
    assert caught.value.errors == ({"pointer": "", "detail": detail, "type": "one_of"},)


def test_a_conversation_is_not_empty() -> None:
    with pytest.raises(InvalidArguments, match="at least one message") as caught:
        check(Generation(messages=[]))
    assert caught.value.errors[0]["pointer"] == "/messages"


def test_a_role_that_the_model_does_not_know_is_refused() -> None:
    messages = [Message("user", "a"), Message("tool", "b")]  # type: ignore[arg-type]
    with pytest.raises(InvalidArguments, match="role is 'tool'; it must be one of system, user, assistant") as caught:
        check(Generation(messages=messages))
    assert caught.value.errors[0]["pointer"] == "/messages/1/role"


@pytest.mark.parametrize(
    ("change", "pointer", "kind"),
    [
        ({"temperature": -0.1}, "/temperature", "out_of_range"),
        ({"temperature": 2.1}, "/temperature", "out_of_range"),
        ({"temperature": float("nan")}, "/temperature", "out_of_range"),
        ({"top_p": 0.0}, "/top_p", "out_of_range"),
        ({"top_p": 1.1}, "/top_p", "out_of_range"),
        ({"top_p": float("nan")}, "/top_p", "out_of_range"),
        ({"seed": -1}, "/seed", "out_of_range"),
        ({"seed": 9223372036854775808}, "/seed", "out_of_range"),
        ({"max_tokens": 0}, "/max_tokens", "out_of_range"),
        ({"stop": ("a",) * 17}, "/stop", "too_long"),
        ({"stop": ("a", "")}, "/stop/1", "out_of_range"),
        ({"stop": ("a" * 257,)}, "/stop/0", "out_of_range"),
    ],
)
def test_a_value_out_of_range_is_pointed_at(change: dict[str, Any], pointer: str, kind: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        check(Generation(prompt="a", sampling=dataclasses.replace(Sampling(), **change)))
    assert [(error["pointer"], error["type"]) for error in caught.value.errors] == [(pointer, kind)]


def test_all_errors_are_told_together() -> None:
    with pytest.raises(InvalidArguments) as caught:
        check(Generation(sampling=Sampling(temperature=3.0, max_tokens=-1)))
    assert [error["pointer"] for error in caught.value.errors] == ["", "/temperature", "/max_tokens"]
    assert caught.value.message == (
        "give exactly one of messages and prompt; this has neither; temperature is 3.0; it must be between 0 and 2; "
        "max_tokens is -1; it must be at least 1"
    )
