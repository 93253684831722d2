"""When a piece of sound may leave.

A synthesiser is some hundred times faster than its listener. Sent as it is made, a long text fills buffers all the way,
and all of it is thrown away when the listener interrupts. Sent in real time, little more is under way than what
carries the listener over a late packet.
"""

import time
from collections.abc import Callable

from speak.voice import Sound

LEAD = 1.0  # seconds of sound that a listener may have waiting


class Pacer:
    """Counts one text's sound against the clock, which begins with the first piece."""

    def __init__(self, sound: Sound, realtime: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.realtime = realtime
        self.second = sound.sample_rate * sound.frame  # in bytes
        self.clock = clock
        self.began: float | None = None
        self.sent = 0

    def wait(self, piece: bytes) -> float:
        """The seconds to wait before this piece leaves; 0 where it is late."""
        now = self.clock()
        self.began = now if self.began is None else self.began
        due = self.began + self.sent / self.second - LEAD
        self.sent += len(piece)
        return max(0.0, due - now) if self.realtime else 0.0
