"""The same model without a server: text as it comes, what was measured, and a stop from another thread.

export OPENAI_API_KEY=... OPENAI_BASE_URL=http://localhost:11434/v1
python examples/seeds/llm_streaming/direct.py llama3.2 'What is a headrace?'

The Enter key stops the model, also while it is silent.
"""

import asyncio
import sys
import threading

from headrace.engines.events import TextDelta
from headrace.engines.generation import Generation, Message, Sampling
from headrace.engines.openai_upstream.engine import OpenAIEngine
from headrace.engines.openai_upstream.stream import UpstreamStream
from headrace.errors import Cancelled, StreamError


def cancel_on_enter(stream: UpstreamStream) -> None:
    if sys.stdin.readline():  # empty at the end of the input
        stream.cancel()


async def main(model: str, prompt: str = "What is a headrace?") -> None:
    sampling = Sampling(temperature=1.0, max_tokens=None)
    asked = Generation(messages=[Message("user", prompt)], sampling=sampling)
    async with OpenAIEngine(model).open(asked) as stream:
        threading.Thread(target=cancel_on_enter, args=(stream,), daemon=True).start()
        try:
            async for event in stream:
                if isinstance(event, TextDelta):
                    print(event.text, end="", flush=True)
        except Cancelled:
            print(f"\nstopped after {len(stream.answer.text)} characters", end="")
    measures = stream.measures
    print(f"\n{measures.outcome}: first after {seconds(measures.first_token_seconds)}, {measures.tokens} tokens")


def seconds(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.2f} s"


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except StreamError as error:
        sys.exit(f"{error.code}: {error.message}")
