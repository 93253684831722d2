"""Stands in for vLLM: the same names and signatures, a tokenizer of ASCII characters, a model with a script.

`tests/engines/vllm/test_stand_in.py` compares the signatures with the real package where that is installed.
"""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import SimpleNamespace
from typing import Any

from headrace.engines.arguments import check_length, check_tokens
from headrace.engines.generation import Generation
from headrace.engines.vllm.library import Library

END = 0
THINK = 1
CONTEXT = 64


class RequestOutputKind(Enum):
    CUMULATIVE = 0
    DELTA = 1


@dataclass
class StructuredOutputsParams:
    json: str | dict[str, Any] | None = None
    json_object: bool | None = None


@dataclass
class SamplingParams:
    n: int = 1
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    stop: str | list[str] | None = None
    max_tokens: int | None = 16
    logprobs: int | None = None
    skip_special_tokens: bool = True
    spaces_between_special_tokens: bool = True
    output_kind: RequestOutputKind = RequestOutputKind.CUMULATIVE
    structured_outputs: StructuredOutputsParams | None = None
    logit_bias: dict[int, float] | None = None


class AsyncEngineArgs:
    def __init__(self, model: str, dtype: str = "auto", max_model_len: int | None = None) -> None:
        self.model, self.dtype, self.max_model_len = model, dtype, max_model_len


class EngineDeadError(Exception):
    pass


class EngineGenerateError(Exception):
    pass


class VLLMClientError(Exception):
    pass


class GracefulHTTPError(Exception):
    pass


@dataclass
class Logprob:
    logprob: float
    rank: int | None = None
    decoded_token: str | None = None


@dataclass
class CompletionOutput:
    index: int
    text: str
    token_ids: Sequence[int]
    cumulative_logprob: float | None
    logprobs: list[dict[int, Logprob]] | None
    finish_reason: str | None = None
    stop_reason: int | str | None = None


@dataclass
class RequestOutput:
    request_id: str
    prompt: str | None
    prompt_token_ids: list[int] | None
    prompt_logprobs: None
    outputs: list[CompletionOutput]
    finished: bool
    num_cached_tokens: int | None = None


def output(
    text: str,
    finish: str | None = None,
    *,
    stop: str | None = None,
    tokens: Sequence[int] | None = None,
    logprobs: list[dict[int, Logprob]] | None = None,
    cached: int | None = None,
) -> RequestOutput:
    """What comes next of an answer; its tokens are its characters, and the end mark where the model itself ends it."""
    made = [ord(character) for character in text] if tokens is None else list(tokens)
    if finish == "stop" and stop is None and tokens is None:
        made.append(END)
    part = CompletionOutput(0, text, made, None, logprobs, finish, stop)
    return RequestOutput("", None, None, None, [part], finish is not None, cached)


class Waiting:
    """In a script: nothing comes until the request is aborted, or the engine dies."""


Script = Sequence[RequestOutput | Exception | Waiting]


class Tokenizer:
    """Every ASCII character is a token, `<|end|>` is 0 and `<think>` is 1."""

    is_fast = False
    eos_token_id = END
    all_special_ids = (END,)
    added_tokens_decoder: dict[int, Any] = {}  # noqa: RUF012 - as the real one has it

    def __init__(self, chat_template: str | None) -> None:
        self.chat_template = chat_template

    def convert_ids_to_tokens(self, token: int) -> str:
        return {END: "<|end|>", THINK: "<think>"}.get(token, chr(token))

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [ord(character) for character in text]

    def decode(
        self, tokens: Sequence[int], skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool = False
    ) -> str:
        return "".join(map(self.convert_ids_to_tokens, tokens))


class Prompts:
    """Reads prompts as they are; a conversation is its last message."""

    def __init__(self, tokenizer: Tokenizer, positions: int, vocabulary: int) -> None:
        self.template = tokenizer.chat_template
        self._tokenizer = tokenizer
        self._positions = positions
        self._vocabulary = vocabulary

    def tokens(self, generation: Generation) -> list[int]:
        check_tokens(generation, self._vocabulary)
        prompt = generation.prompt if generation.messages is None else generation.messages[-1].content
        tokens = self._tokenizer.encode(prompt) if isinstance(prompt, str) else list(prompt or ())
        check_length(generation, len(tokens), self._positions)
        return tokens


