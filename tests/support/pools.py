"""A model for tests of the decoding loop: what it says next is a known function of all that its row holds."""

import threading
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

TOKENS = 300  # bytes, then some that are no text
END = 256
SILENT = 257


class ListPool:
    """A pool that keeps each row's tokens in a list, and checks that it is used as its protocol says.

    Args:
        follow: gives the next token for the tokens of a row.
        rows: see `Pool`; positions, too.

    Attributes:
        calls: of `compute`, each with its first row and how many new tokens counted in each row.
    """

    def __init__(self, follow: Callable[[Sequence[int]], int], rows: int = 4, positions: int = 64) -> None:
        self.rows = rows
        self.positions = positions
        self.calls: list[tuple[int, list[int]]] = []
        self.held: list[list[int]] = [[] for _ in range(rows)]
        self._follow = follow
        self._turns: threading.Semaphore | None = None

    def hold(self) -> None:
        """From now on each call waits for its turn."""
        self._turns = threading.Semaphore(0)

    def turn(self, count: int = 1) -> None:
        """Lets so many calls be made."""
        assert self._turns is not None
        self._turns.release(count)

    def compute(
        self, first: int, tokens: NDArray[np.int64], new: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        self.calls.append((first, new.tolist()))
        if self._turns is not None:
            assert self._turns.acquire(timeout=10)
        count = len(tokens)
        assert tokens.shape == (count, max(new))
        assert len(lengths) == count
        assert min(new) >= 1
        assert first + count <= self.rows
        logits = np.zeros((count, TOKENS), np.float32)
        for number, (read, given, length) in enumerate(zip(tokens.tolist(), new, lengths, strict=True)):
            row = self.held[first + number]
            assert length <= len(row), "it holds fewer tokens"
            del row[length:]
            row += read[:given]
            assert len(row) <= self.positions
            logits[number, self._follow(row)] = 1.0
        return logits

    def move(self, source: int, target: int, length: int) -> None:
        assert source != target
        self.held[target] = self.held[source][:length]
        self.held[source] = []


class ByteText:
    """The bytes of one answer become text, two bytes of UTF-8 at most to a character."""

    def __init__(self) -> None:
        self._bytes = b""

    def feed(self, token: int) -> str:
        self._bytes += ByteVocabulary().token_bytes(token)
        if self._bytes and self._bytes[-1] >= 0xC0:
            return ""
        return self.end()

    def end(self) -> str:
        text, self._bytes = self._bytes.decode("utf-8", "replace"), b""
        return text


class ByteVocabulary:
    """Each byte is a token."""

    end_tokens = frozenset([END])

    def text(self) -> ByteText:
        return ByteText()

    def token_bytes(self, token: int) -> bytes:
        return bytes([token]) if token < 256 else b""


def spell(text: str) -> list[int]:
    """The tokens of a text."""
    return list(text.encode())


def reciting(answers: dict[str, str]) -> Callable[[Sequence[int]], int]:
    """Follows each of these prompts with its answer, and then with the end; one prompt must not begin another."""
    scripts = {bytes(spell(prompt)): [*spell(answer), END] for prompt, answer in answers.items()}

    def follow(tokens: Sequence[int]) -> int:
        text = bytes(tokens)
        for prompt, script in scripts.items():
            if text.startswith(prompt):
                return script[len(text) - len(prompt)]
        return ord("?")

    return follow


def counting(tokens: Sequence[int]) -> int:
    """Never ends: a letter that depends on all that the row holds, and on its order."""
    return ord("a") + sum((place + 1) * token for place, token in enumerate(tokens)) % 26
