"""Which generations are accepted, before any work is done for them.

The bounds are constants, so that an endpoint can declare the same ones for its parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import get_args, get_type_hints

from headrace.engines.engine import ModelInfo
from headrace.engines.generation import Generation, JsonObject, Message, NamedTool, Sampling
from headrace.engines.refusals import ContextTooLong, entry, refusal

MAX_TEMPERATURE = 2.0
MAX_SEED = 2**63 - 1
MAX_STOP_STRINGS = 16
MAX_STOP_LENGTH = 256  # characters: what may be held back
MAX_PENALTY = 2.0
MAX_BIAS = 100.0
MAX_BIASES = 1024
MAX_UNKNOWN = 16  # tokens that one error names

_ROLES = get_args(get_type_hints(Message)["role"])


def check(generation: Generation, info: ModelInfo) -> None:
    """Raises `InvalidArguments`, with an entry for each error, unless the model can make the generation."""
    errors = [
        *_input_errors(generation, info),
        *_sampling_errors(generation.sampling),
        *_answer_errors(generation, info),
        *_tool_errors(generation, info),
    ]
    if errors:
        raise refusal(errors)


def check_tokens(generation: Generation, vocabulary: int) -> None:
    """Raises `InvalidArguments` if it names tokens that a model of so many tokens does not have."""
    prompt = () if generation.prompt is None or isinstance(generation.prompt, str) else generation.prompt
    named = [(f"/prompt/{number}", token) for number, token in enumerate(prompt)]
    named += [(f"/logit_bias/{token}", token) for token in generation.sampling.logit_bias]
    errors = [
        entry(pointer, f"there is no token {token}; the model has {vocabulary}, counted from 0", "out_of_range")
        for pointer, token in named
        if not 0 <= token < vocabulary
    ]
    if errors:
        raise refusal(errors[:MAX_UNKNOWN])


def check_length(generation: Generation, tokens: int, context: int) -> None:
    """Raises `InvalidArguments` for a prompt without tokens, `ContextTooLong` if it leaves no room for an answer."""
    if not tokens:
        raise refusal([entry(_prompt_pointer(generation), "the prompt has no tokens; it must have one", "too_short")])
    if tokens >= context:
        raise too_long(generation, f"{tokens} tokens", context)


def too_long(generation: Generation, size: str, context: int) -> ContextTooLong:
    """The error for a prompt of this size; the model's context is told in tokens."""
    detail = f"the prompt has {size}; the model reads {context} tokens, its answer included"
    return ContextTooLong(detail, [entry(_prompt_pointer(generation), detail, "too_long")], context)


def _prompt_pointer(generation: Generation) -> str:
    return "/prompt" if generation.messages is None else "/messages"


def _input_errors(generation: Generation, info: ModelInfo) -> Iterator[dict[str, str]]:
    messages, prompt = generation.messages, generation.prompt
    if (messages is None) == (prompt is None):
        given = "neither" if messages is None else "both"
        yield entry("", f"give exactly one of messages and prompt; this has {given}", "one_of")
    elif messages is not None:
        if not messages:
            yield entry("/messages", "a conversation needs at least one message", "too_short")
        for number, message in enumerate(messages):
            if message.role not in _ROLES:
                detail = f"role is {message.role!r}; it must be one of {', '.join(_ROLES)}"
                yield entry(f"/messages/{number}/role", detail, "enum")
            elif (message.role == "tool" or message.tool_calls) and not info.tools:
                member = "role" if message.role == "tool" else "tool_calls"
                detail = f"{info.name} cannot call functions; leave their calls and results out"
                yield entry(f"/messages/{number}/{member}", detail, "unsupported")
    elif not (isinstance(prompt, str) or info.token_prompts):
        yield entry("/prompt", f"{info.name} takes no token ids; give the prompt as text", "unsupported")


