"""A transcription service with a real recogniser: sound goes up, and its words come back while it still does.

pip install pocketsphinx
headrace dev examples/transcribe.py
curl -N localhost:8000/transcribe -T speech.wav
arecord -q -t wav -f S16_LE -r 16000 | curl -N localhost:8000/transcribe -T .

The last line listens to a microphone: a WAV file may be sent before its size is known.
"""

import asyncio
import math
import struct
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pocketsphinx import Decoder, Endpointer, Vad

from headrace import Footer, Header, Stream, StreamError, endpoint, service
from headrace.errors import Overloaded

RATE = 16000  # samples per second that the recogniser was trained with
STEP = 0.03  # seconds of sound that are recognised at once: some milliseconds of work
LONGEST = 20.0  # seconds of a segment; who speaks on without a pause gets the text so far
BEFORE = 1 << 20  # bytes that may stand before the sound; some programs put a cover picture there
NOT_KNOWN_YET = 0x7FFFF000  # the size that sox gives a file while it makes it; others say 0xFFFFFFFF
CROSSINGS = 16  # zeros of the sinc on each side of a sample that `Resampler` takes into account
CONVERT = "convert it: ffmpeg -i INPUT -ac 1 -ar 16000 -c:a pcm_s16le speech.wav"

Samples = NDArray[np.float64]


class NotWav(StreamError):
    """The upload is not a WAV file."""

    code = "not_wav"
    status = 415


class UnsupportedSound(StreamError):
    """The sound is of a kind that this service does not take."""

    code = "unsupported_sound"
    status = 415


class BrokenWav(StreamError):
    """The WAV file is damaged or not complete."""

    code = "broken_wav"
    status = 422


@dataclass(frozen=True)
class Source:
    sample_rate: int
    channels: int


@dataclass(frozen=True)
class Segment:
    start: float  # seconds from the beginning of the sound
    end: float
    text: str


@dataclass(frozen=True)
class Summary:
    duration: float  # seconds
    words: int


