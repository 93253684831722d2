"""The batch bot where prompts join and leave between any two tokens, as its places allow.

pip install torch transformers fastapi
headrace run examples/seeds/batchbot/continuous.py
python examples/seeds/batchbot/client.py

The keys and values of all replies stand in one pool, a row for each. A step computes one token for the first rows, so
the last row moves into a place that becomes free.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from transformers import Cache

from headrace import asgi_app, service
from headrace.batching import Slot, Slots, continuous_batch
from seeds.batchbot.decoding import Decoding, tokens_of
from seeds.language_model import LanguageModel

PLACES = 8

app = FastAPI(title="Batchbot")


class Pool(Cache):
    """Keys and values of the replies, allocated when the first ones come.

    Attributes:
        rows: the rows that the next computation is for.
        positions: of its tokens, [rows, tokens].
        size: columns in use, as far as those rows reach.
    """

    def __init__(self, longest: int) -> None:
        super().__init__(layers=[])
        self.longest = longest
        self.pools: list[torch.Tensor] = []  # keys and values by turns, [place, head, position, width]
        self.rows = slice(0)
        self.positions = torch.empty(0)
        self.size = 0

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any) -> Any:
        """Writes what a layer computed, and gives all that it may look at."""
        return self.write(2 * layer, keys), self.write(2 * layer + 1, values)

    def write(self, number: int, computed: torch.Tensor) -> torch.Tensor:
        if number == len(self.pools):
            self.pools.append(computed.new_zeros(PLACES, computed.shape[1], self.longest, computed.shape[3]))
        rows = self.pools[number][self.rows]
        rows[torch.arange(len(rows))[:, None], :, self.positions] = computed.transpose(1, 2)
        return rows[:, :, : self.size]

    def move(self, source: int, target: int) -> None:
        for pool in self.pools:
            pool[target] = pool[source]

    def get_seq_length(self, *_: Any) -> int:
        return self.size - self.positions.shape[1]


@dataclass
class Row:
    """A reply in the pool: the token that it is at, and the position of that."""

    slot: Slot[list[int], str]
    reply: Decoding
    token: int
    position: int


@service
@asgi_app(app)
class Batchbot:
    """The bot.

    Args:
        model: of the hub, or the folder of a checkpoint.
        longest: tokens of a prompt and its reply together, at most.
    """

    def __init__(self, model: str = "microsoft/DialoGPT-small", longest: int = 10_000) -> None:
        self.model = LanguageModel(model, longest)
        self.steps = 0

    def on_stop(self) -> None:
        self.model.close()

    @app.post("/", response_class=StreamingResponse)
    async def handle_request(self, prompt: str) -> StreamingResponse:
        """How the model goes on after the prompt, token by token."""
        return StreamingResponse(self.run_model(tokens_of(self.model, prompt)), media_type="text/plain")

    @app.get("/steps")
    async def count(self) -> int:
        """Steps that the model has made."""
        return self.steps

    @continuous_batch(max_batch_size=PLACES)
    @torch.inference_mode()
    def run_model(self, slots: Slots[list[int], str]) -> Iterator[None]:
        pool, rows = Pool(self.model.longest), list[Row]()
        while True:
            for number in reversed([n for n, row in enumerate(rows) if row.slot not in slots]):
                last = rows.pop()
                if number < len(rows):
                    rows[number] = last
                    pool.move(len(rows), number)
            for slot in slots.joined:
                rows.append(Row(slot, Decoding(self.model, len(slot.request)), 0, -1))
                self.advance(pool, rows, slice(len(rows) - 1, len(rows)), [slot.request])
            self.advance(pool, rows, slice(len(rows)), [[row.token] for row in rows])
            yield

    def advance(self, pool: Pool, rows: list[Row], chosen: slice, tokens: list[list[int]]) -> None:
        """Computes one token more for some of the rows, from those that are new in them."""
        ids = torch.tensor(tokens)
        pool.rows = chosen
        pool.positions = torch.tensor([[row.position + 1] for row in rows[chosen]]) + torch.arange(ids.shape[1])
        pool.size = int(pool.positions.max()) + 1
        sees = torch.arange(pool.size) <= pool.positions[:, None, :, None]
        output = self.model.model(
            ids, attention_mask=sees, position_ids=pool.positions, past_key_values=pool, use_cache=True
        )
        self.steps += 1
        for row, token in zip(rows[chosen], output.logits[:, -1].argmax(-1).tolist(), strict=True):
            row.token, row.position = token, row.position + ids.shape[1]
            piece = row.reply.step(token)
            if piece is None:
                row.slot.finish()
            else:
                row.slot.send(piece)
