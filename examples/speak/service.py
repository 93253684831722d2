"""A text-to-speech service with a real synthesiser: sound over HTTP, over a WebSocket, and on a page of its own.

pip install espeakng-loader
headrace dev examples/speak/service.py
curl -N localhost:8000/speak --json '{"text": "It is raining. Take a coat."}' -H 'accept: */*' -o speech.wav
curl -sN 'localhost:8000/speak?text=It+is+raining.' | head -c 44

Then open http://localhost:8000/ and let it speak. The package is GPL-3, as espeak-ng is.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from headrace import Footer, Header, Stream, StreamError, asgi_app, endpoint, service
from speak.listening import Listening
from speak.pacing import Pacer
from speak.page import page
from speak.sentences import sentences
from speak.voice import Sound, Voice
from speak.wav import wav_head

PIECE = 1024  # samples that leave at once: 46 ms
END_OF_TEXT = b""  # an empty item: what follows belongs to the next text

Text = Annotated[str, Field(max_length=10_000)]
Pace = Literal["fast", "realtime"]  # as it is made, or hardly sooner than it is heard


class NothingToSay(StreamError):
    """The text has no letter and no digit."""

    code = "nothing_to_say"
    status = 422


@dataclass(frozen=True)
class Spoken:
    texts: int
    interrupted: int  # of these, by the next one
    samples: int


@service
@asgi_app(page)
class Speaker:
    def __init__(self, voice: str = "en-us+f2", idle: float = 300.0) -> None:
        self.voice = Voice(voice)
        self.idle = idle  # seconds without a text after which a conversation ends

    @endpoint(methods=("POST", "GET"), media_type="audio/wav")
    async def speak(self, text: Text, pace: Pace = "fast") -> AsyncIterator[bytes]:
        """The text as a WAV file, which plays while it arrives."""
        if not sentences(text):
            raise NothingToSay("the text has nothing to say in it; send words or numbers")
        pacer = Pacer(self.voice.sound, pace == "realtime")
        head = wav_head(self.voice.sound)  # leaves with the first sound: a voice that fails before is a status
        async with aclosing(self.say(text)) as pieces:
            async for piece in pieces:
                await asyncio.sleep(pacer.wait(piece))
                yield head + piece
                head = b""

    @endpoint
    async def converse(self, texts: AsyncIterator[Text], pace: Pace = "realtime") -> Stream[bytes, Sound, Spoken]:
        """The sound of each text, and an empty item where it ends. A text interrupts the one before; "" only stops."""
        said = interrupted = samples = 0
        yield Header(self.voice.sound)
        async with Listening(texts, self.idle) as listening:
            while (text := await listening.text()) is not None:
                pacer = Pacer(self.voice.sound, pace == "realtime")
                async with aclosing(self.say(text)) as pieces:
                    async for piece in pieces:
                        if await listening.interrupted(pacer.wait(piece)):
                            interrupted += 1
                            break
                        yield piece
                        samples += len(piece) // self.voice.sound.frame
                said += 1
                yield END_OF_TEXT
        yield Footer(Spoken(said, interrupted, samples))

    async def say(self, text: str) -> AsyncGenerator[bytes, None]:
        """The sound of a text in pieces, synthesised sentence by sentence: who leaves stops it before the next one."""
        size = PIECE * self.voice.sound.frame
        for sentence in sentences(text):
            sound = await asyncio.to_thread(self.voice.say, sentence)
            for start in range(0, len(sound), size):
                yield sound[start : start + size]
