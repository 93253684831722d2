"""Speech for tests: espeak-ng reads a text, with a little noise under it, as a recogniser expects of a room.

The same sentences always give the same samples. espeak-ng keeps a state from one text to the next that nothing resets,
so a process of its own reads them: this file, called with the sentences.
"""

import ctypes
import io
import subprocess
import sys
import wave
from dataclasses import dataclass

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: the samples go to the callback and nowhere else
BUFFER_MILLISECONDS = 60
UTF_8 = 1  # of the flags of espeak_Synth
VOICE = b"en-us+f2"
SEED = 7
NOISE = 100.0  # standard deviation, of 32,768; a recogniser is not made for perfect silence
PAUSE = 0.6  # seconds of silence before the first sentence and after each

Samples = NDArray[np.int16]
Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True)
class Recording:
    """Mono samples of 16 bits."""

    samples: Samples
    rate: int  # samples per second

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    def at(self, rate: int) -> "Recording":
        """The same sound with another number of samples per second."""
        places = np.arange(round(self.seconds * rate)) * (self.rate / rate)
        samples = np.interp(places, np.arange(len(self.samples)), self.samples)
        return Recording(samples.astype(np.int16), rate)

    def wav(self, channels: int = 1) -> bytes:
        """A WAV file with the sound on every channel."""
        file = io.BytesIO()
        with wave.open(file, "wb") as writer:
            writer.setparams((channels, 2, self.rate, len(self.samples), "NONE", ""))
            writer.writeframes(np.repeat(self.samples, channels).tobytes())
        return file.getvalue()


def speak(*sentences: str) -> Recording:
    """The sentences, read at 22,050 samples per second, with a pause before, between and after them."""
    done = subprocess.run([sys.executable, __file__, *sentences], stdout=subprocess.PIPE, timeout=30, check=True)
    with wave.open(io.BytesIO(done.stdout)) as reader:
        return Recording(np.frombuffer(reader.readframes(reader.getnframes()), np.int16), reader.getframerate())


def _read_aloud(sentences: list[str]) -> Recording:
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = library.espeak_Initialize(SYNCHRONOUS, BUFFER_MILLISECONDS, espeakng_loader.get_data_path().encode(), 0)
    assert rate > 0, "espeak-ng did not start"
    assert library.espeak_SetVoiceByName(VOICE) == 0, f"espeak-ng has no voice {VOICE!r}"
    library.espeak_ng_SetRandSeed(ctypes.c_long(SEED))  # starting it has taken the clock for a seed
    silence = np.zeros(int(PAUSE * rate), np.int16)
    samples = np.concatenate([silence, *(part for each in sentences for part in (_synthesize(library, each), silence))])
    noise = np.random.default_rng(SEED).normal(0.0, NOISE, len(samples))
    return Recording(np.clip(samples + noise, -32768, 32767).astype(np.int16), rate)


def _synthesize(library: ctypes.CDLL, sentence: str) -> Samples:
    pieces: list[bytes] = []

    def take(samples: "ctypes._Pointer[ctypes.c_short]", count: int, _: int) -> int:
        if samples and count:
            pieces.append(ctypes.string_at(samples, 2 * count))
        return 0

    callback = Callback(take)  # the library keeps a bare pointer: this name keeps what it points to
    library.espeak_SetSynthCallback(callback)
    text = sentence.encode()
    assert library.espeak_Synth(text, ctypes.c_size_t(len(text) + 1), 0, 0, 0, UTF_8, None, None) == 0
    return np.frombuffer(b"".join(pieces), np.int16)


if __name__ == "__main__":
    sys.stdout.buffer.write(_read_aloud(sys.argv[1:]).wav())
