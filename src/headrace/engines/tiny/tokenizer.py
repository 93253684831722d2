"""Byte-level BPE, read from `tokenizer.json`.

A text is split into words by the file's regular expression. A word becomes its UTF-8 bytes, and of its pairs of
neighbours the one that stands first in the file's list of merges is joined, the leftmost of equals, until none is in
the list (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909, over bytes as in GPT-2). The file writes each byte as
one printable character.

A conversation is `<|bos|>`, then `<|role|>`, the content and `<|end|>` for each message, then `<|assistant|>`, as the
model's chat template says. These special tokens are only ever put in by `chat` and `completion`: spelled out in a text
they are ordinary characters, so nobody can write the end of a message into one.
"""

from __future__ import annotations

import codecs
import heapq
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.engines.generation import Message
from headrace.engines.tiny.checkpoint import InvalidCheckpoint, read_json

_WORDS_REMEMBERED = 20_000


class TextDecoder:
    """See `TokenText`."""

    def __init__(self, token_bytes: Mapping[int, bytes]) -> None:
        self._token_bytes = token_bytes
        self._characters = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, token: int) -> str:
        """See `TokenText.feed`."""
        return self._characters.decode(self._token_bytes.get(token, b""))

    def end(self) -> str:
        """See `TokenText.end`."""
        return self._characters.decode(b"", final=True)


@dataclass(frozen=True, slots=True)
class TinyVocabulary:
    """See `Vocabulary`. Special and unknown tokens are no text."""

    end_tokens: frozenset[int]
    bytes_of: Mapping[int, bytes]

    def text(self) -> TextDecoder:
        """See `Vocabulary.text`."""
        return TextDecoder(self.bytes_of)

    def token_bytes(self, token: int) -> bytes:
        """See `Vocabulary.token_bytes`."""
        return self.bytes_of.get(token, b"")


