"""A small GPT-2 of Hugging Face, many sequences one step at a time.

Runs in an environment with torch and transformers. The weights are random: the time is that of any such model. What it
makes for one sequence is what `generate` makes (`python -m bench.gpt2_steps` compares them).
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, Cache, GPT2Config, GPT2LMHeadModel

from bench.rows import Rows, compare


def load() -> GPT2LMHeadModel:
    """The model, of 4.5 million parameters, on one core."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    AttentionInterface.register("grouped", _attend)
    shape = {"n_embd": 256, "n_layer": 4, "n_head": 4, "vocab_size": 5000, "n_positions": 512}
    config = GPT2Config(**shape, bos_token_id=None, eos_token_id=None, attn_implementation="grouped")
    return GPT2LMHeadModel(config).eval()


class Steps(Rows, Cache):  # type: ignore[misc]
    """Its steps, for sequences of at most `longest` tokens; the cache that the model writes to."""

    def __init__(self, model: GPT2LMHeadModel, places: int, longest: int) -> None:
        Rows.__init__(self, places)
        Cache.__init__(self, layers=[])
        self._model = model
        self._shape = places, longest
        self._pools: list[torch.Tensor] = []  # keys and values by turns, [place, head, position, width]
        self._at = slice(0)
        self._positions = torch.empty(0)

    @torch.inference_mode()
    def copy(self, source: int, target: int) -> None:
        """See `Rows.copy`."""
        length = int(self.lengths[source])
        for pool in self._pools:
            pool[target, :, :length] = pool[source, :, :length]

    @torch.inference_mode()
    def compute(self, rows: slice, ids: Any) -> Any:
        """See `Rows.compute`."""
        self._at = rows
        self._positions = torch.from_numpy(self.lengths[rows, None]) + torch.arange(-ids.shape[1], 0)
        sees = torch.arange(int(self._positions.max()) + 1) <= self._positions[:, None, :, None]
        output = self._model(
            torch.from_numpy(ids),
            attention_mask=sees,
            position_ids=self._positions,
            past_key_values=self,
            use_cache=True,
            logits_to_keep=1,
            groups=self.groups(rows),
        )
        return output.logits[:, -1].argmax(-1).numpy()

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any) -> Any:
        """Writes what a layer computed, and gives the rows."""
        return self._write(2 * layer, keys), self._write(2 * layer + 1, values)

    def get_seq_length(self, *_: Any) -> int:
        """Positions before those that are computed."""
        return int(self._positions[:, 0].max())

    def _write(self, number: int, computed: torch.Tensor) -> torch.Tensor:
        if number == len(self._pools):
            places, longest = self._shape
            self._pools.append(computed.new_zeros(places, computed.shape[1], longest, computed.shape[3]))
        rows = self._pools[number][self._at]
        rows[torch.arange(len(rows))[:, None], :, self._positions] = computed.transpose(1, 2)
        return rows


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
        for _, rows, size in groups
    ]
    return torch.cat(mixed).transpose(1, 2).contiguous(), None


def main() -> None:
    """Compares what rows make with what the model makes."""
    model = load()
    steps = Steps(model, 20, 60)
    plain = GPT2LMHeadModel(GPT2Config(**{**model.config.to_dict(), "attn_implementation": "sdpa"})).eval()
    plain.load_state_dict(model.state_dict())

    def alone(prompt: list[int], count: int) -> list[int]:
        ids = torch.tensor([prompt])
        made = plain.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, do_sample=False, pad_token_id=0
        )
        return made[0, len(prompt) :].tolist()  # type: ignore[no-any-return]

    compare(steps, alone)


if __name__ == "__main__":
    main()
