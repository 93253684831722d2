"""The built-in model, many sequences one step at a time: the keys and values of each lie in a row of one pool.

The rows in use are the first ones, so a step works on slices and copies nothing; a row that is dropped is filled with
the last one. What it makes for one sequence is what `headrace.engines.tiny.model` makes, whose matrices it uses
(`python -m bench.tiny_steps` compares them).

In the shapes at the line ends: B sequences, T new tokens of each, S positions of the longest with them, D width,
H heads, K key-value heads, G = H / K, E width of a head, F inner width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headrace.engines.tiny.checkpoint import read_config, read_tensors
from headrace.engines.tiny.engine import CHECKPOINT
from headrace.engines.tiny.model import KeyValueCache, Llama, _normalized


def load() -> Llama:
    """The built-in model."""
    return Llama(read_config(CHECKPOINT / "config.json"), read_tensors(CHECKPOINT / "model.safetensors"))


class Steps:
    """Greedy steps of up to `places` sequences of at most `longest` tokens each."""

    def __init__(self, model: Llama, places: int, longest: int) -> None:
        config = model.config
        shape = (config.layers, places, config.key_value_heads, longest, config.head_width)
        self._model: Any = model
        self._keys = np.zeros(shape, np.float32)
        self._values = np.zeros(shape, np.float32)
        self._lengths = np.zeros(places, np.intp)
        self._last = np.zeros(places, np.intp)
        self._count = 0

    def join(self, prompts: Sequence[Sequence[int]]) -> list[int]:
        """Reads prompts of one length into the next rows; their first tokens."""
        rows = slice(self._count, self._count + len(prompts))
        self._count, self._lengths[rows] = rows.stop, 0
        return self._advance(rows, np.asarray(prompts))

    def step(self) -> list[int]:
        """The next token of each row."""
        rows = slice(self._count)
        return self._advance(rows, self._last[rows, None])

    def drop(self, row: int) -> None:
        """Ends a sequence; the last one has its row then."""
        self._count = last = self._count - 1
        length = self._lengths[last]
        for pool in (self._keys, self._values):
            pool[:, row, :, :length] = pool[:, last, :, :length]
        self._lengths[row], self._last[row] = length, self._last[last]

    def _advance(self, rows: slice, ids: Any) -> list[int]:
        """Reads new tokens (B, T); the one that follows in each row."""
        model, config = self._model, self._model.config
        new, turned, heads = ids.shape[1], config.heads + config.key_value_heads, config.key_value_heads
        positions = self._lengths[rows, None] + np.arange(new)  # (B, T)
        longest, row = int(positions.max()) + 1, np.arange(rows.start or 0, rows.stop)[:, None]
        hidden = np.where(np.arange(longest) > positions[..., None], np.float32(-np.inf), np.float32(0))  # (B, T, S)
        x = model._embedding[ids].reshape(-1, config.width)  # (B T, D)
        for number, layer in enumerate(model._layers):
            y = _normalized(x, config.epsilon) @ layer.attention_in  # (B T, (H + 2K) E)
            y = y.reshape(*ids.shape, turned + heads, config.head_width)  # (B, T, H + 2K, E)
            y.view(np.complex64)[:, :, :turned] *= model._turn[positions]
            self._keys[number, row, :, positions] = y[:, :, config.heads : turned]
            self._values[number, row, :, positions] = y[:, :, turned:]
            keys, values = self._keys[number, rows, :, :longest], self._values[number, rows, :, :longest]
            queries = y[:, :, : config.heads].transpose(0, 2, 1, 3)  # (B, H, T, E)
            scores = queries.reshape(len(ids), heads, -1, config.head_width) @ keys.swapaxes(2, 3)  # (B, K, G T, S)
            scores.reshape(len(ids), -1, new, longest)[...] += hidden[:, None]  # (B, H, T, S), the same memory
            scores -= scores.max(axis=-1, keepdims=True)
            np.exp(scores, out=scores)
            scores /= scores.sum(axis=-1, keepdims=True)
            mixed = (scores @ values).reshape(len(ids), config.heads, new, -1).swapaxes(1, 2)  # (B, T, H, E)
            x += mixed.reshape(len(x), -1) @ layer.attention_out  # (B T, D)
            y = _normalized(x, config.epsilon) @ layer.inner_in  # (B T, 2F)
            half, up = y[:, : config.inner_width], y[:, config.inner_width :]  # (B T, F)
            x += ((np.tanh(half) + 1.0) * half * up) @ layer.inner_out  # (B T, D)
        ends = np.ascontiguousarray(x[new - 1 :: new])  # (B, D)
        self._lengths[rows] += new
        self._last[rows] = (_normalized(ends, config.epsilon) @ model._output).argmax(axis=1)  # (B,)
        return self._last[rows].tolist()  # type: ignore[no-any-return]


def main() -> None:
    """Compares the tokens of sequences that come and go with those of the model alone."""
    model, prompts = load(), [[1, *range(20 + n, 30 + 3 * n)] for n in range(6)]
    prompts += [list(reversed(prompt)) for prompt in prompts]  # two of each length join together
    steps, rows, made = Steps(model, 4, 100), list[int](), list[list[int]]()
    for number in range(60):
        if number % 7 == 0 and len(made) < 6 and len(rows) < 3:
            which = len(made)
            rows += [which, which + 1]
            pair = [prompts[which // 2], prompts[which // 2 + 6]]
            made += [[token] for token in steps.join(pair)]
        for which, token in zip(rows, steps.step(), strict=True):
            made[which].append(token)
        if number % 5 == 0 and rows and len(made[rows[0]]) > 12:
            steps.drop(0)
            rows[0] = rows[-1]
            rows.pop()
        if not rows:
            break
    for which, tokens in enumerate(made):
        prompt = prompts[which // 2 + 6 * (which % 2)]
        cache, pending, alone = KeyValueCache(model.config, 200), prompt, list[int]()
        for _ in tokens:
            pending = [int(model.forward(pending, cache).argmax())]
            alone += pending
        assert alone == tokens, (which, alone, tokens)
    print(f"{sum(map(len, made))} tokens of {len(made)} sequences are those of the model alone")


if __name__ == "__main__":
    main()