def _sampling_errors(sampling: Sampling) -> Iterator[dict[str, str]]:
    for name, lowest, highest in (
        ("temperature", 0, MAX_TEMPERATURE),
        ("presence_penalty", -MAX_PENALTY, MAX_PENALTY),
        ("frequency_penalty", -MAX_PENALTY, MAX_PENALTY),
    ):
        if not lowest <= (value := getattr(sampling, name)) <= highest:  # written so that NaN is out of range
            detail = f"{name} is {value}; it must be between {lowest:g} and {highest:g}"
            yield entry(f"/{name}", detail, "out_of_range")
    if not 0 < sampling.top_p <= 1:
        yield entry("/top_p", f"top_p is {sampling.top_p}; it must be above 0 and at most 1", "out_of_range")
    if sampling.seed is not None and not 0 <= sampling.seed <= MAX_SEED:
        yield entry("/seed", f"seed is {sampling.seed}; it must be between 0 and {MAX_SEED}", "out_of_range")
    for name in ("max_tokens", "top_k"):
        if (count := getattr(sampling, name)) is not None and count < 1:
            yield entry(f"/{name}", f"{name} is {count}; it must be at least 1", "out_of_range")
    yield from _stop_errors(sampling.stop)
    yield from _bias_errors(sampling.logit_bias)


def _stop_errors(stop: Sequence[str]) -> Iterator[dict[str, str]]:
    if len(stop) > MAX_STOP_STRINGS:
        detail = f"{len(stop)} stop strings are too many; at most {MAX_STOP_STRINGS} are possible"
        yield entry("/stop", detail, "too_long")
    for number, string in enumerate(stop):
        if not 1 <= len(string) <= MAX_STOP_LENGTH:
            detail = f"a stop string has {len(string)} characters; it must have 1 to {MAX_STOP_LENGTH}"
            yield entry(f"/stop/{number}", detail, "out_of_range")


def _bias_errors(biases: Mapping[int, float]) -> Iterator[dict[str, str]]:
    if len(biases) > MAX_BIASES:
        yield entry("/logit_bias", f"{len(biases)} biases are too many; at most {MAX_BIASES} are possible", "too_long")
        return
    for token, bias in biases.items():
        if not -MAX_BIAS <= bias <= MAX_BIAS:
            detail = f"the bias of token {token} is {bias}; it must be between {-MAX_BIAS:g} and {MAX_BIAS:g}"
            yield entry(f"/logit_bias/{token}", detail, "out_of_range")


def _answer_errors(generation: Generation, info: ModelInfo) -> Iterator[dict[str, str]]:
    """What is asked of each answer, and how many of them."""
    if not 1 <= generation.n <= info.max_n:
        yield entry("/n", f"n is {generation.n}; it must be between 1 and {info.max_n}", "out_of_range")
    asked = generation.sampling.logprobs
    if asked is not None and info.max_logprobs is None:
        yield entry("/logprobs", f"{info.name} tells no logprobs; leave them out", "unsupported")
    elif asked is not None and not 0 <= asked <= (info.max_logprobs or 0):
        yield entry("/logprobs", f"logprobs is {asked}; it must be between 0 and {info.max_logprobs}", "out_of_range")
    kind = "json_object" if isinstance(generation.response_format, JsonObject) else "json_schema"
    if generation.response_format is not None and not getattr(info, kind):
        detail = f"{info.name} cannot guarantee {kind}; ask for it in the prompt, and leave response_format out"
        yield entry("/response_format", detail, "unsupported")


def _tool_errors(generation: Generation, info: ModelInfo) -> Iterator[dict[str, str]]:
    names, choice = [tool.name for tool in generation.tools], generation.tool_choice
    if names and choice != "none" and not info.tools:
        yield entry("/tools", f"{info.name} cannot call functions; leave tools out", "unsupported")
    elif isinstance(choice, NamedTool) and choice.name not in names:
        yield entry("/tool_choice", f"there is no tool {choice.name!r}", "enum")
    elif choice == "required" and not names:
        yield entry("/tool_choice", "tool_choice is 'required', and there are no tools", "too_short")
    elif choice not in ("auto", "none") and not info.forced_tools:
        detail = f"{info.name} cannot be made to call a function; tool_choice must be 'auto' or 'none'"
        yield entry("/tool_choice", detail, "unsupported")
