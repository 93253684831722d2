"""The service that the end-to-end tests serve: one endpoint per way in which a stream can go."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from headrace import Event, Footer, Header, Stream, StreamError, context, endpoint, service


@dataclass
class Token:
    text: str
    number: int


class ModelBusy(StreamError):
    """The model is busy."""

    code = "model_busy"
    status = 429
    retryable = True


class Odd(StreamError):
    """Something that no reader has a class for."""

    code = "known_to_nobody"
    status = 429
    retryable = True


@service
class Trials:
    def __init__(self) -> None:
        self.running = 0
        self.made = 0
        self.closed = 0
        self.last_thread = ""
        self.worked = 0
        self.peak = 0

    @endpoint(methods=("GET",))
    async def state(self) -> dict[str, int | str]:
        """What the generators did so far."""
        return {"running": self.running, "made": self.made, "closed": self.closed, "last_thread": self.last_thread}

    @endpoint(methods=("GET", "POST"))
    async def count(self, to: int, pause: float = 0.0) -> AsyncIterator[str]:
        """Numbers as text, one per line."""
        for n in range(to):
            yield f"{n}\n"
            await asyncio.sleep(pause)

    @endpoint
    async def tokens(self, to: int) -> AsyncIterator[Token]:
        for n in range(to):
            yield Token(f"t{n}", n)

    @endpoint
    async def typed(self, to: int) -> Stream[Token, dict[str, int], dict[str, str]]:
        yield Header({"rate": 16000})
        for n in range(to):
            yield Token(f"t{n}", n)
        yield Footer({"done": "yes"})

    @endpoint
    async def fails(self, after: int, how: str = "error") -> AsyncIterator[str]:
        for n in range(after):
            yield f"{n} "
        if how == "busy":
            raise ModelBusy("all slots are taken")
        if how == "odd":
            raise Odd("nobody expected this")
        if how == "exit":
            raise SystemExit(7)
        raise RuntimeError("the secret is 4711")

    @endpoint
    async def wrong_item(self) -> AsyncIterator[Token]:
        yield Token("right", 1)
        yield {"text": "wrong"}  # type: ignore[misc]

    @endpoint
    async def never_awaits(self, to: int = 1_000_000) -> AsyncIterator[str]:
        self.running += 1
        try:
            for n in range(to):
                self.made += 1
                yield f"{n} "
        finally:
            self.running -= 1
            self.closed += 1

    @endpoint
    async def silent(self) -> AsyncIterator[str]:
        self.running += 1
        try:
            await asyncio.Event().wait()
            yield "never"
        finally:
            self.running -= 1
            self.closed += 1

    @endpoint
    def sync(self, to: int, pause: float = 0.0) -> Iterator[str]:
        self.running += 1
        try:
            for n in range(to):
                self.made += 1
                yield f"{n} "
                time.sleep(pause)
        finally:
            self.running -= 1
            self.closed += 1
            self.last_thread = threading.current_thread().name

    @endpoint(media_type="audio/wav")
    async def sound(self) -> AsyncIterator[bytes]:
        yield b"RIFF"
        yield bytes(range(256))

    @endpoint
    async def add(self, a: int, b: int) -> int:
        return a + b

    @endpoint
    def slow_add(self, a: int, b: int) -> int:
        time.sleep(0.01)
        return a + b

    @endpoint
    async def length(self, data: bytes) -> int:
        return len(data)

    @endpoint
    async def echo(self, chunks: AsyncIterator[bytes], prefix: str = "") -> AsyncIterator[bytes]:
        yield prefix.encode()
        async for chunk in chunks:
            yield chunk

    @endpoint
    async def shout(self, tokens: AsyncIterator[Token]) -> AsyncIterator[str]:
        async for token in tokens:
            yield token.text.upper() + "\n"

    @endpoint
    async def who(self) -> dict[str, str | bool]:
        return {
            "request_id": context.request_id,
            "agent": context.headers.get("user-agent", ""),
            "has_deadline": context.remaining is not None,
        }

    @endpoint(methods=("GET",))
    async def load(self) -> dict[str, int]:
        """How often `work` was run, and how many of it at the same time at most."""
        return {"worked": self.worked, "peak": self.peak}

    @endpoint
    async def work(self, seconds: float) -> AsyncIterator[str]:
        self.worked += 1
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            yield "begun "
            await asyncio.sleep(seconds)
            yield "done"
        finally:
            self.running -= 1
            self.closed += 1

    @endpoint
    async def prompts(
        self, prompts: Annotated[list[str], Field(max_length=100)], n: Annotated[int, Field(ge=1, le=100)] = 1
    ) -> AsyncIterator[str]:
        for prompt in prompts * n:
            yield prompt

    @endpoint
    async def same(self, value: Any) -> Any:
        return value

    @endpoint
    async def say(self, texts: list[str]) -> AsyncIterator[str]:
        for text in texts:
            yield text

    @endpoint
    async def events(
        self, data: list[str], name: str | None = None, id: str | None = None
    ) -> AsyncIterator[Event[str]]:
        for text in data:
            yield Event(text, name, id)

    @endpoint
    async def forged(self, text: str, items: int = 1) -> Stream[Token, dict[str, str], dict[str, str]]:
        """Has the text in every place that is the service's to fill, and fails with it."""
        if items:
            yield Header({text: text, "text": text})
        for n in range(items):
            yield Token(text, n)
        headers = {"x-said": text, text: "said", "retry-after": "7"}
        raise type("Forged", (StreamError,), {"code": text, "headers": headers})(text)

    @endpoint
    async def see(self, image_url: str, image_urls: list[str]) -> int:
        return len(image_url) + len(image_urls)

    @endpoint
    async def reports(self, text: str) -> AsyncIterator[str]:
        """Logs the text and all that it knows of the request, and fails with both."""
        known = f"{text} {dict(context.headers)}"
        logging.getLogger("trials").error("asked with %s", known)
        for name, value in context.headers.items():
            logging.getLogger("trials").warning("%s: %s", name, value)
        yield "begun"
        raise RuntimeError(known)

    @endpoint
    async def parrot(self, words: AsyncIterator[str], prefix: str = "") -> AsyncIterator[str]:
        """Each word again, as soon as it is heard."""
        async for word in words:
            yield prefix + word

    @endpoint
    async def interrupted(self, words: AsyncIterator[str]) -> AsyncIterator[str]:
        """Speaks without end until it hears something, then says what."""
        listening = asyncio.ensure_future(anext(words))
        try:
            while not listening.done():
                yield "and "
                await asyncio.sleep(0.001)
            yield f"you said {listening.result()}"
        finally:
            listening.cancel()

    @endpoint
    def speak(self, texts: Iterator[str], seconds: float = 0.0) -> Iterator[bytes]:
        """Sync code that listens and answers; each answer takes so long."""
        self.running += 1
        try:
            for text in texts:
                time.sleep(seconds)
                yield text.encode()
        finally:
            self.running -= 1
            self.closed += 1

    @endpoint
    def total(self, numbers: Iterator[int]) -> int:
        return sum(numbers)
