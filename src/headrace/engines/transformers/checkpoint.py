"""Loads a checkpoint with the `transformers` library: weights, tokenizer, context and ends.

Of weights, safetensors alone: other formats are pickles, which run code when they are read. Code that comes with a
checkpoint runs only where the engine's user has said so. A folder is loaded without the network.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as library_logging

from headrace.engines.tiny.checkpoint import InvalidCheckpoint
from headrace.engines.transformers.source import Source

_CONTEXTS = ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len", "seq_length", "n_ctx")
_UNKNOWN_LENGTH = 10**9  # a tokenizer says more where nobody has told it a length


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model and its tokenizer.

    Attributes:
        model: in evaluation mode, on its device.
        tokenizer: of it.
        context: tokens that the model reads, its answer included; None: it has no bound.
        end_tokens: each of them ends an answer.
        vocabulary: how many tokens the model has; a tokenizer may have fewer.
    """

    model: Any
    tokenizer: Any
    context: int | None
    end_tokens: frozenset[int]
    vocabulary: int


def load(source: Source) -> Checkpoint:
    """Loads it; `InvalidCheckpoint`, with what to do, if that fails."""
    if source.missing:
        raise InvalidCheckpoint(
            f"there is no folder {source.model}; give the one that has config.json and *.safetensors"
        )
    local = source.folder is not None
    where: dict[str, Any] = {
        "pretrained_model_name_or_path": str(source.folder) if local else source.model,
        "revision": source.revision or "main",
        "trust_remote_code": source.trust_remote_code,
        "local_files_only": local,
    }
    try:
        with _without_bars(local):
            config = AutoConfig.from_pretrained(**where)
            tokenizer = AutoTokenizer.from_pretrained(**where)
            model = _model(where, source, config)
    # Each of them is raised for many reasons, and the library's own words are the best that is known of it.
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        raise InvalidCheckpoint(source.explain(error)) from error
    context = _context(config, tokenizer)
    tokenizer.model_max_length = _UNKNOWN_LENGTH  # prompts are measured before they are read; this one only warns
    return Checkpoint(model, tokenizer, context, _end_tokens(model, tokenizer), _vocabulary(model))


def _model(where: dict[str, Any], source: Source, config: Any) -> Any:
    gpus = torch.cuda.device_count()
    device = torch.device(source.device or ("cuda" if gpus else "cpu"))
    if device.type == "cuda" and (device.index or 0) >= gpus:
        raise ValueError(f"there is no device {device}; torch sees {gpus} GPUs")
    dtype = source.dtype or ("float32" if device.type == "cpu" else "auto")
    model, report = AutoModelForCausalLM.from_pretrained(
        **where, config=config, dtype=dtype, use_safetensors=True, output_loading_info=True
    )
    if missing := sorted(report["missing_keys"]):
        raise ValueError(f"its files have no weights for {', '.join(missing[:3])}; it is not a whole language model")
    return model.to(device).train(False)


@contextmanager
def _without_bars(local: bool) -> Iterator[None]:
    """A download shows its progress; reading a folder has none to show."""
    shown = library_logging.is_progress_bar_enabled()
    if local:
        library_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            library_logging.enable_progress_bar()


def _context(config: Any, tokenizer: Any) -> int | None:
    text = config.get_text_config()
    told = [length for name in _CONTEXTS if isinstance(length := getattr(text, name, None), int)]
    if told:
        return told[0]
    return int(tokenizer.model_max_length) if tokenizer.model_max_length < _UNKNOWN_LENGTH else None


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """All that the checkpoint names anywhere: often only one of its files knows the end of a turn."""
    ends: set[int] = set()
    for named in (model.generation_config, model.config.get_text_config(), tokenizer):
        value = getattr(named, "eos_token_id", None)
        ends.update(value if isinstance(value, list | tuple) else [] if value is None else [value])
    return frozenset(ends)


def _vocabulary(model: Any) -> int:
    return int(model.get_input_embeddings().weight.shape[0])
