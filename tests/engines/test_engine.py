"""The engine protocol: what is of it and what its events and requests look like."""

import dataclasses
import inspect
from typing import Any

import pytest

from headrace.engines.engine import Engine, Finish, Generation, Message, Sampling, TextDelta
from headrace.engines.tiny.engine import TinyEngine

MEMBERS = [name for name in vars(Engine) if not name.startswith("_")]


def test_the_protocol_is_small() -> None:
    assert MEMBERS == ["model", "start", "stop", "generate"]


def test_the_tiny_engine_is_an_engine() -> None:
    engine: Engine = TinyEngine()
    assert [name for name in MEMBERS if not hasattr(engine, name)] == []
    assert isinstance(engine.model, str)


@pytest.mark.parametrize("name", ["start", "stop", "generate"])
def test_the_tiny_engines_methods_have_the_protocols_signatures(name: str) -> None:
    ours, theirs = getattr(Engine, name), getattr(TinyEngine, name)
    assert inspect.signature(theirs) == inspect.signature(ours)


async def test_generate_is_an_async_generator_that_can_be_closed() -> None:
    generation = TinyEngine().generate(Generation(prompt="hello"))
    assert inspect.isasyncgen(generation)
    await generation.aclose()


def test_a_generation_is_greedy_unless_it_says_otherwise() -> None:
    assert Generation(prompt="a").sampling == Sampling(temperature=0.0, top_p=1.0, seed=None, max_tokens=256, stop=())


@pytest.mark.parametrize(
    "value", [Message("user", "a"), Sampling(), Generation(), TextDelta("a"), Finish("stop", 1, 2)]
)
def test_requests_and_events_do_not_change(value: Any) -> None:
    field = dataclasses.fields(value)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, field, "other")
