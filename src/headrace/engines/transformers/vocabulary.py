"""The tokens of a checkpoint as text, one at a time.

Tokens are decoded behind those that came before, because some tokenizers treat the first one of a text in another way:
those of SentencePiece drop its space. Only the last few are decoded again, so a token costs the same wherever it
stands. Text that ends in U+FFFD may be the beginning of a character, so it waits for the next token.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from typing import Any, TypeAlias

SHOWN = frozenset(
    [
        *("<think>", "</think>", "<tool_call>", "</tool_call>"),
        *("<|python_tag|>", "[TOOL_CALLS]", "[CALL_ID]", "[ARGS]"),
    ]
)
"""Special tokens that are text all the same: `reasoning` and `tool_calls` tell thoughts and calls by them."""

PATIENCE = 16
"""Tokens that may wait for a character to be complete: one has at most 4 bytes, so these will never be one."""

_BROKEN = "\ufffd"
_BYTE = re.compile("<0x([0-9A-F]{2})>")
_Decode: TypeAlias = Callable[[Sequence[int]], str]


class CheckpointVocabulary:
    """A `Vocabulary` (`headrace.engines.vocabulary`) of a tokenizer of the `transformers` library, fast or slow.

    Args:
        tokenizer: the checkpoint's.
        end_tokens: each of them ends an answer.
    """

    def __init__(self, tokenizer: Any, end_tokens: Collection[int]) -> None:
        self._tokenizer = tokenizer
        self._decode = _decoder(tokenizer)
        self._added = {token: str(added) for token, added in tokenizer.added_tokens_decoder.items()}
        special = {token for token, added in tokenizer.added_tokens_decoder.items() if added.special}
        special |= set(tokenizer.all_special_ids)
        self._hidden = {token for token in special if self._added.get(token) not in SHOWN}
        self._before = tuple(tokenizer.encode("a", add_special_tokens=False))
        self.end_tokens = frozenset(end_tokens)

    def text(self) -> TokenWindow:
        """A new one, for one answer."""
        return TokenWindow(self.decode, self._hidden, self._before)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of some tokens, special ones included."""
        return self._decode(tokens)

    def token_bytes(self, token: int) -> bytes:
        """See `Vocabulary.token_bytes`."""
        if token in self._hidden:
            return b""
        if token in self._added:
            return self._added[token].encode()
        spelled = self._tokenizer.convert_ids_to_tokens(token)
        if spelled is None:
            return b""  # the model has more of them than the tokenizer
        if self._is_byte_level:
            return bytes(_BYTE_OF[character] for character in spelled)
        if byte := _BYTE.fullmatch(spelled):
            return bytes.fromhex(byte[1])
        return self._decode([*self._before, token])[len(self._decode(self._before)) :].encode()

    @cached_property
    def _is_byte_level(self) -> bool:
        decoder = self._tokenizer.backend_tokenizer.decoder if self._tokenizer.is_fast else None
        return decoder is not None and b'"ByteLevel"' in decoder.__getstate__()


class TokenWindow:
    """A `TokenText`: decodes the tokens that came last together with those before that are not told yet.

    Args:
        decode: tokens to text, special ones included.
        hidden: tokens that are no text.
        before: tokens that stand before the first one.
    """

    def __init__(self, decode: _Decode, hidden: Collection[int], before: Sequence[int]) -> None:
        self._decode = decode
        self._hidden = hidden
        self._tokens = [*before]
        self._told(self._decode(self._tokens))

    def feed(self, token: int) -> str:
        """See `TokenText.feed`."""
        if token in self._hidden:
            return ""
        self._tokens.append(token)
        text = self._decode(self._tokens)
        new = text[self._characters :]
        if (not new or new.endswith(_BROKEN)) and len(self._tokens) - self._known < PATIENCE:
            return ""
        self._tokens = self._tokens[self._known :]
        self._told(self._decode(self._tokens))
        return new

    def end(self) -> str:
        """See `TokenText.end`."""
        return self._decode(self._tokens)[self._characters :]

    def _told(self, text: str) -> None:
        """What the tokens say is known to the reader."""
        self._known = len(self._tokens)
        self._characters = len(text)


def _decoder(tokenizer: Any) -> _Decode:
    """Decodes as the tokenizer does, from any thread."""
    if not tokenizer.is_fast:
        return lambda tokens: str(
            tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        )
    from tokenizers import Tokenizer

    # One of its own: encoding changes settings of the one it uses, which must not happen in the middle of a decoding.
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    return lambda tokens: str(backend.decode(tokens, skip_special_tokens=False))


def _bytes_of_characters() -> dict[str, int]:
    """The byte that each character of a byte-level token stands for: itself if printable, else in order from U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + at): byte for at, byte in enumerate(others)}


_BYTE_OF = _bytes_of_characters()
