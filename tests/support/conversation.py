"""A conversation with the example `speak` over a WebSocket, and how two sounds of one text are compared."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from served import Served
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

RATE = 22_050
WINDOW = RATE // 50  # samples

Samples = NDArray[np.int16]


class Conversation:
    """What a client says and hears. `header` has come with the connection."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.header: dict[str, Any] = self.document()["header"]

    def say(self, text: str) -> None:
        self.socket.send(json.dumps({"item": text}))

    def end(self) -> None:
        """Says that no more texts come."""
        self.socket.send(json.dumps({"end": {}}))

    def leave(self) -> None:
        """Goes without a word, as a client does whose process ends."""
        self.socket.close_socket()

    def document(self) -> dict[str, Any]:
        """The next message that is none of sound."""
        while isinstance(message := self.socket.recv(timeout=10), bytes):
            pass
        document: dict[str, Any] = json.loads(message)
        return document

    def piece(self) -> bytes:
        """The next piece of sound; empty at the end of a text."""
        message = self.socket.recv(timeout=10)
        assert isinstance(message, bytes), message
        return message

    def heard(self) -> Samples:
        """All sound up to the end of a text."""
        return np.frombuffer(b"".join(iter(self.piece, b"")), np.int16)


@contextmanager
def conversation(served: Served, pace: str = "fast") -> Iterator[Conversation]:
    """A conversation, which its client leaves at the end of the block."""
    url = f"ws://127.0.0.1:{served.port}/converse?pace={pace}"
    with connect(url, subprotocols=[Subprotocol("headrace.v1")]) as socket:
        yield Conversation(socket)


def loudness(samples: Samples) -> NDArray[np.float64]:
    """The root mean square of every 20 ms."""
    whole = samples[: len(samples) // WINDOW * WINDOW].astype(np.float64).reshape(-1, WINDOW)
    rms: NDArray[np.float64] = np.sqrt((whole**2).mean(axis=1))
    return rms


def alike(one: Samples, other: Samples) -> bool:
    """Whether two sounds are the same text.

    espeak-ng keeps a state from one sentence to the next that nothing resets, so no two sounds of a text are equal:
    some milliseconds come or go, and the waves begin at another place. How loud it is and when stays the same.
    """
    if abs(len(one) - len(other)) > 2 * WINDOW:
        return False
    first, second = loudness(one), loudness(other)
    size = min(len(first), len(second))
    return bool(np.corrcoef(first[:size], second[:size])[0, 1] > 0.95)
