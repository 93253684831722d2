"""vLLM's errors as headrace's, translated at the border."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from headrace.engines.generation import Generation
from headrace.engines.refusals import UpstreamFailed, entry, refusal
from headrace.engines.vllm.library import Library
from headrace.errors import Overloaded, StreamError, WorkerLost


async def translated(
    outputs: AsyncGenerator[Any, None], generation: Generation, library: Library
) -> AsyncGenerator[Any, None]:
    """The outputs of a request; closing it aborts the request.

    Raises:
        InvalidArguments: vLLM refuses what is asked, for instance a schema that it cannot follow.
        Overloaded: more requests wait than vLLM was told to let wait.
        WorkerLost: the engine's processes are gone.
        UpstreamFailed: something else failed in them.
    """
    async with aclosing(outputs):
        try:
            async for output in outputs:
                yield output
        except (library.dead, library.failed, *library.bad, *library.busy) as error:
            raise _translation(error, generation, library) from error


def _translation(error: Exception, generation: Generation, library: Library) -> StreamError:
    if isinstance(error, library.dead):
        return WorkerLost("the model's processes are gone; this server cannot answer until it is restarted")
    if isinstance(error, tuple(library.busy)):
        return Overloaded(str(error))
    if isinstance(error, tuple(library.bad)):
        # What can be told by itself was checked before; what is left is mostly the schema of the answer.
        pointer = "" if generation.response_format is None else "/response_format"
        return refusal([entry(pointer, f"vLLM refuses this request: {error}", "unsupported")])
    return UpstreamFailed("vLLM failed to make this answer; its log says why", status=500)
