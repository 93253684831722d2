"""The service that `headrace demo` serves, `headrace.demo:Chat`: the built-in model, streamed as text.

It downloads nothing and needs no GPU, so every feature of the server can be tried on a real model.
"""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated

from pydantic import Field

from headrace.engines.engine import Generation, Message, Sampling, TextDelta
from headrace.engines.tiny.arguments import MAX_SEED, MAX_STOP_LENGTH, MAX_STOP_STRINGS, MAX_TEMPERATURE
from headrace.engines.tiny.engine import TinyEngine
from headrace.services.decorators import endpoint, service

GREETING = """\
I am a tiny model: 3.2 million parameters, thousands of times fewer than the models you know. I chat a little, answer
short questions about streaming and serving, tell little stories, and do small sums. Nearly everything else I get wrong,
and I sound sure of it: I am here to show how streaming works, not to be believed."""

Conversation = Annotated[list[Message], Field(min_length=1)]
Temperature = Annotated[float, Field(ge=0, le=MAX_TEMPERATURE)]
TopP = Annotated[float, Field(gt=0, le=1)]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
MaxTokens = Annotated[int, Field(ge=1, le=1024)]
StopString = Annotated[str, Field(min_length=1, max_length=MAX_STOP_LENGTH)]
Stop = Annotated[tuple[StopString, ...], Field(max_length=MAX_STOP_STRINGS)]


@service
class Chat:
    """A tiny chat model. It shows how streaming works; do not believe what it says."""

    def __init__(self) -> None:
        self._engine = TinyEngine()

    async def on_start(self) -> None:
        """Loads the model."""
        await self._engine.start()

    async def on_stop(self) -> None:
        """Frees the model."""
        await self._engine.stop()

    @endpoint
    async def chat(
        self,
        messages: Conversation,
        temperature: Temperature = 0.0,
        top_p: TopP = 1.0,
        seed: Seed | None = None,
        max_tokens: MaxTokens = 256,
        stop: Stop = (),
    ) -> AsyncIterator[str]:
        """Answers the last message of a conversation."""
        sampling = Sampling(temperature, top_p, seed, max_tokens, stop)
        async with contextlib.aclosing(self._texts(Generation(messages=messages, sampling=sampling))) as texts:
            async for text in texts:
                yield text

    @endpoint
    async def complete(
        self,
        prompt: str,
        temperature: Temperature = 0.0,
        top_p: TopP = 1.0,
        seed: Seed | None = None,
        max_tokens: MaxTokens = 256,
        stop: Stop = (),
    ) -> AsyncIterator[str]:
        """Continues a text; "Once upon a time" works best."""
        sampling = Sampling(temperature, top_p, seed, max_tokens, stop)
        async with contextlib.aclosing(self._texts(Generation(prompt=prompt, sampling=sampling))) as texts:
            async for text in texts:
                yield text

    async def _texts(self, generation: Generation) -> AsyncGenerator[str, None]:
        """The text of a generation, piece by piece; closing it stops the model."""
        async with contextlib.aclosing(self._engine.generate(generation)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    yield event.text
