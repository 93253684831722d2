"""Prints what a checkpoint answers to fixed prompts, as in SAMPLES.txt.

    python samples.py [FOLDER]        # without a folder: the model that is built in

The prompts were written before the training run. Apart from the shortest, the corpus does not have them in these words.
"""

import asyncio
import sys
import time
from pathlib import Path

from headrace.engines.engine import Finish, Generation, Message, Sampling, TextDelta
from headrace.engines.tiny.engine import CHECKPOINT, TinyEngine

CONVERSATIONS = [
    ["Hello, what's your name?"],
    ["Explain server-sent events like I am a web developer"],
    ["We have 500 users and one GPU, how do I serve them all?"],
    ["My tokens show up in bursts instead of one by one"],
    ["Is there a way to stop the answer halfway?"],
    ["Which one would you pick for a voice assistant: SSE or WebSocket?"],
    ["Why do language models use tokens rather than letters?"],
    ["Tell me a story about a lonely robot"],
    ["I'd like a poem about the sea"],
    ["11 - 4"],
    ["What's the capital of Portugal?"],
    ["Who was Cleopatra?"],
    ["Can you write me an SQL query?"],
    ["throughput versus latency, what's the difference?"],
    ["Our p99 is terrible, what can we do?"],
    ["The server returned 503, why?"],
    ["What is a mill?"],
    ["count up to 12"],
    ["I'm Omar. Do you know who I am?"],
    ["In one sentence, what is backpressure?"],
    ["Why is the ocean salty?"],
    ["What does VAD stand for?"],
    ["How should a server behave when it receives SIGTERM?"],
    ["haha"],
    ["three tips for saving memory"],
    ["how do you measure time to first token"],
    ["what is the use of a KV cache and why does it need so much memory?"],
    ["Can I run a bigger model instead of you?"],
    ["what is kubernetes good for"],
    ["Do I need speculative decoding?"],
    ["Hi, my name is Zoe", "What is streaming?", "why does it matter?", "What is my name?"],
    ["What is prefill?", "and how does it work?", "thanks!"],
]
STORY = "Once upon a time there was a"


async def answer(engine: TinyEngine, generation: Generation) -> tuple[str, Finish]:
    """The whole text of a generation, and how it ended."""
    text = ""
    async for event in engine.generate(generation):
        if isinstance(event, TextDelta):
            text += event.text
        else:
            return text, event
    raise AssertionError("an engine ends every generation with a Finish")


async def main(folder: Path) -> None:
    """Prints the conversations, then a story; the speed goes to standard error."""
    engine = TinyEngine(folder)
    await engine.start()
    tokens, begin = 0, time.perf_counter()
    for questions in CONVERSATIONS:
        messages: list[Message] = []
        for question in questions:
            messages.append(Message("user", question))
            text, finish = await answer(engine, Generation(messages=messages, sampling=Sampling(max_tokens=200)))
            messages.append(Message("assistant", text))
            tokens += finish.completion_tokens
            cut = " [cut: length]" if finish.reason == "length" else ""
            print(f"> {question}\n{text}{cut}")
        print()
    text, _ = await answer(engine, Generation(prompt=STORY, sampling=Sampling(0.7, 0.9, seed=3, max_tokens=150)))
    print(f"(completion) {STORY}{text}")
    print(f"{tokens} tokens in {time.perf_counter() - begin:.2f} s", file=sys.stderr)
    await engine.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else CHECKPOINT))
