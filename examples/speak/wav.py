"""The head of a WAV file that is sent while it is made."""

import struct

from speak.voice import Sound

UNKNOWN = 0xFFFFFFFF  # the largest size there is: players take what comes until the end


def wav_head(sound: Sound) -> bytes:
    """44 bytes, after which come the samples."""
    return struct.pack(
        "<4sI8sIHHIIHH4sI",
        *(b"RIFF", UNKNOWN, b"WAVEfmt ", 16),
        *(1, sound.channels, sound.sample_rate, sound.sample_rate * sound.frame, sound.frame, 16),
        *(b"data", UNKNOWN),
    )
