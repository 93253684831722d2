"""The built-in model, many sequences one step at a time.

What it makes for one sequence is what `headrace.engines.tiny.model` makes, whose matrices it uses
(`python -m bench.tiny_steps` compares them).

In the shapes at the line ends: B sequences, T new tokens of each, S positions of the longest with them, D width,
H heads, K key-value heads, G = H / K, E width of a head, F inner width, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.rows import Rows, compare
from headrace.engines.tiny.checkpoint import read_config, read_tensors
from headrace.engines.tiny.engine import CHECKPOINT
from headrace.engines.tiny.model import KeyValueCache, Llama, _normalized


def load() -> Llama:
    """The built-in model."""
    return Llama(read_config(CHECKPOINT / "config.json"), read_tensors(CHECKPOINT / "model.safetensors"))


class Steps(Rows):
    """Its steps, for sequences of at most `longest` tokens."""

    def __init__(self, model: Llama, places: int, longest: int) -> None:
        super().__init__(places)
        config = model.config
        shape = (config.layers, places, config.key_value_heads, longest, config.head_width)
        self._model: Any = model
        self._keys = np.zeros(shape, np.float32)
        self._values = np.zeros(shape, np.float32)

    def copy(self, source: int, target: int) -> None:
        """See `Rows.copy`."""
        for pool in (self._keys, self._values):
            pool[:, target, :, : self.lengths[source]] = pool[:, source, :, : self.lengths[source]]

    def compute(self, rows: slice, ids: Any) -> Any:
        """See `Rows.compute`."""
        model, config = self._model, self._model.config
        new, turned = ids.shape[1], config.heads + config.key_value_heads
        positions = self.lengths[rows, None] + np.arange(-new, 0)  # (B, T)
        row, groups = np.arange(rows.start, rows.stop)[:, None], self.groups(rows)
        later = np.arange(positions.max() + 1) > positions[..., None]
        hidden = np.where(later, np.float32(-np.inf), np.float32(0))  # (B, T, S)
        x = model._embedding[ids].reshape(-1, config.width)  # (B T, D)
        for layer, keys, values in zip(model._layers, self._keys, self._values, strict=True):
            y = _normalized(x, config.epsilon) @ layer.attention_in  # (B T, (H + 2K) E)
            y = y.reshape(*ids.shape, -1, config.head_width)  # (B, T, H + 2K, E)
            y.view(np.complex64)[:, :, :turned] *= model._turn[positions]
            keys[row, :, positions] = y[:, :, config.heads : turned]
            values[row, :, positions] = y[:, :, turned:]
            queries = y[:, :, : config.heads].swapaxes(1, 2)  # (B, H, T, E)
            mixed = np.concatenate(
                [
                    _attend(
                        queries[those], keys[group, :, :longest], values[group, :, :longest], hidden[those, :, :longest]
                    )
                    for group, those, longest in groups
                ]
            )  # (B, T, H E)
            x += mixed.reshape(len(x), -1) @ layer.attention_out  # (B T, D)
            y = _normalized(x, config.epsilon) @ layer.inner_in  # (B T, 2F)
            half, up = y[:, : config.inner_width], y[:, config.inner_width :]  # (B T, F)
            x += ((np.tanh(half) + 1.0) * half * up) @ layer.inner_out  # (B T, D)
        ends = np.ascontiguousarray(x[new - 1 :: new])  # (B, D)
        return (_normalized(ends, config.epsilon) @ model._output).argmax(axis=1)  # (B,)


def _attend(queries: Any, keys: Any, values: Any, hidden: Any) -> Any:
    """Softmax attention of some sequences; each key-value head serves G query heads."""
    count, heads, new, width = queries.shape
    scores = queries.reshape(count, keys.shape[1], -1, width) @ keys.swapaxes(2, 3)  # (B, K, G T, S)
    scores.reshape(count, heads, new, -1)[...] += hidden[:, None]  # the same memory
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    mixed = (scores @ values).reshape(count, heads, new, width)  # (B, H, T, E)
    return mixed.swapaxes(1, 2).reshape(count, new, -1)  # (B, T, H E)


def main() -> None:
    """Compares what rows make with what the model makes."""
    model = load()

    def alone(prompt: list[int], count: int) -> list[int]:
        cache, pending, made = KeyValueCache(model.config, 60), prompt, list[int]()
        for _ in range(count):
            pending = [int(model.forward(pending, cache).argmax())]
            made += pending
        return made

    compare(Steps(model, 20, 60), alone)


if __name__ == "__main__":
    main()
