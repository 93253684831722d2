"""A text bot that runs the prompts of several clients as one batch, and streams its tokens to each of them.

pip install torch transformers fastapi
headrace run examples/seeds/batchbot/batchbot.py
python examples/seeds/batchbot/client.py 'What do you like to do?' &
python examples/seeds/batchbot/client.py 'What is your favourite colour?'

Another model, by its name or by the folder of its checkpoint: --set Batchbot.model=NAME

`continuous.py` beside it is the same bot where a prompt need not wait for the batch before it.
"""

from collections.abc import Iterator

import torch
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from headrace import asgi_app, service
from headrace.batching import batch
from headrace.batching.run import Done
from seeds.batchbot.decoding import Decoding, tokens_of
from seeds.language_model import LanguageModel

app = FastAPI(title="Batchbot")


@service
@asgi_app(app)
class Batchbot:
    """The bot.

    Args:
        model: of the hub, or the folder of a checkpoint.
        longest: tokens of a prompt and its reply together, at most.
        wait: seconds that a lone prompt waits for another one.
    """

    def __init__(self, model: str = "microsoft/DialoGPT-small", longest: int = 10_000, wait: float = 0.1) -> None:
        self.model = LanguageModel(model, longest)
        self.run_model.set_batch_wait_timeout_s(wait)
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

    @batch(max_batch_size=2)
    @torch.inference_mode()
    def run_model(self, prompts: list[list[int]]) -> Iterator[list[str | Done]]:
        """One token of each reply at a time; on a thread, so the event loop is free between the tokens and in them."""
        longest = max(map(len, prompts))
        padding = [longest - len(prompt) for prompt in prompts]
        end = self.model.tokenizer.eos_token_id
        ids = torch.tensor([[end] * pad + prompt for pad, prompt in zip(padding, prompts, strict=True)])
        mask = torch.tensor([[0] * pad + [1] * len(prompt) for pad, prompt in zip(padding, prompts, strict=True)])
        replies = [Decoding(self.model, len(prompt)) for prompt in prompts]
        cache = None
        while True:
            positions = (mask.cumsum(1) - 1).clamp(0, self.model.longest - 1)[:, -ids.shape[1] :]
            output = self.model.model(
                ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
            )
            self.steps += 1
            cache, ids = output.past_key_values, output.logits[:, -1:].argmax(-1)
            mask = torch.cat([mask, torch.ones_like(ids)], 1)
            pieces = [reply.step(token) for reply, token in zip(replies, ids[:, 0].tolist(), strict=True)]
            yield [batch.DONE if piece is None else piece for piece in pieces]
