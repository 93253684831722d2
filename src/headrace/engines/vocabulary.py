"""What the shared decoding loop asks of a tokenizer: when an answer ends, and what its tokens are as text."""

from __future__ import annotations

from typing import Protocol


class TokenText(Protocol):
    """The tokens of one answer become text. A character may be made of several tokens: it comes with its last byte."""

    def feed(self, token: int) -> str:
        """The characters that this token completes: none, one or more."""
        ...

    def end(self) -> str:
        """What is left after the last token: U+FFFD for a character that was not completed, else nothing."""
        ...


class Vocabulary(Protocol):
    """The tokens of a model."""

    @property
    def end_tokens(self) -> frozenset[int]:
        """Each of them ends an answer and is no part of it."""
        ...

    def text(self) -> TokenText:
        """A new one, for one answer."""
        ...

    def token_bytes(self, token: int) -> bytes:
        """What a token is in UTF-8, maybe a part of a character; nothing for a token that is no text."""
        ...
