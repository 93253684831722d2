"""The stand-in is like vLLM itself: `conftest.py` leaves these tests out where that is not installed."""

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import pytest
import vllm_stand_in

from headrace.engines.vllm.library import load


@pytest.mark.parametrize(
    ("path", "stands_in"),
    [
        ("engine_arguments", vllm_stand_in.AsyncEngineArgs),
        ("sampling", vllm_stand_in.SamplingParams),
        ("structured", vllm_stand_in.StructuredOutputsParams),
        ("engine.generate", vllm_stand_in.AsyncLLM.generate),
        ("engine.abort", vllm_stand_in.AsyncLLM.abort),
        ("engine.shutdown", vllm_stand_in.AsyncLLM.shutdown),
        ("engine.get_tokenizer", vllm_stand_in.AsyncLLM.get_tokenizer),
        ("engine.get_supported_tasks", vllm_stand_in.AsyncLLM.get_supported_tasks),
    ],
)
def test_it_takes_what_the_real_one_takes(path: str, stands_in: Callable[..., Any]) -> None:
    real: Any = load()
    for name in path.split("."):
        real = getattr(real, name)
    given, taken = inspect.signature(stands_in).parameters, inspect.signature(real).parameters
    assert set(given) <= set(taken)
    assert {name for name, each in taken.items() if _needed(each)} <= set(given)


@pytest.mark.parametrize(
    ("path", "stands_in"),
    [
        ("vllm.outputs.CompletionOutput", vllm_stand_in.CompletionOutput),
        ("vllm.outputs.RequestOutput", vllm_stand_in.RequestOutput),
        ("vllm.logprobs.Logprob", vllm_stand_in.Logprob),
    ],
)
def test_its_outputs_have_what_the_real_ones_have(path: str, stands_in: type[Any]) -> None:
    module, _, name = path.rpartition(".")
    real = getattr(importlib.import_module(module), name)
    assert set(inspect.signature(stands_in).parameters) <= set(inspect.signature(real).parameters)


def test_its_engine_has_what_is_read_of_the_real_one() -> None:
    engine = load().engine
    assert isinstance(engine.errored, property)
    assert {"model_config", "output_handler"} <= set(engine.__init__.__code__.co_names)


def _needed(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
