"""A small GPT-2 of Hugging Face, for the benchmarks, and a pool for it.

Runs in an environment with torch and transformers. The weights are random: the time is that of any such model. What it
makes for one sequence is what `generate` makes (`python -m bench.gpt2_steps` compares them).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, Cache, GPT2Config, GPT2LMHeadModel

from bench.rows import Greedy, compare
from headrace.engines.rows import GROUP

PACKED = False  # padding is computed


def load() -> GPT2LMHeadModel:
    """The model, of 4.5 million parameters, on one core."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    AttentionInterface.register("grouped", _attend)
    shape = {"n_embd": 256, "n_layer": 4, "n_head": 4, "vocab_size": 5000, "n_positions": 512}
    config = GPT2Config(**shape, bos_token_id=None, eos_token_id=None, attn_implementation="grouped")
    return GPT2LMHeadModel(config).eval()


class Steps(Cache):  # type: ignore[misc]
    """Its pool, for calls whose rows all have the same number of new tokens; the cache that the model writes to."""

    def __init__(self, model: GPT2LMHeadModel, rows: int, positions: int) -> None:
        super().__init__(layers=[])
        self.rows = rows
        self.positions = positions
        self._model = model
        self._pools: list[torch.Tensor] = []  # keys and values by turns, [row, head, position, width]
        self._at = slice(0)
        self._places = torch.empty(0)

    @torch.inference_mode()
    def move(self, source: int, target: int, length: int) -> None:
        """See `Pool.move`."""
        for pool in self._pools:
            pool[target, :, :length] = pool[source, :, :length]

    @torch.inference_mode()
    def compute(self, first: int, tokens: Any, new: Any, lengths: Any) -> Any:
        """See `Pool.compute`."""
        self._at = slice(first, first + len(tokens))
        self._places = torch.from_numpy(lengths[:, None]) + torch.arange(tokens.shape[1])
        sees = torch.arange(int(self._places.max()) + 1) <= self._places[:, None, :, None]
        output = self._model(
            torch.from_numpy(tokens),
            attention_mask=sees,
            position_ids=self._places,
            past_key_values=self,
            use_cache=True,
            logits_to_keep=1,
            groups=[*_groups(lengths + new)],
        )
        return output.logits[:, -1].numpy()

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any) -> Any:
        """Writes what a layer computed, and gives the rows."""
        return self._write(2 * layer, keys), self._write(2 * layer + 1, values)

    def get_seq_length(self, *_: Any) -> int:
        """Positions before those that are computed."""
        return int(self._places[:, 0].max())

    def _write(self, number: int, computed: torch.Tensor) -> torch.Tensor:
        if number == len(self._pools):
            self._pools.append(computed.new_zeros(self.rows, computed.shape[1], self.positions, computed.shape[3]))
        rows = self._pools[number][self._at]
        rows[torch.arange(len(rows))[:, None], :, self._places] = computed.transpose(1, 2)
        return rows


def _groups(seen: Any) -> Iterator[tuple[slice, int]]:
    """Rows side by side, and how far the longest of them sees; groups that see equally far are one."""
    begin = 0
    longest = [int(seen[first : first + GROUP].max()) for first in range(0, len(seen), GROUP)]
    for number, most in enumerate(longest, 1):
        if number == len(longest) or longest[number] != most:
            end = min(number * GROUP, len(seen))
            yield slice(begin, end), most
            begin = end


def _attend(
    _: Any,
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    sees: torch.Tensor,
    *,
    groups: Any,
    **__: Any,
) -> Any:
    """Attention, group by group: [rows, tokens, head, width], and no weights."""
    mixed = [
        scaled_dot_product_attention(
            queries[rows], keys[rows, :, :size], values[rows, :, :size], attn_mask=sees[rows, :, :, :size]
        )
        for rows, size in groups
    ]
    return torch.cat(mixed).transpose(1, 2).contiguous(), None


def main() -> None:
    """Compares what rows make with what the model makes."""
    model = load()
    plain = GPT2LMHeadModel(GPT2Config(**{**model.config.to_dict(), "attn_implementation": "sdpa"})).eval()
    plain.load_state_dict(model.state_dict())

    def alone(prompt: list[int], count: int) -> list[int]:
        ids = torch.tensor([prompt])
        made = plain.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, do_sample=False, pad_token_id=0
        )
        return made[0, len(prompt) :].tolist()  # type: ignore[no-any-return]

    compare(Greedy(Steps(model, 20, 60), PACKED), alone)


if __name__ == "__main__":
    main()