class Tokenizer:
    """Text to token ids and back. Safe to share between threads: what it remembers only saves time."""

    def __init__(
        self,
        vocabulary: dict[bytes, int],
        merges: Sequence[tuple[bytes, bytes]],
        special: dict[str, int],
        pattern: re.Pattern[str],
    ) -> None:
        self._vocabulary = vocabulary
        self._ranks = {pair: rank for rank, pair in enumerate(merges)}
        self._special = special
        self._pattern = pattern
        self._words: dict[str, tuple[int, ...]] = {}
        self._token_bytes = {token_id: token for token, token_id in vocabulary.items()}  # a special token is no text
        self._longest_token = max(len(token) for token in vocabulary)

    @classmethod
    def read(cls, path: Path) -> Tokenizer:
        """Reads `tokenizer.json`; `InvalidCheckpoint` for a kind of tokenizer that would be run wrongly."""
        document = read_json(path)
        try:
            model = document["model"]
            special = {token["content"]: token["id"] for token in document["added_tokens"]}
            split, byte_level = document["pre_tokenizer"]["pretokenizers"]
            kinds = (model["type"], document["normalizer"], split["type"], split["behavior"], byte_level["type"])
            if kinds != ("BPE", None, "Split", "Isolated", "ByteLevel") or byte_level["add_prefix_space"]:
                raise InvalidCheckpoint(f"{path}: only byte-level BPE behind one isolating Split is supported: {kinds}")
            byte_of = {character: byte for byte, character in _printable_bytes()}
            spelled = {token: token_id for token, token_id in model["vocab"].items() if token not in special}
            vocabulary = {_spelled_bytes(token, byte_of): token_id for token, token_id in spelled.items()}
            merges = [_merge_pair(merge, byte_of) for merge in model["merges"]]
            pattern = re.compile(split["pattern"]["Regex"])
        except (KeyError, TypeError, ValueError, AttributeError, re.error) as error:
            raise InvalidCheckpoint(f"{path}: not a tokenizer that this engine can read: {error!r}") from error
        for left, right in merges:
            if left + right not in vocabulary:
                raise InvalidCheckpoint(f"{path}: the merge of {left!r} and {right!r} is not in the vocabulary")
        if any(bytes([byte]) not in vocabulary for byte in range(256)):
            raise InvalidCheckpoint(f"{path}: the vocabulary lacks some of the 256 bytes")
        return cls(vocabulary, merges, special, pattern)

    @property
    def size(self) -> int:
        """One more than the highest token id."""
        return 1 + max(*self._token_bytes, *self._special.values())

    @property
    def longest_token(self) -> int:
        """The length of the longest token, in bytes: n bytes of text are at least n / longest_token tokens."""
        return self._longest_token

    def encode(self, text: str) -> list[int]:
        """The ids of a plain text. Lone surrogates, which UTF-8 cannot carry, become question marks."""
        return [token_id for word in self._pattern.findall(text) for token_id in self._encode_word(word)]

    def chat(self, messages: Sequence[Message]) -> list[int]:
        """The ids of a conversation up to where the assistant's answer begins."""
        ids = [self._special_id("bos")]
        for message in messages:
            ids += [self._special_id(message.role), *self.encode(message.content), self._special_id("end")]
        return [*ids, self._special_id("assistant")]

    def completion(self, text: str) -> list[int]:
        """The ids of a text to continue."""
        return [self._special_id("bos"), *self.encode(text)]

    def vocabulary(self, end_tokens: frozenset[int]) -> TinyVocabulary:
        """Its tokens, for a model that ends its answers with one of these."""
        return TinyVocabulary(end_tokens, self._token_bytes)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of a whole sequence; special and unknown tokens are no text."""
        return b"".join(self._token_bytes.get(token_id, b"") for token_id in ids).decode("utf-8", "replace")

    def _special_id(self, name: str) -> int:
        try:
            return self._special[f"<|{name}|>"]
        except KeyError as error:
            raise InvalidCheckpoint(f"the tokenizer has no special token <|{name}|>") from error

    def _encode_word(self, word: str) -> tuple[int, ...]:
        ids = self._words.get(word)
        if ids is None:
            ids = tuple(self._vocabulary[token] for token in self._merge(word.encode("utf-8", "replace")))
            if len(self._words) < _WORDS_REMEMBERED:
                self._words[word] = ids
        return ids

    def _merge(self, word: bytes) -> Iterator[bytes]:
        """Joins pairs in the order of their rank. A heap keeps a long word from taking quadratic time."""
        tokens = [word[at : at + 1] for at in range(len(word))]  # a token that was joined to its left becomes b""
        following = list(range(1, len(word) + 1))
        preceding = list(range(-1, len(word) - 1))
        candidates: list[tuple[int, int, bytes, bytes]] = []  # rank, place of the left one, and both

        def consider(left: int, right: int) -> None:
            if left >= 0 and right < len(tokens):
                rank = self._ranks.get((tokens[left], tokens[right]))
                if rank is not None:
                    heapq.heappush(candidates, (rank, left, tokens[left], tokens[right]))

        for at in range(len(word) - 1):
            consider(at, at + 1)
        while candidates:
            _, left, first, second = heapq.heappop(candidates)
            right = following[left]
            if tokens[left] != first or right == len(tokens) or tokens[right] != second:
                continue  # one of the two has been joined to something else meanwhile
            tokens[left], tokens[right] = first + second, b""
            following[left] = following[right]
            if following[left] < len(tokens):
                preceding[following[left]] = left
            consider(preceding[left], left)
            consider(left, following[left])
        return (token for token in tokens if token)


def _printable_bytes() -> Iterator[tuple[int, str]]:
    """Each byte with the character that the file writes for it: itself if printable, else one from U+0100 on."""
    substitute = 0x100
    for byte in range(256):
        if 0x21 <= byte <= 0x7E or (0xA1 <= byte <= 0xFF and byte != 0xAD):
            yield byte, chr(byte)
        else:
            yield byte, chr(substitute)
            substitute += 1


def _spelled_bytes(token: str, byte_of: dict[str, int]) -> bytes:
    return bytes(byte_of[character] for character in token)


def _merge_pair(merge: Any, byte_of: dict[str, int]) -> tuple[bytes, bytes]:
    """A merge is a list of two tokens, or, in older files, both with a space between them."""
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return _spelled_bytes(left, byte_of), _spelled_bytes(right, byte_of)
