"""Which generations are accepted, before any work is done for them.

The bounds are constants, so that an endpoint can declare the same ones for its parameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args, get_type_hints

from headrace.engines.engine import Generation, Message, Sampling
from headrace.errors import InvalidArguments

MAX_TEMPERATURE = 2.0
MAX_SEED = 2**63 - 1
MAX_STOP_STRINGS = 16
MAX_STOP_LENGTH = 256  # characters: what may be held back

_ROLES = get_args(get_type_hints(Message)["role"])


def check(generation: Generation) -> None:
    """Raises `InvalidArguments`, with an entry for each error, unless the generation can be made."""
    errors = [*_input_errors(generation), *_sampling_errors(generation.sampling)]
    if errors:
        raise refusal(errors)


def refusal(errors: list[dict[str, str]]) -> InvalidArguments:
    """The error for these entries; its message is their details."""
    return InvalidArguments("; ".join(error["detail"] for error in errors), errors)


def entry(pointer: str, detail: str, kind: str) -> dict[str, str]:
    """One entry: `pointer` into the arguments (RFC 6901), what is wrong, and what kind of error that is."""
    return {"pointer": pointer, "detail": detail, "type": kind}


def _input_errors(generation: Generation) -> Iterator[dict[str, str]]:
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


def _sampling_errors(sampling: Sampling) -> Iterator[dict[str, str]]:
    if not 0 <= sampling.temperature <= MAX_TEMPERATURE:  # written so that NaN is out of range
        detail = f"temperature is {sampling.temperature}; it must be between 0 and {MAX_TEMPERATURE:g}"
        yield entry("/temperature", detail, "out_of_range")
    if not 0 < sampling.top_p <= 1:
        yield entry("/top_p", f"top_p is {sampling.top_p}; it must be above 0 and at most 1", "out_of_range")
    if sampling.seed is not None and not 0 <= sampling.seed <= MAX_SEED:
        yield entry("/seed", f"seed is {sampling.seed}; it must be between 0 and {MAX_SEED}", "out_of_range")
    if sampling.max_tokens < 1:
        yield entry("/max_tokens", f"max_tokens is {sampling.max_tokens}; it must be at least 1", "out_of_range")
    if len(sampling.stop) > MAX_STOP_STRINGS:
        detail = f"{len(sampling.stop)} stop strings are too many; at most {MAX_STOP_STRINGS} are possible"
        yield entry("/stop", detail, "too_long")
    for number, string in enumerate(sampling.stop):
        if not 1 <= len(string) <= MAX_STOP_LENGTH:
            detail = f"a stop string has {len(string)} characters; it must have 1 to {MAX_STOP_LENGTH}"
            yield entry(f"/stop/{number}", detail, "out_of_range")
