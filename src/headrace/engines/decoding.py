"""The decoding loop: many answers of one model, one token of each at a step.

A step reads the last token of each answer under way, all of them together, and then prompts of newcomers, so many of
their tokens that the others keep their pace: short prompts together, padded to the longest, a long one in parts over
several steps. All that a step makes reaches the event loop in one hand-over.

What an answer says does not depend on who is beside it, but for the rounding of the model's sums.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from headrace.batching.continuous import continuous_batch
from headrace.batching.slots import Slot, Slots
from headrace.engines.events import EngineEvent
from headrace.engines.generation import Sampling
from headrace.engines.pool import Pool
from headrace.engines.rows import Rows
from headrace.engines.sequence import Answer
from headrace.engines.vocabulary import Vocabulary
from headrace.errors import ShuttingDown

_Place: TypeAlias = Slot[Answer, list[EngineEvent]]

PREFILL = 256
"""Tokens of prompts that a step reads, unless the engine says otherwise."""


class Decoding:
    """The answers of one model. All of its computing is done on one thread, which runs while there are answers.

    Args:
        pool: the model; nobody else may use it.
        vocabulary: of the model.
        prefill: prompt tokens that a step reads, padding included.
        packed: padding costs the pool nothing: answers under way and newcomers are read in one call.
    """

    def __init__(self, pool: Pool, vocabulary: Vocabulary, *, prefill: int = PREFILL, packed: bool = False) -> None:
        self._pool = pool
        self._vocabulary = vocabulary
        self._prefill = prefill
        self._packed = packed
        self._steps: _Steps | None = None
        self._batch = continuous_batch(max_batch_size=pool.rows)(self._run)
        self._closed = False

    @property
    def active(self) -> int:
        """Rows in use, without those that the next step frees."""
        return 0 if (steps := self._steps) is None else steps.active

    @property
    def healthy(self) -> bool:
        """Whether an answer has a chance: it is not closed, the model does not fail over and over, no step is stuck."""
        return not self._closed and self._batch.healthy

    def generate(self, prompt: Sequence[int], sampling: Sampling) -> AsyncIterator[list[EngineEvent]]:
        """One answer, from the moment of the call: the events of each step that made some.

        `Finish` and `Usage` are the last two. Closing it frees the row at the next step.

        Args:
            prompt: its tokens, at least one, and fewer than the pool has positions.
            sampling: that `arguments.check` has let pass.

        Raises:
            ValueError: the prompt is empty or too long.
            Overloaded: too many answers wait for a row already, or the model fails over and over.
            ShuttingDown: it is closed; while an answer is read, it was closed meanwhile.
        """
        if self._closed:
            raise ShuttingDown
        room = self._pool.positions - len(prompt)
        if not 0 < room < self._pool.positions:
            raise ValueError(f"a prompt of {len(prompt)} tokens for a model that reads {self._pool.positions}")
        limit = room if sampling.max_tokens is None else min(room, sampling.max_tokens)
        return self._batch(Answer(prompt, sampling, limit, self._vocabulary))

    def close(self) -> None:
        """Ends the open answers with `ShuttingDown` at their next step; after that nothing runs."""
        self._closed = True
        self._batch.close()

    def _run(self, slots: Slots[Answer, list[EngineEvent]]) -> Iterator[None]:
        self._steps = steps = _Steps(self._pool, self._prefill, self._packed)
        try:
            while True:
                if self._closed:
                    for slot in slots:
                        slot.fail(ShuttingDown())
                steps.step(slots.joined)
                yield
        finally:
            self._steps = None


class _Steps:
    """The steps of the answers that stand in a pool."""

    def __init__(self, pool: Pool, prefill: int, packed: bool) -> None:
        self._pool = pool
        self._prefill = prefill
        self._packed = packed
        self._rows = Rows[_Place](pool)  # whose prompts are read
        self._waiting: list[_Place] = []  # in the order in which they came; of the first one a part may be read
        self._part_row = 0  # where that part is

    @property
    def active(self) -> int:
        """Rows of answers that go on. For any thread."""
        part = self._waiting[:1] if self._waiting and self._waiting[0].request.read else []
        return sum(not _is_gone(place) for place in [*self._rows.places, *part])

    def step(self, joined: Sequence[_Place]) -> None:
        """One step, with these newcomers: the next token of each answer whose prompt is read."""
        self._leave(joined)
        rows, running = self._rows, len(self._rows.places)
        parts = self._parts(running)
        count = running + len(parts)
        new = np.asarray([1] * running + [len(part) for part in parts], np.int64)
        tokens = np.zeros((count, max(new, default=0)), np.int64)
        tokens[:running, 0] = rows.tokens[:running]
        for row, part in enumerate(parts, running):
            tokens[row, : len(part)] = part
        for begin, end in [(0, count)] if self._packed else [(0, running), (running, count)]:
            if begin < end:
                span = slice(begin, end)
                most = max(new[span])
                logits = self._pool.compute(begin, tokens[span, :most], new[span], rows.lengths[span])
                rows.lengths[span] += new[span]
                self._advance(rows.places[span], begin, logits)

    def _leave(self, joined: Sequence[_Place]) -> None:
        """Those who are gone make room."""
        self._waiting = [place for place in [*self._waiting, *joined] if not _is_gone(place)]
        for row in reversed(range(len(self._rows.places))):
            if _is_gone(self._rows.places[row]):
                self._rows.free(row)

    def _parts(self, first: int) -> list[NDArray[np.int64]]:
        """What is read of the prompts of newcomers, in their order, in the rows from `first` on."""
        rows = self._rows
        counts = shares([place.request.unread for place in self._waiting], self._prefill)
        reading = [place.request for place in self._waiting[: len(counts)]]
        rows.lengths[first : first + len(counts)] = [answer.read for answer in reading]
        if reading and reading[0].read and first != self._part_row:
            self._pool.move(self._part_row, first, reading[0].read)
        self._part_row = first
        parts = [answer.read_on(count) for answer, count in zip(reading, counts, strict=True)]
        if reading and not reading[-1].unread:  # else it is the only one
            rows.places += self._waiting[: len(counts)]
            del self._waiting[: len(counts)]
        return parts

    def _advance(self, places: Sequence[_Place], first: int, logits: NDArray[np.float32]) -> None:
        """Chooses a token for each of the answers, which stand in the rows from `first` on."""
        likeliest = logits.argmax(axis=1).tolist()
        for number, place in enumerate(places):
            answer = place.request
            self._rows.tokens[first + number], events = answer.advance(logits[number], likeliest[number])
            if events:
                place.send(events)
            if answer.finished:
                place.finish()


def _is_gone(place: _Place) -> bool:
    return place.over or place.cancelled


def shares(unread: Sequence[int], most: int) -> list[int]:
    """How much of each prompt is read now: the first ones whole while all of them, padded, are `most` tokens.

    If the first one alone is longer, as much of it as may be.

    Args:
        unread: tokens of each prompt, in their order.
        most: tokens, at least 1.
    """
    longest = 0
    for count, tokens in enumerate(unread):
        longest = max(longest, tokens)
        if (count + 1) * longest > most:
            return [*unread[:count]] or [most]
    return [*unread]
