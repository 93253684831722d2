"""What is asked of an answer, as vLLM wants to be told."""

from __future__ import annotations

from typing import Any

from headrace.engines.generation import Generation, JsonObject, JsonSchema
from headrace.engines.vllm.library import Library


def parameters(generation: Generation, library: Library, *, show_marks: bool) -> Any:
    """The `SamplingParams` of one answer.

    Args:
        generation: that `arguments.check` has let pass, with `n` 1.
        library: vLLM.
        show_marks: whether special tokens are text. The marks of calls and of reasoning are such tokens in some models.
    """
    sampling = generation.sampling
    return library.sampling(
        output_kind=library.delta,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k or 0,
        seed=sampling.seed,
        max_tokens=sampling.max_tokens,
        stop=list(sampling.stop),
        presence_penalty=sampling.presence_penalty,
        frequency_penalty=sampling.frequency_penalty,
        logit_bias=dict(sampling.logit_bias) or None,
        logprobs=sampling.logprobs,
        skip_special_tokens=not show_marks,
        spaces_between_special_tokens=False,
        structured_outputs=_structure(generation, library),
    )


def _structure(generation: Generation, library: Library) -> Any:
    match generation.response_format:
        case JsonObject():
            return library.structured(json_object=True)
        case JsonSchema(schema=schema):
            return library.structured(json=dict(schema))
    return None
