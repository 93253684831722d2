"""The built-in model, many sequences one step at a time: the keys and values of each lie in a slot of one large cache.

It uses the matrices that `headrace.engines.tiny.model` has prepared, and checks nothing: what it makes for one sequence
is what that model makes (`python -m bench.tiny_steps` compares them).

In the shapes at the line ends: B sequences, S positions of the longest of them, D width, H heads, K key-value heads,
G = H / K, E width of a head, F inner width, V vocabulary.
"""

from __future__ import annotations

import heapq
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
    """Greedy steps of up to `places` sequences, each in a place of its own."""

    def __init__(self, model: Llama, places: int) -> None:
        config = model.config
        shape = (config.layers, places, config.key_value_heads, config.positions, config.head_width)
        self._model = model
        self._keys = np.zeros(shape, np.float32)
        self._values = np.zeros(shape, np.float32)
        self._lengths = np.zeros(places, np.intp)
        self._last = np.zeros(places, np.intp)
        self._free = list(range(places))  # a heap

    def join(self, ids: Sequence[int]) -> tuple[int, int]:
        """Reads a prompt; the place of the sequence, and its first token."""
        place, cache = heapq.heappop(self._free), KeyValueCache(self._model.config, len(ids))
        token = int(self._model.forward(ids, cache).argmax())
        self._keys[:, place, :, : len(ids)] = cache.keys
        self._values[:, place, :, : len(ids)] = cache.values
        self._lengths[place], self._last[place] = len(ids), token
        return place, token

    def leave(self, place: int) -> None:
        """Frees a place."""
        heapq.heappush(self._free, place)
        self._lengths[place] = 0

    def step(self, places: Sequence[int]) -> list[int]:
        """The next token of each of these sequences."""
        model: Any = self._model
        config, at = model.config, np.asarray(places)
        count = int(at.max()) + 1  # those between are computed too: a slice is no copy
        positions = self._lengths[:count]
        longest, each = int(positions.max()) + 1, np.arange(count)
        turned = config.heads + config.key_value_heads
        hidden = np.where(np.arange(longest) > positions[:, None], np.float32(-np.inf), np.float32(0))  # (B, S)
        x = model._embedding[self._last[:count]]  # (B, D)
        for number, layer in enumerate(model._layers):
            y = _normalized(x, config.epsilon) @ layer.attention_in  # (B, (H + 2K) E)
            y = y.reshape(count, turned + config.key_value_heads, config.head_width)  # (B, H + 2K, E)
            y.view(np.complex64)[:, :turned] *= model._turn[positions]
            self._keys[number, each, :, positions] = y[:, config.heads : turned]
            self._values[number, each, :, positions] = y[:, turned:]
            keys, values = self._keys[number, :count, :, :longest], self._values[number, :count, :, :longest]
            queries = y[:, : config.heads].reshape(count, config.key_value_heads, -1, config.head_width)  # (B, K, G, E)
            scores = queries @ keys.transpose(0, 1, 3, 2)  # (B, K, G, S)
            scores += hidden[:, None, None]
            scores -= scores.max(axis=-1, keepdims=True)
            np.exp(scores, out=scores)
            scores /= scores.sum(axis=-1, keepdims=True)
            x += (scores @ values).reshape(count, -1) @ layer.attention_out  # (B, D)
            y = _normalized(x, config.epsilon) @ layer.inner_in  # (B, 2F)
            half, up = y[:, : config.inner_width], y[:, config.inner_width :]  # (B, F)
            x += ((np.tanh(half) + 1.0) * half * up) @ layer.inner_out  # (B, D)
        tokens = (_normalized(x, config.epsilon) @ model._output).argmax(axis=1)  # (B,)
        self._lengths[at] += 1
        self._last[at] = tokens[at]
        return tokens[at].tolist()  # type: ignore[no-any-return]


def main() -> None:
    """Compares the tokens of sequences that come and go with those of the model alone."""
    model, prompts = load(), [[1, *range(20 + n, 30 + 3 * n)] for n in range(6)]
    steps, places, made = Steps(model, 4), [], []
    for round_number in range(30):
        if round_number % 4 == 0 and len(made) < 6 and len(places) < 4:
            place, token = steps.join(prompts[len(made)])
            places.append((place, len(made)))
            made.append([token])
        for (_, which), token in zip(places, steps.step([place for place, _ in places]), strict=True):
            made[which].append(token)
        if len(made[places[0][1]]) > 12:
            steps.leave(places.pop(0)[0])
    for prompt, tokens in zip(prompts, made, strict=False):
        cache, pending, alone = KeyValueCache(model.config, 200), prompt, []
        for _ in tokens:
            pending = [int(model.forward(pending, cache).argmax())]
            alone += pending
        assert alone == tokens, (alone, tokens)
    print(f"{sum(map(len, made))} tokens of {len(made)} sequences are those of the model alone")


if __name__ == "__main__":
    main()
