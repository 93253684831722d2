"""Fuzzes the decoder of binary frames with atheris: whatever comes, only our own errors may come out.

pytest does not collect this file. atheris wants an environment of its own: `python -m venv /tmp/fuzz`, then
`/tmp/fuzz/bin/pip install atheris pydantic numpy`, then for ten minutes
`PYTHONPATH=src /tmp/fuzz/bin/python tests/fuzz/frames.py -max_total_time=600 -rss_limit_mb=512 FOLDER`, where FOLDER
keeps the inputs that led somewhere new. A finding is an exception that is not ours, a run out of memory or time, or two
ways to cut the same bytes that read differently; its input is left in a file `crash-...`, and given as the argument it
is run again alone.
"""

import sys
from typing import Any

import atheris

with atheris.instrument_imports(include=["headrace"]):
    import numpy as np
    from pydantic import BaseModel

    from headrace.errors import HeadraceError
    from headrace.wire.array import Array
    from headrace.wire.frames import FrameDecoder
    from headrace.wire.stream_types import StreamTypes, stream_types, unknown_types

LIMIT = 4096


class Sound(BaseModel):
    samples: Array
    more: list[Array[np.float32]] = []
    rate: int = 0


TYPES: list[StreamTypes] = [
    stream_types(str),
    stream_types(bytes, header_type=bytes, footer_type=int),
    stream_types(Sound, header_type=Sound, footer_type=Sound),
    stream_types(np.ndarray),
    unknown_types(),
]


def read(types: StreamTypes, pieces: list[bytes]) -> tuple[list[str], str]:
    """The events as text, and the class of the error that ended them."""
    decoder = FrameDecoder(types, limit=LIMIT)
    events: list[Any] = []
    try:
        for piece in pieces:
            events += decoder.feed(piece)
        events += decoder.finish()
    except HeadraceError as error:
        return [repr(event) for event in events], type(error).__name__
    return [repr(event) for event in events], ""


def fuzz(data: bytes) -> None:
    """The first byte picks the types, the second how the rest is cut."""
    if len(data) < 2:
        return
    types, step, rest = TYPES[data[0] % len(TYPES)], data[1] or 1, data[2:]
    whole = read(types, [rest])
    assert read(types, [rest[place : place + step] for place in range(0, len(rest), step)]) == whole


if __name__ == "__main__":
    atheris.Setup(sys.argv, fuzz)
    atheris.Fuzz()
