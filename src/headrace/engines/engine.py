"""The engine protocol: a generation in (`generation`), an async stream of typed events out (`events`).

An engine knows nothing of HTTP or services. It is started once, makes many generations at the same time, and frees what
a generation holds as soon as its iterator is closed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from headrace.engines.events import EngineEvent
from headrace.engines.generation import Generation


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What an engine's model is and can do.

    Attributes:
        name: what clients ask for.
        context: tokens that it reads, its answer included; None: not known.
        owned_by: who made it, or who serves it.
        created: when, in seconds since 1970; 0: not known.
        max_n: answers to one prompt.
        max_logprobs: tokens told at each place; None: no logprobs.
        tools: whether it can call functions.
        forced_tools: whether a call can be made certain (`tool_choice` other than `auto` and `none`).
        json_object: whether an answer can be made certain to be JSON.
        json_schema: whether it can be made certain to fit a schema.
        token_prompts: whether a prompt may be token ids.
    """

    name: str
    context: int | None = None
    owned_by: str = "headrace"
    created: int = 0
    max_n: int = 16
    max_logprobs: int | None = None
    tools: bool = False
    forced_tools: bool = False
    json_object: bool = False
    json_schema: bool = False
    token_prompts: bool = False


class Engine(Protocol):
    """What every engine offers."""

    @property
    def info(self) -> ModelInfo:
        """What the model is and can do. Its name is known before the start, the rest may come with it."""
        ...

    @property
    def healthy(self) -> bool:
        """Whether it is started and can generate; one that is not does not recover by itself."""
        ...

    async def start(self) -> None:
        """Loads the model. Raises what the loading raises."""
        ...

    async def stop(self) -> None:
        """Frees the model; generations still open end with an error."""
        ...

    def generate(self, generation: Generation) -> AsyncGenerator[EngineEvent, None]:
        """The events of a generation. Closing it (`contextlib.aclosing`) frees the work at the next token.

        Raises:
            InvalidArguments: a value is out of range, or asks for what the model cannot do.
            ContextTooLong: the prompt leaves no room in the model's context.
            ShuttingDown: the engine was stopped.
        """
        ...


@dataclass(frozen=True, slots=True)
class Embeddings:
    """A vector for each text, all of one length."""

    vectors: Sequence[Sequence[float]]
    prompt_tokens: int


@runtime_checkable
class Embedder(Protocol):
    """What an engine offers besides, if its model makes embeddings."""

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """The vectors of some texts, in their order. Raises as `Engine.generate` does."""
        ...
