"""The engine protocol: a request in, an async stream of typed events out.

An engine knows nothing of HTTP or services. It is started once, makes many generations at the same time, and frees what
a generation holds as soon as its iterator is closed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen and where to stop.

    `temperature` 0 is greedy. `top_p` keeps the smallest set of tokens whose probability reaches it. The same `seed`
    gives the same answer. `stop` strings end the answer and are not part of it, also when they span several tokens.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    max_tokens: int = 256
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Generation:
    """What to generate: exactly one of a conversation to answer or a text to continue."""

    messages: Sequence[Message] | None = None
    prompt: str | None = None
    sampling: Sampling = Sampling()


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the answer: whole characters, never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The last event. `stop`: the model or a stop string ended it; `length`: the token limit or the context did.

    `completion_tokens` are the tokens chosen for the answer, without the model's own mark of its end.
    """

    reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int


EngineEvent: TypeAlias = TextDelta | Finish


class Engine(Protocol):
    """What every engine offers."""

    @property
    def model(self) -> str:
        """The name that clients ask for."""
        ...

    async def start(self) -> None:
        """Loads the model. Raises what the loading raises."""
        ...

    async def stop(self) -> None:
        """Frees the model; generations still open end with an error."""
        ...

    def generate(self, generation: Generation) -> AsyncGenerator[EngineEvent, None]:
        """Text deltas, then one `Finish`. Closing it (`contextlib.aclosing`) frees the work at the next token.

        Raises:
            InvalidArguments: the prompt leaves no room in the model's context, or a sampling value is out of range.
            ShuttingDown: the engine was stopped.
        """
        ...
