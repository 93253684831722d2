"""The engine protocol: what is of it, and that the built-in engine is one."""

import inspect

import pytest

from headrace.engines.engine import Embedder, Embeddings, Engine, ModelInfo
from headrace.engines.generation import Generation
from headrace.engines.tiny.engine import TinyEngine

MEMBERS = [name for name in vars(Engine) if not name.startswith("_")]


def test_the_protocol_is_small() -> None:
    assert MEMBERS == ["info", "healthy", "start", "stop", "generate"]


def test_the_tiny_engine_is_an_engine() -> None:
    engine: Engine = TinyEngine()
    assert [name for name in MEMBERS if not hasattr(engine, name)] == []
    assert isinstance(engine.info, ModelInfo)


@pytest.mark.parametrize("name", ["start", "stop", "generate"])
def test_the_tiny_engines_methods_have_the_protocols_signatures(name: str) -> None:
    ours, theirs = getattr(Engine, name), getattr(TinyEngine, name)
    assert inspect.signature(theirs) == inspect.signature(ours)


async def test_generate_is_an_async_generator_that_can_be_closed() -> None:
    generation = TinyEngine().generate(Generation(prompt="hello"))
    assert inspect.isasyncgen(generation)
    await generation.aclose()


def test_a_model_can_do_nothing_special_unless_it_says_so() -> None:
    info = ModelInfo("plain")
    assert (info.context, info.max_logprobs, info.tools, info.json_schema) == (None, None, False, False)
    assert (info.forced_tools, info.json_object, info.token_prompts) == (False, False, False)


def test_an_engine_that_makes_embeddings_is_recognised_by_that() -> None:
    class Vectors:
        async def embed(self, texts: list[str]) -> Embeddings:
            return Embeddings([[0.0]], 1)

    assert isinstance(Vectors(), Embedder)
    assert not isinstance(TinyEngine(), Embedder)