class Upload:
    """A request's body, cut as its reader wants it and not as the network did."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self.chunks = chunks
        self.held = bytearray()

    async def take(self, size: int) -> bytes:
        """The next `size` bytes; fewer where the upload ends."""
        while len(self.held) < size and (chunk := await anext(self.chunks, None)) is not None:
            self.held += chunk
        taken = bytes(self.held[:size])
        del self.held[:size]
        return taken


@dataclass(frozen=True)
class Sound:
    """What the head of a WAV file says of its sound; `size` is in bytes, None where it is not known yet."""

    source: Source
    size: int | None

    @property
    def frame(self) -> int:
        """The bytes of one sample on every channel."""
        return 2 * self.source.channels

    def step(self, received: int) -> int:
        """The bytes to be recognised next."""
        step = int(STEP * self.source.sample_rate) * self.frame
        return step if self.size is None else min(step, self.size - received)

    def check_size(self, size: int) -> None:
        if size == 0:
            raise BrokenWav("the WAV file has no sound in it; record something and send it again")
        if size % self.frame:
            raise BrokenWav(f"the sound has {size} bytes and ends inside a sample of {self.frame}; send all of it")

    def check_received(self, size: int) -> None:
        if self.size is not None and size < self.size:
            raise BrokenWav(f"the upload ends after {size} of {self.size} bytes of sound; send all of it")
        self.check_size(size)


async def read_head(upload: Upload) -> Sound:
    """Reads a WAV file up to its first sample. Chunks that say something else than the format are passed over."""
    head = await upload.take(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        what = f"begins with {head!r}" if head else "is empty"
        raise NotWav(f"the upload {what}; send a WAV file, or {CONVERT}")
    source: Source | None = None
    left = BEFORE
    while True:
        name, size = struct.unpack("<4sI", await take_head(upload, 8))
        if name == b"data":
            break
        left -= 8 + size
        if left < 0:
            raise BrokenWav(f"the sound does not begin within {BEFORE} bytes; {CONVERT}")
        content = await take_head(upload, size + size % 2)
        if name == b"fmt ":
            source = read_format(content)
    if source is None:
        raise BrokenWav(f"the WAV file does not say what its samples are before they come; {CONVERT}")
    sound = Sound(source, size if size < NOT_KNOWN_YET else None)
    if sound.size is not None:
        sound.check_size(sound.size)
    return sound


async def take_head(upload: Upload, size: int) -> bytes:
    content = await upload.take(size)
    if len(content) < size:
        raise BrokenWav("the upload ends inside the head of the WAV file; send all of it")
    return content


def read_format(content: bytes) -> Source:
    if len(content) < 16:
        raise BrokenWav(f"the format chunk has {len(content)} bytes, and the shortest there is has 16; {CONVERT}")
    encoding, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", content)
    if encoding == 0xFFFE and len(content) >= 26:  # WAVE_FORMAT_EXTENSIBLE: the encoding comes later
        (encoding,) = struct.unpack_from("<H", content, 24)
    if (encoding, bits) != (1, 16):
        kind = {1: "PCM", 3: "float", 6: "A-law", 7: "mu-law"}.get(encoding, f"encoding {encoding:#06x}")
        raise UnsupportedSound(f"the samples are {kind} of {bits} bits, and this service takes PCM of 16; {CONVERT}")
    if channels not in (1, 2):
        raise UnsupportedSound(f"the sound has {channels} channels, and this service takes 1 or 2; {CONVERT}")
    if not 8000 <= rate <= 96000:
        raise UnsupportedSound(f"the sound has {rate} samples a second, outside 8000 to 96000; {CONVERT}")
    return Source(rate, channels)


class Resampler:
    """Sound of any rate to 16 kHz, piece by piece.

    Each new sample is the sum of the old ones around its place, weighed with a windowed sinc, which also takes away
    the tones that 16 kHz cannot hold. Places are counted in 1/16000 of an old sample, so nothing drifts.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.cut = min(1.0, RATE / rate)
        self.reach = math.ceil(CROSSINGS / self.cut)
        self.held: Samples = np.zeros(self.reach - 1)
        self.place = len(self.held) * RATE  # of the next new sample, in `held`

    def feed(self, samples: Samples) -> Samples:
        """The new samples that these old ones complete."""
        self.held = np.concatenate((self.held, samples))
        count = max(0, -(((len(self.held) - self.reach) * RATE - self.place) // -self.rate))
        before, fraction = np.divmod(self.place + self.rate * np.arange(count), RATE)
        around = np.arange(1 - self.reach, self.reach + 1)
        distance = around - fraction[:, None] / RATE
        weights = self.cut * np.sinc(self.cut * distance) * np.cos(np.pi / 2 * distance / self.reach) ** 2
        made: Samples = (self.held[before[:, None] + around] * weights).sum(axis=1)
        self.place += self.rate * count
        done = self.place // RATE - self.reach + 1
        self.held, self.place = self.held[done:], self.place - done * RATE
        return made

    def finish(self) -> Samples:
        """The new samples that only silence completes."""
        return self.feed(np.zeros(self.reach))


class Recogniser:
    """A decoder, for one stream at a time, on a thread of its own.

    The decoder holds Python's lock while it works, so a thread makes nothing faster; but the event loop gets its turn
    after every step. And whatever a stream asks of the decoder waits for the step that the last one left under way.
    """

    def __init__(self) -> None:
        # Its second pass over a whole segment would hold the lock for 0.1 s, for hardly a better text.
        self.decoder = Decoder(fwdflat=False, loglevel="FATAL")
        self.listening = False
        self.thread = ThreadPoolExecutor(1, "recogniser")
        self.forget()

    def begin(self) -> None:
        self.decoder.start_utt()
        self.listening = True

    def hear(self, speech: bytes) -> None:
        self.decoder.process_raw(speech)

    def end(self) -> str:
        self.decoder.end_utt()
        self.listening = False
        hypothesis = self.decoder.hyp()
        return hypothesis.hypstr if hypothesis else ""

    def forget(self) -> None:
        """Makes the decoder hear the next sound as its first: it adapts to voices."""
        if self.listening:
            self.end()
        self.decoder.reinit_feat()


class Hearing:
    """One sound on its way through a recogniser: bytes in, segments out."""

    def __init__(self, recogniser: Recogniser, sound: Sound) -> None:
        self.recogniser = recogniser
        self.sound = sound
        self.resampler = Resampler(sound.source.sample_rate)
        self.endpointer = Endpointer(sample_rate=RATE, vad_mode=Vad.STRICT)
        self.held = b""  # at most what the endpointer takes; it wants a last piece that is not empty
        self.start = self.end = 0.0  # of the segment that is being heard

    def hear(self, data: bytes) -> list[Segment]:
        """The segments that end in this piece of the sound. No bytes are its end."""
        whole = len(data) // self.sound.frame * self.sound.frame
        samples = np.frombuffer(data[:whole], "<i2").reshape(-1, self.sound.source.channels).mean(axis=1)
        heard = self.resampler.feed(samples) if data else self.resampler.finish()
        self.held += heard.round().clip(-32768, 32767).astype(np.int16).tobytes()
        segments = []
        while len(self.held) > (size := self.endpointer.frame_bytes):
            segments.append(self.listen(self.endpointer.process(self.held[:size])))
            self.held = self.held[size:]
        if not data and self.endpointer.in_speech:
            segments.append(self.listen(self.endpointer.end_stream(self.held)))
        return [segment for segment in segments if segment is not None and segment.text]

    def listen(self, speech: bytes | None) -> Segment | None:
        """Gives the recogniser what the endpointer has found."""
        if speech is None:
            return None
        if not self.recogniser.listening:
            self.start = self.end = max(self.end, self.endpointer.speech_start)  # or it goes on after `LONGEST`
            self.recogniser.begin()
        self.recogniser.hear(speech)
        self.end += len(speech) / 2 / RATE
        if self.endpointer.in_speech and self.end - self.start < LONGEST:
            return None
        return Segment(round(self.start, 3), round(self.end, 3), self.recogniser.end())


@service
class Transcriber:
    def __init__(self, decoders: int = 2) -> None:
        self.free = [Recogniser() for _ in range(decoders)]  # 0.3 s and 100 MB each; one core keeps up with six

    def on_stop(self) -> None:
        for recogniser in self.free:
            recogniser.thread.shutdown()

    @contextmanager
    def recogniser(self) -> Iterator[Recogniser]:
        if not self.free:
            raise Overloaded("every decoder is in use; try again in a while")
        recogniser = self.free.pop()
        try:
            yield recogniser
        finally:
            recogniser.thread.submit(recogniser.forget)
            self.free.append(recogniser)

    @endpoint(methods=("PUT", "POST"))
    async def transcribe(self, chunks: AsyncIterator[bytes]) -> Stream[Segment, Source, Summary]:
        """What is said in a WAV file, while the file is still arriving. One that was cut fails after its last words."""
        upload = Upload(chunks)
        sound = await read_head(upload)
        with self.recogniser() as recogniser:
            yield Header(sound.source)
            hearing = Hearing(recogniser, sound)
            received = words = 0
            while True:
                data = await upload.take(sound.step(received))
                received += len(data)
                for segment in await asyncio.wrap_future(recogniser.thread.submit(hearing.hear, data)):
                    words += len(segment.text.split())
                    yield segment
                if not data:
                    break
            sound.check_received(received)
            yield Footer(Summary(round(received / sound.frame / sound.source.sample_rate, 3), words))
