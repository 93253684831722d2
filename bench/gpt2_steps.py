"""A small GPT-2 of Hugging Face, many sequences one step at a time: as `bench.tiny_steps`, in torch.

Runs in an environment with torch and transformers. The weights are random: the time is that of any such model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import Cache, GPT2Config, GPT2LMHeadModel


def load() -> GPT2LMHeadModel:
    """The model, of 4.5 million parameters, on one core."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    shape = {"n_embd": 256, "n_layer": 4, "n_head": 4, "vocab_size": 5000, "n_positions": 512}
    return GPT2LMHeadModel(GPT2Config(**shape, bos_token_id=None, eos_token_id=None)).eval()


class Pool(Cache):  # type: ignore[misc]
    """Keys and values, a row for each sequence.

    Attributes:
        rows: that the next computation is for.
        positions: of its tokens, [rows, tokens].
        size: positions in use, as far as those rows reach.
    """

    def __init__(self, places: int, longest: int) -> None:
        super().__init__(layers=[])
        self.places, self.longest = places, longest
        self.pools: list[torch.Tensor] = []  # keys and values by turns, [place, head, position, width]
        self.rows = slice(0)
        self.positions = torch.empty(0)
        self.size = 0

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any) -> Any:
        """Writes what a layer computed, and gives all that it may look at."""
        return self.write(2 * layer, keys), self.write(2 * layer + 1, values)

    def write(self, number: int, computed: torch.Tensor) -> torch.Tensor:
        """The same for its keys, or its values."""
        if number == len(self.pools):
            self.pools.append(computed.new_zeros(self.places, computed.shape[1], self.longest, computed.shape[3]))
        rows = self.pools[number][self.rows]
        rows[torch.arange(len(rows))[:, None], :, self.positions] = computed.transpose(1, 2)
        return rows[:, :, : self.size]

    def get_seq_length(self, *_: Any) -> int:
        """Positions before those that are computed."""
        return self.size - self.positions.shape[1]


class Steps:
    """See `bench.tiny_steps.Steps`."""

    def __init__(self, model: GPT2LMHeadModel, places: int, longest: int) -> None:
        self._model = model
        self._pool = Pool(places, longest)
        self._lengths = torch.zeros(places, dtype=torch.long)
        self._last = torch.zeros(places, dtype=torch.long)
        self._count = 0

    def join(self, prompts: Sequence[Sequence[int]]) -> list[int]:
        """See `bench.tiny_steps.Steps.join`."""
        rows = slice(self._count, self._count + len(prompts))
        self._count, self._lengths[rows] = rows.stop, 0
        return self._advance(rows, torch.tensor(prompts))

    def step(self) -> list[int]:
        """See `bench.tiny_steps.Steps.step`."""
        rows = slice(self._count)
        return self._advance(rows, self._last[rows, None])

    @torch.inference_mode()
    def drop(self, row: int) -> None:
        """See `bench.tiny_steps.Steps.drop`."""
        self._count = last = self._count - 1
        for each in (*self._pool.pools, self._lengths, self._last):
            each[row] = each[last]

    @torch.inference_mode()
    def _advance(self, rows: slice, ids: torch.Tensor) -> list[int]:
        pool = self._pool
        pool.rows = rows
        pool.positions = self._lengths[rows, None] + torch.arange(ids.shape[1])
        pool.size = int(pool.positions.max()) + 1
        sees = torch.arange(pool.size) <= pool.positions[:, None, :, None]
        output = self._model(
            ids,
            attention_mask=sees,
            position_ids=pool.positions,
            past_key_values=pool,
            use_cache=True,
            logits_to_keep=1,
        )
        self._lengths[rows] += ids.shape[1]
        self._last[rows] = output.logits[:, -1].argmax(-1)
        return self._last[rows].tolist()  # type: ignore[no-any-return]
