"""The built-in model, for the benchmarks."""

from __future__ import annotations

from headrace.engines.tiny.checkpoint import read_config, read_tensors
from headrace.engines.tiny.engine import CHECKPOINT
from headrace.engines.tiny.model import Llama
from headrace.engines.tiny.pool import LlamaPool

PACKED = True  # the pool computes no padding

Steps = LlamaPool


def load() -> Llama:
    """The built-in model."""
    return Llama(read_config(CHECKPOINT / "config.json"), read_tensors(CHECKPOINT / "model.safetensors"))
