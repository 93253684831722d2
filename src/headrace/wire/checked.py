"""The encoder of a dialect behind the checks that every stream of headrace passes: the type of what is yielded, whether
it can be written at all, and how much may gather.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic_core import to_json

from headrace.errors import AnswerTooLarge, InvalidItem
from headrace.wire.dialect import Answer
from headrace.wire.encoding import Encoder, declared
from headrace.wire.events import End, Failure
from headrace.wire.stream_types import StreamTypes


def checked(answer: Answer, types: StreamTypes, limit: int) -> Answer:
    """The answer with its encoder behind the checks.

    Args:
        answer: the dialect's.
        types: of the endpoint.
        limit: bytes that an answer which gathers may have.
    """
    encoder = (
        GatheringEncoder(answer.encoder, types, limit) if answer.gathers else CheckedEncoder(answer.encoder, types)
    )
    return replace(answer, encoder=encoder)


class CheckedEncoder:
    """Passes on to another encoder what is of the declared types; what that one cannot write is told as the item's."""

    def __init__(self, encoder: Encoder, types: StreamTypes) -> None:
        self._encoder = encoder
        self._types = types
        self._check = types.item.check
        self._encode = encoder.item

    @property
    def heartbeat(self) -> bytes:
        """See `Encoder.heartbeat`."""
        return self._encoder.heartbeat

    @property
    def in_band(self) -> bool:
        """See `Encoder.in_band`."""
        return self._encoder.in_band

    def header(self, value: Any) -> bytes:
        """See `Encoder.header`."""
        return self._encoder.header(declared(self._types.header, "header").check(value))

    def item(self, value: Any) -> bytes:
        """See `Encoder.item`; raises InvalidItem also for what cannot be written: NaN, or a lone surrogate."""
        self._check(value)
        try:
            return self._encode(value)
        except ValueError as error:
            raise InvalidItem(f"{type(value).__name__} that cannot be written: {error}") from error

    def footer(self, value: Any) -> bytes:
        """See `Encoder.footer`."""
        return self._encoder.footer(declared(self._types.footer, "footer").check(value))

    def end(self, end: End) -> bytes:
        """See `Encoder.end`; raises InvalidItem where it writes what it has kept, and cannot."""
        try:
            return self._encoder.end(end)
        except ValueError as error:
            raise InvalidItem(f"an item cannot be written: {error}") from error

    def failure(self, failure: Failure) -> bytes:
        """See `Encoder.failure`."""
        return self._encoder.failure(failure)


class GatheringEncoder(CheckedEncoder):
    """One that keeps its items until the end. How much that is, only itself knows: their size as JSON stands for it.

    Args:
        limit: bytes.
    """

    def __init__(self, encoder: Encoder, types: StreamTypes, limit: int) -> None:
        super().__init__(encoder, types)
        self._limit = self._left = limit
        self._gathers = False

    def item(self, value: Any) -> bytes:
        """See `Encoder.item`; raises AnswerTooLarge when all of them together pass the limit."""
        record = super().item(value)
        if self._gathers:  # the first item is there whether it is kept or not, and may be all there is
            self._left -= _size(value)
            if self._left < 0:
                raise self._too_large()
        self._gathers = True
        return record

    def end(self, end: End) -> bytes:
        """See `CheckedEncoder.end`; raises AnswerTooLarge for a document above the limit."""
        record = super().end(end)
        if len(record) > self._limit:
            raise self._too_large()
        return record

    def _too_large(self) -> AnswerTooLarge:
        return AnswerTooLarge(f"the gathered answer passed {self._limit} bytes; ask for a streamed one")


def _size(value: Any) -> int:
    try:
        return len(to_json(value, bytes_mode="base64", inf_nan_mode="constants", fallback=repr))
    except ValueError:  # a lone surrogate, say, that this encoder can write
        return len(repr(value))
