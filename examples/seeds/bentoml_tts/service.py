"""Text to speech over a WebSocket, twice: as a route of a FastAPI application, and as an endpoint.

pip install fastapi espeakng-loader
headrace run examples/seeds/bentoml_tts/service.py
python examples/seeds/bentoml_tts/client.py 'It is raining. Take a coat.' speech.wav

Both take texts, and answer with the sound of each in binary messages (PCM, 16 bit, mono), the last one empty. The route
at /ws is all that FastAPI knows of WebSockets. The endpoint at /speak does the same and says what its sound is, when
the last text has been said, and in words of its own what went wrong. The package is GPL-3, as espeak-ng is.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from fastapi import FastAPI, WebSocket
from speak.sentences import sentences
from speak.voice import Sound, Voice

from headrace import Header, Stream, StreamError, asgi_app, endpoint, service
from seeds.texts import texts

LONGEST = 10_000  # characters of a text
PIECE = 4096  # bytes of sound in a message
END_OF_TEXT = b""

app = FastAPI(title="Text to speech")


class TextTooLong(StreamError):
    """The text is longer than this service says at once."""

    code = "text_too_long"
    status = 422


@service
@asgi_app(app)
class TTSExample:
    def __init__(self, voice: str = "en-us+f2") -> None:
        self.engine = self.setup_tts_engine(voice)

    def setup_tts_engine(self, voice: str) -> Voice:
        return Voice(voice)

    async def synthesize(self, text: str) -> AsyncGenerator[bytes, None]:
        """The sound of a text, made sentence by sentence: who leaves stops it before the next one."""
        if len(text) > LONGEST:
            raise TextTooLong(f"the text has {len(text)} characters, and this service says {LONGEST} at once; cut it")
        for sentence in sentences(text):
            sound = await asyncio.to_thread(self.engine.say, sentence)
            for start in range(0, len(sound), PIECE):
                yield sound[start : start + PIECE]
        yield END_OF_TEXT

    @app.websocket("/ws")
    async def speech(self, websocket: WebSocket) -> None:
        await websocket.accept()
        async for text in texts(websocket):
            async with aclosing(self.synthesize(text)) as pieces:
                async for piece in pieces:
                    await websocket.send_bytes(piece)

    @endpoint
    async def speak(self, texts: AsyncIterator[str]) -> Stream[bytes, Sound, None]:
        yield Header(self.engine.sound)
        async for text in texts:
            async with aclosing(self.synthesize(text)) as pieces:
                async for piece in pieces:
                    yield piece
