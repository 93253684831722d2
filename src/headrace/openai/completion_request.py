"""The request of `/v1/completions`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from headrace.engines.generation import Generation
from headrace.openai.body import wrong
from headrace.openai.sampling_body import MAX_CHOICES, SamplingBody

MAX_TOKENS = 16
"""Of an answer whose request names no limit; this is the API's own."""


def _several(value: Any) -> Any:
    """One prompt as a list of one: a text, or the ids of its tokens."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value and type(value[0]) is int:
        return [value]
    return value


def _either(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(type(each) is int and each >= 0 for each in value):
        return value
    raise PydanticCustomError("type", "must be a text, or the ids of its tokens")


Prompt = Annotated[str | list[int], Field(union_mode="left_to_right"), BeforeValidator(_either)]
Prompts = Annotated[list[Prompt], Field(min_length=1, max_length=MAX_CHOICES), BeforeValidator(_several)]


class CompletionRequest(SamplingBody):
    """Texts to continue."""

    prompt: Prompts
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    best_of: int | None = None
    echo: bool | None = None
    suffix: str | None = None

    @property
    def answers(self) -> int:
        """How many there will be, for all prompts together."""
        return len(self.prompt) * (self.n or 1)

    def generations(self, temperature: float) -> Sequence[Generation]:
        """What engines are asked for, one for each prompt; `temperature` counts where the request has none.

        Raises:
            InvalidArguments: it asks for too many answers, or for what is not supported.
        """
        self._check_support()
        limit = MAX_TOKENS if self.max_tokens is None else self.max_tokens
        sampling = self.sampling(temperature, limit, self.logprobs)
        return [Generation(prompt=prompt, sampling=sampling, n=self.n or 1) for prompt in self.prompt]

    def _check_support(self) -> None:
        if self.answers > MAX_CHOICES:
            detail = f"{len(self.prompt)} prompts with {self.n} answers each; at most {MAX_CHOICES} answers are made"
            raise wrong("/n", detail)
        if self.echo:
            raise wrong("/echo", "the prompt is not repeated here: put it before the answer yourself", "unsupported")
        if self.suffix:
            raise wrong("/suffix", "a text is continued here, not filled in: leave suffix out", "unsupported")
        if self.best_of not in (None, 1, self.n):
            raise wrong("/best_of", "all answers are given here, not the best: leave best_of out", "unsupported")
