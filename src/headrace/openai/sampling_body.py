"""The members of a request that say how tokens are chosen, the same on every route that has them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from headrace.engines.arguments import MAX_SEED, MAX_STOP_LENGTH, MAX_STOP_STRINGS, MAX_TEMPERATURE
from headrace.engines.generation import Sampling
from headrace.openai.body import Body

MAX_CHOICES = 128
MAX_TOP_LOGPROBS = 20
MAX_BIASES = 1024
MAX_TOKENS = 2**31 - 1


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _token_ids(biases: dict[str, float]) -> dict[str, float]:
    for token in biases:
        if not (token.isascii() and token.isdigit() and len(token) < 10):
            raise PydanticCustomError("token_id", 'the token "{token}" is no token id', {"token": token[:40]})
    return biases


StopString = Annotated[str, Field(min_length=1, max_length=MAX_STOP_LENGTH)]
Stop = Annotated[list[StopString], BeforeValidator(_listed), Field(max_length=MAX_STOP_STRINGS)]
Bias = Annotated[float, Field(ge=-100, le=100)]
Biases = Annotated[dict[str, Bias], Field(max_length=MAX_BIASES), AfterValidator(_token_ids)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
Tokens = Annotated[int, Field(ge=1, le=MAX_TOKENS)]
Count = Annotated[int, Field(ge=1, le=MAX_CHOICES)]
ModelName = Annotated[str, Field(min_length=1, max_length=256)]


class StreamOptions(Body):
    """`stream_options`."""

    include_usage: bool | None = None


class SamplingBody(Body):
    """What the requests of `/v1/chat/completions` and `/v1/completions` have in common. Null is as good as absent."""

    model: ModelName
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Count | None = None
    max_tokens: Tokens | None = None
    temperature: Annotated[float, Field(ge=0, le=MAX_TEMPERATURE)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1, le=MAX_TOKENS)] | None = None
    seed: Annotated[int, Field(ge=-MAX_SEED - 1, le=MAX_SEED)] | None = None
    stop: Stop | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: Biases | None = None

    @field_validator("stream_options")
    @classmethod
    def _only_of_a_stream(cls, options: StreamOptions | None, asked: ValidationInfo) -> StreamOptions | None:
        if options is not None and not asked.data.get("stream", True):  # absent: it was refused itself
            raise PydanticCustomError("stream_options", "goes with a stream only: send stream true with it")
        return options

    @property
    def with_usage(self) -> bool:
        """Whether a stream ends with the usage."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    def sampling(self, temperature: float, max_tokens: int | None, logprobs: int | None) -> Sampling:
        """How tokens are chosen.

        Args:
            temperature: where the request has none.
            max_tokens: of an answer.
            logprobs: how many likeliest tokens are told; None: no logprobs.
        """
        return Sampling(
            temperature=temperature if self.temperature is None else self.temperature,
            top_p=1.0 if self.top_p is None else self.top_p,
            top_k=self.top_k if self.top_k is not None and self.top_k > 0 else None,  # other servers: -1 and 0 are all
            seed=None if self.seed is None else self.seed & MAX_SEED,  # engines know no negative ones
            max_tokens=max_tokens,
            stop=tuple(self.stop or ()),
            presence_penalty=self.presence_penalty or 0.0,
            frequency_penalty=self.frequency_penalty or 0.0,
            logit_bias={int(token): bias for token, bias in (self.logit_bias or {}).items()},
            logprobs=logprobs,
        )
