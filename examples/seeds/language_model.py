"""A causal language model of Hugging Face that is read while it generates.

`generate` runs on a thread of its own. It calls its stopping criterion after every token: there the token is handed
over to the event loop, and there a reader who has left stops it before the next one. What it raises, its reader gets.
"""

import asyncio
import os
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any

import anyio
import torch
from tokenizers.decoders import DecodeStream
from transformers import AutoModelForCausalLM, AutoTokenizer, StoppingCriteria

from headrace import StreamError
from seeds.words import Words


class PromptTooLong(StreamError):
    """The prompt leaves the model no room for a reply."""

    code = "prompt_too_long"
    status = 422


class Handover(StoppingCriteria):
    """At most so many tokens of one generation, on their way from its thread to the event loop."""

    def __init__(self, most: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.tokens: asyncio.Queue[int | None] = asyncio.Queue(most + 1)  # the last one says that no more come
        self.stopped = threading.Event()

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        """After every token: whether each row of the batch, which is one, is done."""
        self.loop.call_soon_threadsafe(self.tokens.put_nowait, int(input_ids[0, -1]))
        return torch.full((1,), self.stopped.is_set(), dtype=torch.bool, device=input_ids.device)


class LanguageModel:
    """A model and its tokenizer.

    Args:
        name: of a model on the hub, or the folder of a checkpoint.
        longest: tokens of a prompt and its reply together, at most; a model that reads fewer has its own limit.
        replies: generated at the same time; others wait.
    """

    def __init__(self, name: str, longest: int = 10_000, replies: int = 4) -> None:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) - 1))  # one core is left for the event loop
        self.tokenizer = AutoTokenizer.from_pretrained(name)
        self.model = AutoModelForCausalLM.from_pretrained(name).eval()
        self.longest = min(longest, getattr(self.model.config, "max_position_embeddings", longest))
        self.threads = ThreadPoolExecutor(replies, "generate")

    def close(self) -> None:
        self.threads.shutdown()

    def tokens_of(self, prompt: str) -> list[int]:
        """The tokens of a prompt; of an empty one, what a reply to nothing begins with."""
        start = self.tokenizer.bos_token or self.tokenizer.eos_token
        tokens: list[int] = self.tokenizer(prompt or start).input_ids
        if len(tokens) >= self.longest:
            most = self.longest - 1
            raise PromptTooLong(f"the prompt has {len(tokens)} tokens, and this model takes {most}; shorten it")
        return tokens

    async def reply(self, prompt: str) -> AsyncGenerator[str, None]:
        """How the model goes on, word by word."""
        words, decoder = Words(), DecodeStream(skip_special_tokens=True)
        async with aclosing(self.generated(prompt)) as tokens:
            async for token in tokens:
                if piece := words.feed(decoder.step(self.tokenizer.backend_tokenizer, token) or ""):
                    yield piece
        if piece := words.finish():
            yield piece

    async def generated(self, prompt: str) -> AsyncGenerator[int, None]:
        """The tokens that the model adds to a prompt."""
        handover = Handover(self.longest)
        job = self.threads.submit(self.generate, prompt, handover)
        work = asyncio.wrap_future(job)
        work.add_done_callback(lambda _: handover.tokens.put_nowait(None))
        try:
            while (token := await handover.tokens.get()) is not None:
                yield token
            await work
        finally:
            handover.stopped.set()
            if not job.cancel():  # it has begun, and ends with the token that is being made
                with anyio.CancelScope(shield=True):
                    await asyncio.wait((work,))

    def generate(self, prompt: str, handover: Handover) -> None:
        """Runs the model to the end of its reply. Blocks: it belongs on a thread."""
        prompt_ids = torch.tensor([self.tokens_of(prompt)])
        self.model.generate(
            prompt_ids,
            attention_mask=torch.ones_like(prompt_ids),
            max_new_tokens=self.longest - prompt_ids.shape[1],
            pad_token_id=self.tokenizer.eos_token_id,
            stopping_criteria=[handover],
        )
