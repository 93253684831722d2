"""A language model behind an endpoint: the one in the package, or any other engine.

headrace dev examples/04_model.py
curl -N localhost:8000/answer --json '{"question": "What is a token?"}' -H 'accept: */*'
"""

from collections.abc import AsyncIterator
from contextlib import aclosing

from headrace import endpoint, service
from headrace.engines.events import TextDelta
from headrace.engines.generation import Generation, Message, Sampling
from headrace.engines.tiny.engine import TinyEngine


@service
class Assistant:
    def __init__(self, model: TinyEngine | None = None) -> None:
        self.engine = model or TinyEngine()

    async def on_start(self) -> None:
        await self.engine.start()

    async def on_stop(self) -> None:
        await self.engine.stop()

    @endpoint
    async def answer(self, question: str, max_tokens: int = 100) -> AsyncIterator[str]:
        """The answer, token by token; a reader that leaves stops the model at its next token."""
        generation = Generation(messages=[Message("user", question)], sampling=Sampling(max_tokens=max_tokens))
        async with aclosing(self.engine.generate(generation)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    yield event.text
