"""What a checkpoint says through the engine of transformers, and what the library itself says. Needs torch."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from headrace.engines.events import EngineEvent, TextDelta
from headrace.engines.generation import Generation
from headrace.engines.transformers.checkpoint import Checkpoint
from headrace.engines.transformers.loaded import LoadedModel
from headrace.engines.transformers.source import Source


def loaded(folder: Path, rows: int = 8, **options: Any) -> LoadedModel:
    return LoadedModel.load(Source(str(folder)), rows, 512, 24, **options)


async def read(model: LoadedModel, generation: Generation) -> list[EngineEvent]:
    prompt = model.tokens(generation)
    async with asyncio.timeout(60):
        return [event async for event in model.events(prompt, generation)]


def text(events: Sequence[EngineEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def generated(checkpoint: Checkpoint, prompt: Sequence[int], most: int) -> list[int]:
    """What `generate` says, greedily, up to an end of the checkpoint."""
    ids = torch.tensor([list(prompt)])
    made = checkpoint.model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=most,
        eos_token_id=sorted(checkpoint.end_tokens) or None,
        pad_token_id=0,
    )[0, len(prompt) :].tolist()
    return made[:-1] if made and made[-1] in checkpoint.end_tokens else made


def spoken(checkpoint: Checkpoint, tokens: Sequence[int]) -> str:
    silent = {*checkpoint.tokenizer.all_special_ids} - {checkpoint.tokenizer.convert_tokens_to_ids("[TOOL_CALLS]")}
    shown = [token for token in tokens if token not in silent]
    return str(checkpoint.tokenizer.decode(shown, clean_up_tokenization_spaces=False))
