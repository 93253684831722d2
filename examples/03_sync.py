"""A generator that is not async: it runs on a worker thread of its own, and `time.sleep` harms nobody else.

headrace dev examples/03_sync.py
curl -N localhost:8000/tone --json '{"seconds": 0.5}' -H 'accept: */*' -o tone.wav
curl -N 'localhost:8000/countdown?start=3'
"""

import math
import struct
import time
from collections.abc import Iterator

from headrace import endpoint, service

RATE = 8000  # samples per second, 16 bit, mono
LARGEST = 2**32 - 1  # the size of a sound whose end is not known yet


@service
class Sounds:
    @endpoint(media_type="audio/wav")
    def tone(self, seconds: float = 1.0, hertz: float = 440.0) -> Iterator[bytes]:
        """A tone as a WAV file that plays while it arrives: its header gives the largest size there is."""
        yield struct.pack(
            "<4sI8sIHHIIHH4sI", b"RIFF", 2**32 - 1, b"WAVEfmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16, b"data", 2**32 - 1
        )
        for start in range(0, int(seconds * RATE), RATE // 10):
            samples = (math.sin(2 * math.pi * hertz * n / RATE) for n in range(start, start + RATE // 10))
            yield b"".join(struct.pack("<h", int(20000 * sample)) for sample in samples)

    @endpoint(methods=("GET",))
    def countdown(self, start: int = 10) -> Iterator[str]:
        """Usable from a browser: `new EventSource("/countdown?start=3")`."""
        for n in range(start, 0, -1):
            yield f"{n}\n"
            time.sleep(0.1)
