from collections.abc import AsyncGenerator

import pytest
from over_sources import closes_its_source
from vllm_stand_in import EngineDeadError, EngineGenerateError, GracefulHTTPError, StandIn, VLLMClientError

from headrace.engines.generation import Generation, JsonObject
from headrace.engines.refusals import UpstreamFailed
from headrace.engines.vllm.failures import translated
from headrace.errors import InvalidArguments, Overloaded, StreamError, WorkerLost


async def failing(error: Exception) -> AsyncGenerator[int, None]:
    yield 1
    raise error


PROMPT = Generation(prompt="x")


async def read(error: Exception, generation: Generation = PROMPT) -> list[int]:
    return [each async for each in translated(failing(error), generation, StandIn().library())]


@pytest.mark.parametrize(
    ("error", "kind", "status", "message"),
    [
        (EngineDeadError(), WorkerLost, 502, "the model's processes are gone"),
        (GracefulHTTPError("busy"), Overloaded, 503, "busy"),
        (ValueError("no"), InvalidArguments, 422, "vLLM refuses this request: no"),
        (VLLMClientError("no"), InvalidArguments, 422, "vLLM refuses this request: no"),
        (EngineGenerateError(), UpstreamFailed, 500, "its log says why"),
    ],
)
async def test_its_errors_become_ours(error: Exception, kind: type[StreamError], status: int, message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        await read(error)
    assert caught.value.status == status
    assert caught.value.__cause__ is error


async def test_an_error_of_nobody_stays_what_it_is() -> None:
    with pytest.raises(KeyError):
        await read(KeyError("x"))


@pytest.mark.parametrize(
    ("generation", "pointer"),
    [(PROMPT, ""), (Generation(prompt="x", response_format=JsonObject()), "/response_format")],
)
async def test_what_is_refused_is_mostly_the_form_of_the_answer(generation: Generation, pointer: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        await read(ValueError("no"), generation)
    assert [each["pointer"] for each in caught.value.errors] == [pointer]


async def test_closing_closes_the_outputs() -> None:
    assert await closes_its_source(lambda outputs: translated(outputs, PROMPT, StandIn().library()))
