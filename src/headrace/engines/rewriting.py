"""Reads the text of an engine's answers with a parser, and puts the parser's deltas in the place of the text."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

from headrace.engines.events import EngineEvent, Finish, TextDelta, TokenLogprob
from headrace.engines.tape import Delta, Parser


async def rewritten(
    events: AsyncGenerator[EngineEvent, None], make_parser: Callable[[], Parser]
) -> AsyncGenerator[EngineEvent, None]:
    """The events with each answer's text read by a parser of its own; all other events pass.

    Logprobs stay with text that passes unchanged, and wait where it waits. Those of tokens that became something else
    are left out, for the logprobs of an answer are those of its text. Closing this closes `events`.
    """
    answers: dict[int, _Answer] = {}
    async with aclosing(events):
        async for event in events:
            if isinstance(event, TextDelta):
                answer = answers.setdefault(event.index, _Answer(event.index, make_parser()))
                for delta in answer.feed(event):
                    yield delta
            else:
                if isinstance(event, Finish) and event.index in answers:
                    for delta in answers.pop(event.index).end():
                        yield delta
                yield event
        for answer in answers.values():  # cut without its Finish: what there was of it is not lost
            for delta in answer.end():
                yield delta


class _Answer:
    def __init__(self, index: int, parser: Parser) -> None:
        self._index = index
        self._parser = parser
        self._waiting = ""  # the text that was fed and has not come out
        self._logprobs: tuple[TokenLogprob, ...] = ()  # of its tokens

    def feed(self, event: TextDelta) -> list[EngineEvent]:
        self._waiting += event.text
        self._logprobs += event.logprobs
        return self._told(self._parser.feed(event.text))

    def end(self) -> list[EngineEvent]:
        return self._told(self._parser.end())

    def _told(self, deltas: list[Delta]) -> list[EngineEvent]:
        out: list[EngineEvent] = [replace(delta, index=self._index) for delta in deltas]
        texts = [delta.text for delta in deltas if isinstance(delta, TextDelta)]
        before, self._waiting = self._waiting, self._parser.undecided
        if "".join(texts) + self._waiting != before:
            self._logprobs = ()
        elif self._logprobs and not self._waiting:
            out = [TextDelta(before, self._index, self._logprobs)]
            self._logprobs = ()
        return out