class AsyncLLM:
    """Follows the same script for every request, and keeps what it was asked."""

    def __init__(self, engine_args: AsyncEngineArgs, script: Script, chat_template: str | None) -> None:
        self.engine_args = engine_args
        self.model_config = SimpleNamespace(
            max_model_len=engine_args.max_model_len or CONTEXT, max_logprobs=20, get_vocab_size=lambda: 128
        )
        self.errored = False
        self.output_handler: asyncio.Task[Any] | None = None
        self.asking = 0
        self.asked: list[tuple[Any, SamplingParams]] = []
        self.aborted: list[str] = []
        self.processes: list[subprocess.Popen[bytes]] = []
        self.may_begin = asyncio.Event()
        self.may_begin.set()
        self.aborted_before_the_end: list[str] = []
        self.shut_down_by: threading.Thread | None = None
        self.ending = False
        self.may_end = threading.Event()
        self.may_end.set()
        self._script = script
        self._tokenizer = Tokenizer(chat_template)
        self._open: dict[str, asyncio.Queue[RequestOutput | Exception]] = {}

    def get_tokenizer(self) -> Tokenizer:
        return self._tokenizer

    async def get_supported_tasks(self) -> tuple[str, ...]:
        if self.errored:
            raise EngineDeadError
        return ("generate",)

    async def generate(
        self, prompt: Any, sampling_params: SamplingParams, request_id: str
    ) -> AsyncGenerator[RequestOutput, None]:
        self.asking += 1
        await self.may_begin.wait()
        if self.errored:
            raise EngineDeadError
        if self.output_handler is None:
            self.output_handler = asyncio.create_task(asyncio.Event().wait())
        self.asked.append((prompt, sampling_params))
        self._open[request_id] = asyncio.Queue()
        try:
            for step in self._script:
                came = await self._open[request_id].get() if isinstance(step, Waiting) else step
                if isinstance(came, Exception):
                    raise came
                yield came
                if came.finished:
                    return
        except (asyncio.CancelledError, GeneratorExit):
            await self.abort(request_id)
            raise
        finally:
            del self._open[request_id]

    async def abort(self, request_id: str | Iterable[str], internal: bool = False) -> None:
        for each in [request_id] if isinstance(request_id, str) else list(request_id):
            self.aborted.append(each)
            if each in self._open:
                self._open[each].put_nowait(output("", "abort", tokens=[]))

    def die(self) -> None:
        """Its processes are killed."""
        self.errored = True
        for queue in self._open.values():
            queue.put_nowait(EngineDeadError())

    def shutdown(self, timeout: float | None = None) -> None:
        self.ending = True
        self.aborted_before_the_end = list(self.aborted)
        self.may_end.wait(5)
        self.errored = True
        self.shut_down_by = threading.current_thread()


@dataclass
class StandIn:
    """A vLLM whose models all follow one script.

    Attributes:
        script: what comes for every request.
        chat_template: of the models.
        fails: raised in place of a start.
        dies: its processes end when they have started.
        leaves: it has a process that it does not end.
        may_start: what a start waits for.
        models: those that were started.
    """

    script: Script = ()
    chat_template: str | None = "{{ messages }}"
    fails: Exception | None = None
    dies: bool = False
    leaves: bool = False
    may_start: threading.Event = field(default_factory=threading.Event)
    models: list[AsyncLLM] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.may_start.set()

    def library(self) -> Library:
        return Library(
            engine=self,
            engine_arguments=AsyncEngineArgs,
            sampling=SamplingParams,
            delta=RequestOutputKind.DELTA,
            structured=StructuredOutputsParams,
            dead=EngineDeadError,
            bad=(ValueError, VLLMClientError),
            busy=(GracefulHTTPError,),
            failed=EngineGenerateError,
            processes=lambda llm: llm.processes,
            prompts=Prompts,
        )

    def from_engine_args(self, engine_args: AsyncEngineArgs) -> AsyncLLM:
        self.may_start.wait(5)
        if self.fails is not None:
            raise self.fails
        self.models.append(AsyncLLM(engine_args, self.script, self.chat_template))
        self.models[-1].errored = self.dies
        if self.leaves:
            self.models[-1].processes = [subprocess.Popen(["sleep", "60"])]
        return self.models[-1]


async def until(condition: Callable[[], object]) -> None:
    """Lets others run until it is so."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)
