"""`SlotPool`: keys and values of many sequences in one place, so that a step of all of them is one call of the model.

It is a cache of transformers whose layers write the new keys and values of a row at the row's own positions, and give
back slices: the rows of the call, as far as the longest of them reaches. What a shorter row does not have, its mask
hides; which token stands where, explicit positions say. So rows of any lengths share a step, prompts and answers alike.

In the shapes: B rows of a call, T the most new tokens of one of them, N new tokens of all, S positions that the longest
reaches, K key-value heads, E width of a head, V vocabulary.
"""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.cache_utils import Cache, CacheLayerMixin

from headrace.engines.transformers.attention import masks, windows


class SlotPool:
    """A `Pool` (`headrace.engines.pool`) in which all rows of a call are computed together.

    Its memory is taken by the first call, for all rows and positions. On a CPU the system gives it page by page, as it
    is written.

    Args:
        model: a causal language model, in evaluation mode.
        rows: how many sequences.
        positions: tokens of the longest one.

    Raises:
        UnknownAttention: the model's layers see keys by a rule that has no mask here.
    """

    def __init__(self, model: Any, rows: int, positions: int) -> None:
        self.rows = rows
        self.positions = positions
        self._model = model
        self._windows = windows(model.config.get_text_config())
        self._place = _Place()
        self._cache = Cache(layer_class_to_replicate=partial(_Layer, self._place, rows, positions))
        self._keeps_logits = "logits_to_keep" in inspect.signature(model.forward).parameters

    @property
    def position_bytes(self) -> int:
        """The memory of one position in one row; known once something was computed."""
        size: int = sum(pool.nbytes for layer in self._cache.layers for pool in (layer.keys, layer.values))
        return size // (self.rows * self.positions)

    def compute(
        self, first: int, tokens: NDArray[np.int64], new: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """See `Pool.compute`."""
        with torch.inference_mode():
            return self._compute(first, tokens, new, lengths)

    def move(self, source: int, target: int, length: int) -> None:
        """See `Pool.move`."""
        with torch.inference_mode():
            for layer in self._cache.layers:
                for pool in (layer.keys, layer.values):
                    pool[target, :, :length] = pool[source, :, :length]

    def _compute(
        self, first: int, tokens: NDArray[np.int64], new: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        device = self._model.device
        added, length = (torch.from_numpy(each).to(device)[:, None] for each in (new, lengths))  # (B, 1)
        column = torch.arange(tokens.shape[1], device=device)  # (T,)
        # What stands right of a row's last new token is computed at that one's position, and written nowhere.
        own = length + torch.minimum(column, added - 1)  # (B, T)
        self._place.set(first, own, column < added, int((lengths + new).max()))
        ends = np.unique(new - 1)  # the columns in which any row ends
        kept = {"logits_to_keep": torch.from_numpy(ends).to(device)} if self._keeps_logits else {}
        logits = self._model(
            input_ids=torch.from_numpy(tokens).to(device).masked_fill(column >= added, 0),
            attention_mask=masks(own, self._place.reach, self._windows, self._model.dtype),
            position_ids=own,
            past_key_values=self._cache,
            use_cache=True,
            **kept,
        ).logits  # (B, columns that are kept, V)
        end = np.searchsorted(ends, new - 1) if kept else new - 1  # (B,)
        last = logits[torch.arange(len(new)), torch.from_numpy(end)].float().cpu()  # (B, V)
        result: NDArray[np.float32] = last.numpy()
        return result


class _Place:
    """Where the new tokens of a call stand: in the call and in the pool."""

    def set(self, first: int, own: torch.Tensor, counts: torch.Tensor, reach: int) -> None:
        """For B rows from `first` on: the position of each token (B, T), which of them count (B, T), and S."""
        self.row, self.column = counts.nonzero(as_tuple=True)  # (N,) each
        self.slot = self.row + first  # (N,)
        self.position = own[self.row, self.column]  # (N,)
        self.rows = slice(first, first + len(own))
        self.reach = reach
        self.before: int = reach - own.shape[1]


class _Layer(CacheLayerMixin):  # type: ignore[misc]  # torch and transformers have no types here
    """The keys and values of one layer of the model."""

    def __init__(self, place: _Place, rows: int, positions: int) -> None:
        super().__init__()
        self._place = place
        self._rows = rows
        self._positions = positions

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        self.keys, self.values = (
            _zeros((self._rows, each.shape[1], self._positions, each.shape[3]), each.dtype, each.device)
            for each in (key_states, value_states)
        )
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        place = self._place
        for pool, states in ((self.keys, key_states), (self.values, value_states)):
            pool[place.slot, :, place.position] = states[place.row, :, place.column]  # (N, K, E)
        keys, values = (pool[place.rows, :, : place.reach] for pool in (self.keys, self.values))
        return keys, values  # (B, K, S, E) each

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._place.reach, 0

    def get_seq_length(self) -> int:
        return self._place.before

    def get_max_length(self) -> int:
        return self._positions


def _zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Zeros, because a hidden value still counts as nothing times itself, and that must be a number.

    On a CPU they come from numpy, which asks the system for pages that are zero when they are first touched; torch
    would write them all.
    """
    if device.type != "cpu":
        return torch.zeros(shape, dtype=dtype, device=device)
    size = int(np.prod(shape)) * dtype.itemsize
    return torch.from_numpy(np.zeros(size, np.uint8)).view(dtype).reshape(shape)
