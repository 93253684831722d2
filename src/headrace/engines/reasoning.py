"""What a model thinks before it answers, told apart from the answer: `<think>...</think>` at the beginning of its text.

Marks that stand further on are ordinary text. White space behind a mark belongs to the mark.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial

from headrace.engines.events import EngineEvent, ReasoningDelta
from headrace.engines.rewriting import rewritten
from headrace.engines.tape import Parser, Taking, Tape

START, END = "<think>", "</think>"


def with_reasoning(
    events: AsyncGenerator[EngineEvent, None], start: str = START, end: str = END, open: bool = False
) -> AsyncGenerator[EngineEvent, None]:
    """The events with a `ReasoningDelta` for each piece of text between the marks.

    Args:
        events: of any number of answers; closing this closes them.
        start: the mark before the reasoning.
        end: the mark between the reasoning and the answer. Where it never comes, all is reasoning.
        open: the prompt has the first mark already (see `opens`); a model that writes it again does no harm.
    """
    return rewritten(events, partial(Parser, partial(_grammar, start=start, end=end, open=open)))


def opens(prompt: str, start: str = START) -> bool:
    """Whether a prompt, as the chat template made it, ends with the mark before the reasoning."""
    return prompt.rstrip().endswith(start)


def _grammar(tape: Tape, start: str, end: str, open: bool) -> Taking[None]:
    yield from tape.space()
    marked = yield from tape.literal(start)
    if marked:
        yield from tape.space()
    if marked or open:
        tape.drop()
        if not (yield from tape.until(end, ReasoningDelta)):
            return
        yield from tape.space()
        tape.drop()
    yield from tape.rest()
