"""What is used of vLLM, and of what comes with it, in one value: the only module that knows where it is found.

Everything here is taken by name when the engine starts, so that headrace can be imported, and tested, without vLLM.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from headrace.errors import DefinitionError, Mistake

if TYPE_CHECKING:
    from headrace.engines.transformers.prompts import Prompts


@dataclass(frozen=True, slots=True)
class Library:
    """vLLM.

    Attributes:
        engine: `AsyncLLM`.
        engine_arguments: `AsyncEngineArgs`.
        sampling: `SamplingParams`.
        delta: the kind of output that has only what is new.
        structured: `StructuredOutputsParams`; None: this version cannot make an answer fit a schema.
        dead: raised where the engine's processes are gone.
        bad: raised for a request that cannot be done.
        busy: raised where too many requests wait, by those who have told vLLM how many may.
        failed: raised for anything else.
        processes: those that an engine has started, each with its `pid`.
        prompts: reads prompts with a model's tokenizer; it needs the template language that comes with vLLM.
    """

    engine: Any
    engine_arguments: Any
    sampling: Any
    delta: Any
    structured: Any
    dead: type[Exception]
    bad: Sequence[type[Exception]]
    busy: Sequence[type[Exception]]
    failed: type[Exception]
    processes: Callable[[Any], Sequence[Any]]
    prompts: Callable[[Any, int, int], Prompts]


def load() -> Library:
    """Imports vLLM, which takes seconds. Raises `DefinitionError` (HR22) where it is not installed."""
    try:
        import_module("vllm")
    except ModuleNotFoundError as error:
        if error.name != "vllm":
            raise
        what = 'VllmEngine needs "vllm", which is not installed'
        fix = f'{sys.executable} -m pip install "headrace[vllm]"'
        raise DefinitionError([Mistake("HR22", what, fix=fix)]) from error
    sampling = import_module("vllm.sampling_params")
    errors = import_module("vllm.exceptions")
    engine_errors = import_module("vllm.v1.engine.exceptions")
    return Library(
        engine=import_module("vllm.v1.engine.async_llm").AsyncLLM,
        engine_arguments=import_module("vllm.engine.arg_utils").AsyncEngineArgs,
        sampling=sampling.SamplingParams,
        delta=sampling.RequestOutputKind.DELTA,
        structured=getattr(sampling, "StructuredOutputsParams", None),
        dead=engine_errors.EngineDeadError,
        # Older versions raise ValueError, newer ones an error of their own.
        bad=(ValueError, *_there(errors, "VLLMClientError")),
        busy=_there(errors, "GracefulHTTPError"),
        failed=engine_errors.EngineGenerateError,
        processes=_processes,
        prompts=import_module("headrace.engines.transformers.prompts").Prompts,
    )


def _processes(engine: Any) -> Sequence[Any]:
    """None are known where vLLM does not start them itself, or keeps them elsewhere in another version."""
    manager = getattr(getattr(engine.engine_core, "resources", None), "engine_manager", None)
    return tuple(getattr(manager, "processes", ()))


def _there(module: Any, name: str) -> tuple[type[Exception], ...]:
    return (getattr(module, name),) if hasattr(module, name) else ()
