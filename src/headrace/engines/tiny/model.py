"""The forward pass of a Llama-style decoder, in numpy: RMS norm, rotary positions, grouped queries, SwiGLU.

What does not depend on the input happens once, when the weights are loaded:

* matrices that share an input are joined (queries, keys and values; gate and up), and lie transposed, for `x @ w`;
* the weights of each RMS norm are multiplied into the matrices that read it;
* the attention scale is multiplied into the queries, and the half that `x * sigmoid(x) = h + h * tanh(h), h = x / 2`
  asks for into the gate: unlike `exp`, `tanh` never overflows;
* a rotary position turns the pairs (i, i + half) of a head. Queries and keys are reordered alike so that such a pair
  lies side by side, which changes no dot product: a pair is then one complex number, turned by one multiplication.

In the shapes at the line ends: T new tokens, S positions seen so far with them, D width, H heads, K key-value heads,
G = H / K, E width of a head, F inner width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headrace.engines.tiny.checkpoint import Array, InvalidCheckpoint, LlamaConfig


class KeyValueCache:
    """The keys and values of one sequence, for at most `capacity` positions; `length` of them are filled."""

    def __init__(self, config: LlamaConfig, capacity: int) -> None:
        if capacity > config.positions:
            raise ValueError(f"capacity {capacity} is more than the model's {config.positions} positions")
        shape = (config.layers, config.key_value_heads, capacity, config.head_width)
        self.keys: Array = np.empty(shape, np.float32)  # (layers, K, capacity, E)
        self.values: Array = np.empty(shape, np.float32)  # (layers, K, capacity, E)
        self.capacity = capacity
        self.length = 0


@dataclass(frozen=True, slots=True)
class _Layer:
    """The matrices of one layer, as the module docstring says."""

    attention_in: Array  # (D, (H + 2K) E)
    attention_out: Array  # (H E, D)
    inner_in: Array  # (D, 2F)
    inner_out: Array  # (F, D)


class Llama:
    """A model that maps token ids to the logits of the next token."""

    def __init__(self, config: LlamaConfig, tensors: Mapping[str, Array]) -> None:
        self.config = config
        weights = _Weights(config, tensors)
        self._embedding = weights.embedding()
        self._output = weights.output()
        self._layers = [weights.layer(number) for number in range(config.layers)]
        frequency = config.theta ** (-np.arange(0, config.head_width, 2) / config.head_width)  # (E/2,)
        angle = np.outer(np.arange(config.positions), frequency)
        self._turn: NDArray[np.complex64] = np.exp(1j * angle).astype(np.complex64)[:, None]  # (positions, 1, E/2)

    def forward(self, ids: Sequence[int], cache: KeyValueCache) -> Array:
        """Appends `ids` to the sequence in `cache` and returns the logits (V,) of the token that follows them.

        A whole prompt and a single token are the same call: T is their number. `ValueError` if they are none, or more
        than the cache has room for.
        """
        config = self.config
        new, begin = len(ids), cache.length
        end = begin + new
        if not begin < end <= cache.capacity:
            raise ValueError(f"{new} tokens do not fit behind {begin} in a cache of {cache.capacity}")
        turn = self._turn[begin:end]  # (T, 1, E/2)
        hidden_from = _later(begin, end) if new > 1 else None  # a single token sees everything
        turned = config.heads + config.key_value_heads  # the heads of queries and keys
        x = self._embedding[list(ids)]  # (T, D)
        for number, layer in enumerate(self._layers):
            y = _normalized(x, config.epsilon) @ layer.attention_in  # (T, (H + 2K) E)
            y = y.reshape(new, turned + config.key_value_heads, config.head_width)  # (T, H + 2K, E)
            pairs = y.view(np.complex64)  # (T, H + 2K, E/2)
            pairs[:, :turned] *= turn
            by_head = y.transpose(1, 0, 2)  # (H + 2K, T, E)
            cache.keys[number, :, begin:end] = by_head[config.heads : turned]
            cache.values[number, :, begin:end] = by_head[turned:]
            keys, values = cache.keys[number, :, :end], cache.values[number, :, :end]  # (K, S, E)
            mixed = _attend(by_head[: config.heads], keys, values, hidden_from)  # (T, H E)
            x += mixed @ layer.attention_out  # (T, D)
            y = _normalized(x, config.epsilon) @ layer.inner_in  # (T, 2F)
            half, up = y[:, : config.inner_width], y[:, config.inner_width :]  # (T, F)
            gate = np.tanh(half)
            gate += 1.0
            gate *= half
            gate *= up
            x += gate @ layer.inner_out  # (T, D)
        cache.length = end
        logits: Array = _normalized(x[-1:], config.epsilon)[0] @ self._output  # (V,)
        return logits


def _normalized(x: Array, epsilon: float) -> Array:
    """RMS norm without its weights, which are part of the matrix that follows."""
    mean = np.einsum("td,td->t", x, x) / x.shape[1]
    scaled: Array = x / np.sqrt(mean + np.float32(epsilon))[:, None]
    return scaled


def _later(begin: int, end: int) -> Array:
    """What is added to the scores of tokens `begin` to `end`: nothing up to their own position, then minus infinity."""
    scores = np.zeros((end - begin, end), np.float32)  # (T, S)
    scores[np.arange(end) > np.arange(begin, end)[:, None]] = -np.inf
    return scores


def _attend(queries: Array, keys: Array, values: Array, later: Array | None) -> Array:
    """Softmax attention; each key-value head serves G query heads."""
    new, group = queries.shape[1], queries.shape[0] // keys.shape[0]
    queries = queries.reshape(keys.shape[0], group * new, -1)  # (K, G T, E)
    scores: Array = queries @ keys.transpose(0, 2, 1)  # (K, G T, S)
    if later is not None:
        scores.reshape(-1, *later.shape)[...] += later  # (H, T, S), the same memory
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    mixed = (scores @ values).reshape(-1, new, keys.shape[2])  # (H, T, E)
    return mixed.transpose(1, 0, 2).reshape(new, -1)  # (T, H E)


class _Weights:
    """Takes a checkpoint's tensors, checks their shapes, and makes the matrices that `Llama` works with."""

    def __init__(self, config: LlamaConfig, tensors: Mapping[str, Array]) -> None:
        self._config = config
        self._tensors = tensors

    def embedding(self) -> Array:
        return self._take("model.embed_tokens.weight", self._config.vocabulary, self._config.width)

    def output(self) -> Array:
        """The output matrix, tied to the embedding where the checkpoint has none of its own."""
        name = "lm_head.weight" if "lm_head.weight" in self._tensors else "model.embed_tokens.weight"
        matrix = self._take(name, self._config.vocabulary, self._config.width)
        return _transposed(matrix * self._take("model.norm.weight", self._config.width))

    def layer(self, number: int) -> _Layer:
        config, prefix = self._config, f"model.layers.{number}"
        attention_norm = self._take(f"{prefix}.input_layernorm.weight", config.width)
        inner_norm = self._take(f"{prefix}.post_attention_layernorm.weight", config.width)
        queries_width, keys_width = config.heads * config.head_width, config.key_value_heads * config.head_width
        queries = self._take(f"{prefix}.self_attn.q_proj.weight", queries_width, config.width)
        keys = self._take(f"{prefix}.self_attn.k_proj.weight", keys_width, config.width)
        values = self._take(f"{prefix}.self_attn.v_proj.weight", keys_width, config.width)
        queries = self._paired(queries) * np.float32(config.head_width**-0.5)
        gate = self._take(f"{prefix}.mlp.gate_proj.weight", config.inner_width, config.width)
        up = self._take(f"{prefix}.mlp.up_proj.weight", config.inner_width, config.width)
        return _Layer(
            attention_in=_transposed(np.concatenate([queries, self._paired(keys), values]) * attention_norm),
            attention_out=_transposed(self._take(f"{prefix}.self_attn.o_proj.weight", config.width, queries_width)),
            inner_in=_transposed(np.concatenate([gate * np.float32(0.5), up]) * inner_norm),
            inner_out=_transposed(self._take(f"{prefix}.mlp.down_proj.weight", config.width, config.inner_width)),
        )

    def _paired(self, matrix: Array) -> Array:
        """Reorders the rows of each head from (first half, second half) to pairs that lie side by side."""
        halves = matrix.reshape(-1, 2, self._config.head_width // 2, self._config.width)
        return halves.swapaxes(1, 2).reshape(matrix.shape)

    def _take(self, name: str, *shape: int) -> Array:
        try:
            tensor = self._tensors[name]
        except KeyError as error:
            raise InvalidCheckpoint(f"the checkpoint has no tensor {name!r}") from error
        if tensor.shape != shape:
            raise InvalidCheckpoint(f"tensor {name!r} has shape {tensor.shape}; config.json asks for {shape}")
        return tensor


def _transposed(matrix: Array) -> Array:
    return np.ascontiguousarray(matrix.T)
