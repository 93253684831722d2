"""The forward pass of a Llama-style decoder over the rows of a pool, in numpy.

Only tokens that count are computed: those of all rows stand packed, one behind the other, but for attention, where they
go back to their rows.

In the shapes at the line ends: B rows, T the most new tokens of one of them, N new tokens of all, S positions that are
seen, D width, H heads, K key-value heads, G = H / K, E width of a head, F inner width, V vocabulary.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headrace.engines.tiny.attention import Attention
from headrace.engines.tiny.checkpoint import Array
from headrace.engines.tiny.model import Layer, Llama

TILE = 4
"""Rows that a matrix product computes at once: one row less takes longer, by up to a quarter (OpenBLAS on x86)."""


class LlamaPool:
    """Keys and values of many sequences, and the model that reads them; see `Pool`.

    Memory is taken when a row is first used, and not given back: for the built-in model 3 MiB a row of 1,024 positions.
    """

    def __init__(self, model: Llama, rows: int, positions: int) -> None:
        config = model.config
        shape = (config.layers, rows, config.key_value_heads, positions, config.head_width)
        self.rows = rows
        self.positions = positions
        self._model = model
        self._keys: Array = np.zeros(shape, np.float32)  # finite also where nothing was written
        self._values: Array = np.zeros(shape, np.float32)

    def move(self, source: int, target: int, length: int) -> None:
        """See `Pool.move`."""
        for pool in (self._keys, self._values):
            pool[:, target, :, :length] = pool[:, source, :, :length]

    def compute(
        self, first: int, tokens: NDArray[np.int64], new: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """See `Pool.compute`."""
        model, config = self._model, self._model.config
        row, column = np.nonzero(np.arange(tokens.shape[1]) < new[:, None])  # (N,), row by row
        positions = lengths[row] + column  # (N,)
        turn = model.turn[positions]  # (N, 1, E/2)
        turned = config.heads + config.key_value_heads  # the heads of queries and keys
        attention = Attention(row, column, positions)
        count, rows, written = len(row), slice(first, first + len(new)), (first + row, slice(None), positions)
        x = _tiled(model.embedding[tokens[row, column]])  # (N, D), from here on with rows of zeros at the end
        mixed = np.zeros((len(x), config.heads, config.head_width), np.float32)  # (N, H, E)
        for layer, keys, values in zip(model.layers, self._keys, self._values, strict=True):
            y = _normalized(x, config.epsilon) @ layer.attention_in  # (N, (H + 2K) E)
            y = y.reshape(len(x), -1, config.head_width)  # (N, H + 2K, E)
            y.view(np.complex64)[:count, :turned] *= turn
            keys[written] = y[:count, config.heads : turned]
            values[written] = y[:count, turned:]
            attention.mix(y[:count, : config.heads], keys[rows], values[rows], mixed[:count])
            x += mixed.reshape(len(x), -1) @ layer.attention_out
            x += _inner(_normalized(x, config.epsilon), layer)
        ends = _tiled(x[np.cumsum(new) - 1])  # (B, D)
        logits: Array = _normalized(ends, config.epsilon) @ model.output
        return logits[: len(new)]


def _tiled(x: Array) -> Array:
    """With rows of zeros up to the next multiple of `TILE`; a single row stays alone."""
    missing = -len(x) % TILE if len(x) > 1 else 0
    return np.concatenate([x, np.zeros((missing, x.shape[1]), np.float32)]) if missing else x


def _normalized(x: Array, epsilon: float) -> Array:
    """RMS norm without its weights, which are part of the matrix that follows."""
    mean = np.einsum("nd,nd->n", x, x) / x.shape[1]
    scaled: Array = x / np.sqrt(mean + np.float32(epsilon))[:, None]
    return scaled


def _inner(x: Array, layer: Layer) -> Array:
    """SwiGLU."""
    y = x @ layer.inner_in  # (N, 2F)
    half, up = np.split(y, 2, axis=1)  # (N, F)
    gate = np.tanh(half)
    gate += 1.0
    gate *= half
    gate *= up
    out: Array = gate @ layer.inner_out  # (N, D)
    return out
