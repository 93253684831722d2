"""The text of a language model, from any server with the API of OpenAI, as that server makes it.

pip install openai
export OPENAI_API_KEY=... OPENAI_BASE_URL=http://localhost:11434/v1
headrace run examples/seeds/bentoml_llm/service.py --set LLMExample.model=llama3.2
curl -N localhost:8000/generate --json '{"prompt": "What is a headrace?"}' -H 'accept: text/plain'
python examples/seeds/bentoml_llm/client.py 'What is a headrace?'

Without OPENAI_BASE_URL it is OpenAI's own. A server that asks for no key takes any.
"""

from collections.abc import AsyncIterator
from typing import Literal

import httpx2
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionChunk
from pydantic import BaseModel

from headrace import endpoint, service
from headrace.errors import ConnectionFailed
from seeds.bentoml_llm.failures import INCOMPLETE, CutAnswer, told


class Message(BaseModel):
    content: str
    role: Literal["assistant", "user", "system"]


@service
class LLMExample:
    def __init__(self, model: str = "gpt-5-mini", silence: float = 60.0, retries: int = 2) -> None:
        self.model = model
        timeout = httpx2.Timeout(10.0, read=silence)  # seconds; `silence` is the longest one before a piece of text
        self.client = AsyncOpenAI(timeout=timeout, max_retries=retries)  # retries end where the answer begins

    async def on_stop(self) -> None:
        await self.client.close()

    @endpoint
    async def generate(self, prompt: str) -> AsyncIterator[str]:
        """The answer to a prompt, as text."""
        message = Message(content=prompt, role="user")
        reason = ""
        with told(ConnectionFailed("the model's server cannot be reached")):
            completion = await self.client.chat.completions.create(
                model=self.model,
                messages=[message.model_dump()],  # type: ignore[list-item]
                stream=True,
            )
        async with completion:  # closes it, which stops the model, also when the client has left
            with told(CutAnswer()):
                async for chunk in completion:
                    if text := text_of(chunk):
                        yield text
                    reason = reason_of(chunk) or reason
        if reason in INCOMPLETE:
            raise INCOMPLETE[reason]


def text_of(chunk: ChatCompletionChunk) -> str:
    """What a chunk says; some have no choice, some no delta, and some a delta without text."""
    deltas = [choice.delta for choice in chunk.choices or () if choice.delta]
    return "".join(delta.content or delta.refusal or "" for delta in deltas)


def reason_of(chunk: ChatCompletionChunk) -> str:
    """Why the answer is over; empty while it is not."""
    return next((choice.finish_reason for choice in chunk.choices or () if choice.finish_reason), "")
