"""What an engine can do, held against what a request asks for, before the engine is called.

An answer must be what was asked for: what an engine cannot make certain is refused, and never tried in silence. A
prompt that cannot fit is refused by its length alone, so that no engine copies it.
"""

from __future__ import annotations

from collections.abc import Iterator

from headrace.engines.arguments import too_long
from headrace.engines.engine import ModelInfo
from headrace.engines.generation import Generation, JsonObject, JsonSchema
from headrace.engines.refusals import entry
from headrace.errors import InvalidArguments
from headrace.openai.body import told, wrong

UNKNOWN_CONTEXT = 128 * 1024
"""Tokens that are passed on to a model whose context is not known."""

TOKEN_CHARACTERS = 256
"""The longest tokens of common vocabularies have 128."""


def check(generation: Generation, info: ModelInfo) -> None:
    """Finds what a model cannot do. Pointers are those of a chat request, or of a completion's.

    Raises:
        InvalidArguments: the generation cannot be made.
        ContextTooLong: the prompt has no room in the model's context, however its tokens are cut.
    """
    if errors := list(_errors(generation, info)):
        raise told(InvalidArguments("", errors))
    _check_length(generation, info.context)


def _check_length(generation: Generation, context: int | None) -> None:
    prompt = generation.prompt
    if prompt is None or isinstance(prompt, str):
        characters = len(prompt or "") + sum(len(message.content) for message in generation.messages or ())
        size, tokens = f"{characters} characters", characters // TOKEN_CHARACTERS
    else:
        size, tokens = f"{len(prompt)} tokens", len(prompt)
    if tokens < (context or UNKNOWN_CONTEXT):
        return
    if context is not None:
        raise too_long(generation, size, context)
    place = "/prompt" if generation.messages is None else "/messages"
    raise wrong(place, f"{size}; fewer than {UNKNOWN_CONTEXT} tokens are taken here", "too_long")


def _errors(generation: Generation, info: ModelInfo) -> Iterator[dict[str, str]]:
    if generation.n > info.max_n:
        yield entry("/n", f"{generation.n}; this model makes at most {info.max_n} answers to one prompt", "range")
    logprobs = generation.sampling.logprobs
    if logprobs is not None and info.max_logprobs is None:
        yield entry("/logprobs", "this model tells no logprobs", "unsupported")
    elif logprobs is not None and info.max_logprobs is not None and logprobs > info.max_logprobs:
        yield entry("/top_logprobs", f"{logprobs}; this model tells at most {info.max_logprobs}", "range")
    if not isinstance(generation.prompt, str | None) and not info.token_prompts:
        yield entry("/prompt", "this model's prompts are texts, not token ids", "unsupported")
    yield from _tool_errors(generation, info)
    if isinstance(generation.response_format, JsonObject) and not info.json_object:
        yield entry("/response_format", "this model cannot be held to JSON; ask for it in the prompt", "unsupported")
    if isinstance(generation.response_format, JsonSchema) and not info.json_schema:
        detail = "this model cannot be held to a schema; ask for it in the prompt, and check what comes"
        yield entry("/response_format", detail, "unsupported")


def _tool_errors(generation: Generation, info: ModelInfo) -> Iterator[dict[str, str]]:
    if generation.tools and not info.tools:
        yield entry("/tools", "this model cannot call functions; leave them out", "unsupported")
    elif generation.tool_choice not in ("auto", "none") and not info.forced_tools:
        yield entry("/tool_choice", 'this model cannot be held to a call; send "auto" or "none"', "unsupported")
