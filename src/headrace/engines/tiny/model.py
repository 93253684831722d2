"""The matrices of a Llama-style decoder, laid out for numpy: RMS norm, rotary positions, grouped queries, SwiGLU.

What does not depend on the input happens once, when the weights are loaded:

* matrices that share an input are joined (queries, keys and values; gate and up), and lie transposed, for `x @ w`;
* the weights of each RMS norm are multiplied into the matrices that read it;
* the attention scale is multiplied into the queries, and the half that `x * sigmoid(x) = h + h * tanh(h), h = x / 2`
  asks for into the gate: unlike `exp`, `tanh` never overflows;
* a rotary position turns the pairs (i, i + half) of a head. Queries and keys are reordered alike so that such a pair
  lies side by side, which changes no dot product: a pair is then one complex number, turned by one multiplication.

In the shapes at the line ends: D width, H heads, K key-value heads, E width of a head, F inner width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headrace.engines.tiny.checkpoint import Array, InvalidCheckpoint, LlamaConfig


@dataclass(frozen=True, slots=True)
class Layer:
    """The matrices of one layer."""

    attention_in: Array  # (D, (H + 2K) E)
    attention_out: Array  # (H E, D)
    inner_in: Array  # (D, 2F)
    inner_out: Array  # (F, D)


class Llama:
    """A model's matrices.

    Attributes:
        config: its sizes.
        embedding: (V, D).
        layers: from the first.
        output: (D, V).
        turn: (positions, 1, E/2), what a position multiplies the pairs of each head with.

    Raises:
        InvalidCheckpoint: a tensor is missing, or has another shape than the sizes ask for.
    """

    def __init__(self, config: LlamaConfig, tensors: Mapping[str, Array]) -> None:
        weights = _Weights(config, tensors)
        self.config = config
        self.embedding = weights.embedding()
        self.output = weights.output()
        self.layers = [weights.layer(number) for number in range(config.layers)]
        frequency = config.theta ** (-np.arange(0, config.head_width, 2) / config.head_width)  # (E/2,)
        angle = np.outer(np.arange(config.positions), frequency)
        self.turn: NDArray[np.complex64] = np.exp(1j * angle).astype(np.complex64)[:, None]


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

    def layer(self, number: int) -> Layer:
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
        return Layer(
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
