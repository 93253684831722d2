"""espeak-ng as a synthesiser: a sentence in, its samples out.

The library is one per process, and what two threads make with it at the same time comes out mixed. So every sentence
is made under the library's lock, some milliseconds at a time, and nobody holds the lock while sound is on its way.
"""

import ctypes
import functools
import threading
from dataclasses import dataclass

import espeakng_loader

from headrace import StreamError

SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: the samples go to the callback and nowhere else
BUFFER = 60  # milliseconds of sound per call of the callback
UTF_8 = 1  # of the flags of espeak_Synth; without the one for SSML, "<" is a character like others

Samples = ctypes.POINTER(ctypes.c_short)
Callback = ctypes.CFUNCTYPE(ctypes.c_int, Samples, ctypes.c_int, ctypes.c_void_p)


class VoiceFailed(StreamError):
    """The synthesiser did not take a sentence."""

    code = "voice_failed"


@dataclass(frozen=True)
class Sound:
    """What the bytes of a sound are."""

    sample_rate: int
    channels: int = 1
    encoding: str = "pcm_s16le"

    @property
    def frame(self) -> int:
        """The bytes of one sample on every channel."""
        return 2 * self.channels


class Library:
    """The library, and the lock under which it is used."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.calls = ctypes.CDLL(espeakng_loader.get_library_path())
        self.rate: int = self.calls.espeak_Initialize(SYNCHRONOUS, BUFFER, espeakng_loader.get_data_path().encode(), 0)
        if self.rate <= 0:
            raise OSError(f"espeak-ng did not start with its data in {espeakng_loader.get_data_path()}")

    def choose(self, name: str) -> bool:
        """Whether there is this voice; it speaks from now on."""
        return bool(self.calls.espeak_SetVoiceByName(name.encode()) == 0)

    def read_aloud(self, text: bytes) -> bytes:
        """The samples of a text in UTF-8."""
        parts: list[bytes] = []

        def take(samples: "ctypes._Pointer[ctypes.c_short]", count: int, _: int) -> int:
            if samples and count:
                parts.append(ctypes.string_at(samples, 2 * count))
            return 0

        callback = Callback(take)  # the library keeps a bare pointer: this name keeps what it points to
        self.calls.espeak_SetSynthCallback(callback)
        error = self.calls.espeak_Synth(text, ctypes.c_size_t(len(text) + 1), 0, 0, 0, UTF_8, None, None)
        if error:
            raise VoiceFailed(f"espeak-ng failed with error {error}")
        return b"".join(parts)


@functools.cache
def library() -> Library:
    """The library of this process."""
    return Library()


class Voice:
    """One of the voices of espeak-ng: `en-us`, `de+f3`, `fr`."""

    def __init__(self, name: str) -> None:
        self.library = library()
        self.name = name
        with self.library.lock:
            if not self.library.choose(name):
                raise ValueError(f"espeak-ng has no voice {name!r}; try en-us, en-gb+m3, de, fr or es+f2")
        self.sound = Sound(self.library.rate)

    def say(self, sentence: str) -> bytes:
        """The samples of a sentence. Blocks for some milliseconds: call it on a thread."""
        with self.library.lock:
            self.library.choose(self.name)  # another voice may have spoken since
            return self.library.read_aloud(sentence.encode("utf-8", "replace"))
