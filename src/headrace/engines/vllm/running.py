"""A vLLM that runs: its engine, what is known of its model, and the requests that it works on."""

from __future__ import annotations

import asyncio
import gc
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from headrace.engines.choices import choices
from headrace.engines.engine import ModelInfo
from headrace.engines.events import EngineEvent
from headrace.engines.generation import Generation
from headrace.engines.markup import TAIL, Markup
from headrace.engines.transformers.vocabulary import CheckpointVocabulary
from headrace.engines.vllm.answer import Answer
from headrace.engines.vllm.failures import translated
from headrace.engines.vllm.guard import Guard
from headrace.engines.vllm.library import Library
from headrace.engines.vllm.parameters import parameters
from headrace.errors import SetupError, ShuttingDown, WorkerLost


class Running:
    """What exists of an engine between its start and its stop.

    Args:
        library: vLLM.
        llm: its engine.
        tool_parser: the name of a form of calls; None: the one that the chat template shows.

    Raises:
        SetupError: the model takes no tools, although there is a `tool_parser`.
    """

    def __init__(self, library: Library, llm: Any, tool_parser: str | None = None) -> None:
        self._library = library
        self._llm = llm
        self._context: int = llm.model_config.max_model_len
        self._max_logprobs: int = llm.model_config.max_logprobs
        tokenizer = llm.get_tokenizer()
        self._prompts = library.prompts(tokenizer, self._context, llm.model_config.get_vocab_size())
        self._vocabulary = CheckpointVocabulary(tokenizer, {tokenizer.eos_token_id} - {None})
        self._markup = Markup(self._prompts.template, tool_parser)
        self._requests: set[str] = set()
        self._stopped = False
        pids = [process.pid for process in library.processes(llm)]
        self._guard = Guard(pids) if pids else None

    @classmethod
    def start(cls, library: Library, model: str, arguments: Mapping[str, Any], tool_parser: str | None) -> Running:
        """Starts vLLM; blocks for a minute or more.

        Args:
            library: vLLM.
            model: a checkpoint folder, or a name on the model hub.
            arguments: more of vLLM's own.
            tool_parser: as for the class.

        Raises:
            SetupError: it does not start, or has no use for the `tool_parser`.
        """
        try:
            llm = library.engine.from_engine_args(library.engine_arguments(model=model, **arguments))
        except Exception as error:  # vLLM raises what it likes, and the reason often stands only in its log
            raise SetupError(f"vLLM does not start with {model}: {str(error) or type(error).__name__}") from error
        try:
            return cls(library, llm, tool_parser)
        except BaseException:
            llm.shutdown()
            raise

    @property
    def healthy(self) -> bool:
        """Whether vLLM's processes are there and can generate."""
        return not (self._stopped or self._llm.errored)

    @property
    def active(self) -> int:
        """How many answers vLLM has been asked for."""
        return len(self._requests)

    def info(self, name: str) -> ModelInfo:
        """What the model is and can do, under the name that clients ask for."""
        structured = self._library.structured is not None
        return ModelInfo(
            name,
            context=self._context,
            max_logprobs=self._max_logprobs,
            tools=self._markup.tools,
            json_object=structured,
            json_schema=structured,
            token_prompts=True,
        )

    async def answers(self) -> None:
        """Waits until its processes answer. Raises `SetupError` if they are gone already.

        What they are asked is what vLLM asks them with the first request, which would wait for ever if they died then.
        """
        try:
            await self._llm.get_supported_tasks()
        except BaseException as error:
            await self.stop()
            if isinstance(error, self._library.dead):
                raise SetupError("vLLM's processes ended when they had just started; their log says why") from error
            raise

    def tokens(self, generation: Generation) -> list[int]:
        """The prompt; threads may make some beside each other. Raises as `Prompts.tokens` does."""
        return self._prompts.tokens(generation)

    def events(self, prompt: Sequence[int], generation: Generation) -> AsyncGenerator[EngineEvent, None]:
        """The answers to a prompt; closing it aborts their requests."""
        show_marks = self._markup.marked(generation)
        events = choices(generation, lambda alone: self._answer(prompt, alone, show_marks=show_marks))
        return self._markup.read(events, generation, lambda: self._vocabulary.decode(prompt[-TAIL:]))

    async def stop(self) -> None:
        """Ends vLLM's processes; requests still open end with `ShuttingDown`."""
        self._stopped = True
        # Something in vLLM keeps the frames in which it was started, and they keep this.
        llm, self._llm = self._llm, None
        await llm.abort(list(self._requests))
        if llm.output_handler is not None:  # it would log the end of the processes as an error
            llm.output_handler.cancel()
        await asyncio.to_thread(self._end, llm)
        await llm.abort(list(self._requests))  # those that were on their way in; nobody else would end them
        del llm
        await asyncio.to_thread(gc.collect)  # it has references to itself

    def close(self) -> None:
        """Ends vLLM's processes; blocks for seconds. For one that was never asked anything; others `stop`."""
        self._stopped = True
        self._end(self._llm)

    def _end(self, llm: Any) -> None:
        llm.shutdown()
        if self._guard is not None:
            self._guard.close()

    async def _answer(
        self, prompt: Sequence[int], generation: Generation, *, show_marks: bool
    ) -> AsyncGenerator[EngineEvent, None]:
        if self._stopped:
            raise ShuttingDown
        answer = Answer(self._vocabulary, len(prompt), generation.sampling.logprobs)
        request = f"headrace-{uuid.uuid4().hex}"
        self._requests.add(request)
        try:
            outputs = self._llm.generate(
                {"type": "token", "prompt_token_ids": list(prompt)},
                parameters(generation, self._library, show_marks=show_marks),
                request,
            )
            async with aclosing(translated(outputs, generation, self._library)) as outputs:
                async for output in outputs:
                    if self._stopped:
                        raise ShuttingDown
                    for event in answer.read(output):
                        yield event
        except WorkerLost:
            if self._stopped:
                raise ShuttingDown from None
            raise
        finally:
            self._requests.discard(request)
