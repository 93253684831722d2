"""The example `speak`, for tests: it counts what it makes, and its voice fails where a text says so."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import numpy as np
from speak.service import Speaker
from speak.voice import Voice, VoiceFailed

from headrace import endpoint, service

FAILS_AFTER = {"dumb": 0, "break": 20}  # pieces, where a text has the word


class SlowVoice(Voice):
    """A synthesiser that takes its time, as a large model does."""

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(name)
        self.seconds = seconds

    def say(self, sentence: str) -> bytes:
        time.sleep(self.seconds)
        return super().say(sentence)


@dataclass(frozen=True)
class State:
    saying: int  # texts that are being said
    samples: int  # of the last text
    rms: float  # of the last text; full scale is 1


@service
class Watched(Speaker):
    def __init__(self, voice: str = "en-us+f2", idle: float = 300.0, slow: float = 0.0) -> None:
        super().__init__(voice, idle)
        self.voice = SlowVoice(voice, slow)  # `slow` is in seconds for each sentence
        self.saying = 0
        self.pieces: list[bytes] = []

    @endpoint(methods=("GET",))
    async def state(self) -> State:
        samples = np.frombuffer(b"".join(self.pieces), np.int16) / 32768
        return State(self.saying, len(samples), float(np.sqrt(np.mean(samples**2))) if len(samples) else 0.0)

    async def say(self, text: str) -> AsyncGenerator[bytes, None]:
        """See `Speaker.say`."""
        self.saying += 1
        self.pieces = []
        try:
            async with aclosing(super().say(text)) as pieces:
                async for piece in pieces:
                    if any(word in text and len(self.pieces) == after for word, after in FAILS_AFTER.items()):
                        raise VoiceFailed("the voice broke")
                    self.pieces.append(piece)
                    yield piece
        finally:
            self.saying -= 1
