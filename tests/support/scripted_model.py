"""A model that does what the last message, or the prompt, tells it to: a JSON list of steps.

    "text"                                   a delta of text, as {"text": "text"}
    {"text": "t", "logprobs": [["t", -0.5]]} one with logprobs
    {"reasoning": "..."}, {"refusal": "..."}
    {"call": 0, "id": "call_a", "name": "f", "arguments": "{"}   the first delta of a call
    {"call": 0, "arguments": "}"}                                a later one
    {"finish": "stop"}                       the end of an answer
    {"usage": [3, 2]}                        tokens of the prompt and of the answers
    {"fail": 503, "retry_after": 2}          an upstream's failure with this status
    {"too_long": true}                       the prompt has no room in the context
    {"crash": true}                          an error that nobody expects
    {"die": true}                            the engine is not healthy from now on
    {"wait": true}                           nothing comes until the generation is closed
    {"gap": true}                            nothing comes until GET /go
    {"count": 3}                             as "1 ", "2 ", "3 "

What belongs to an answer takes an `"index"`, and every step a `"pause"`: seconds before it, or before each number.
Where the text is no such list, its words come back as one answer for each that was asked for.

    headrace run tests/support/scripted_model.py
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict
from typing import Any

from headrace import endpoint, service
from headrace.engines.engine import Embeddings, ModelInfo
from headrace.engines.events import (
    Alternative,
    EngineEvent,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)
from headrace.engines.generation import Generation
from headrace.engines.refusals import ContextTooLong, UpstreamFailed, entry
from headrace.openai.service import LanguageModel

EVERYTHING = ModelInfo(
    "scripted",
    context=100,
    owned_by="tests",
    created=1_700_000_000,
    max_n=128,
    max_logprobs=20,
    tools=True,
    forced_tools=True,
    json_object=True,
    json_schema=True,
    token_prompts=True,
)


class ScriptedEngine:
    """Implements `Engine` and `Embedder`.

    Attributes:
        asked: the generations so far.
        running: how many are under way; `closed`: how many were closed before their end.
        closed_at: the last time that one was, in seconds of CLOCK_MONOTONIC.
        go: lets all gaps end.
    """

    def __init__(self, info: ModelInfo = EVERYTHING) -> None:
        self.info = info
        self.healthy = False
        self.asked: list[Generation] = []
        self.running = 0
        self.closed = 0
        self.closed_at = 0.0
        self.go = asyncio.Event()

    async def start(self) -> None:
        self.healthy = True

    async def stop(self) -> None:
        self.healthy = False

    async def generate(self, generation: Generation) -> AsyncGenerator[EngineEvent, None]:
        self.asked.append(generation)
        self.running += 1
        try:
            for step in _steps(generation):
                for event in await self._events(step):
                    yield event
        except (GeneratorExit, asyncio.CancelledError):
            self.closed += 1
            self.closed_at = time.monotonic()
            raise
        finally:
            self.running -= 1

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """The length of each text, and half of that of its first word."""
        vectors = [[float(len(text)), len(text.split(" ")[0]) / 2] for text in texts]
        return Embeddings(vectors, sum(len(text.split(" ")) for text in texts))

    async def _events(self, step: dict[str, Any]) -> list[EngineEvent]:
        index = step.get("index", 0)
        if "pause" in step:
            await asyncio.sleep(step["pause"])
        match step:
            case {"text": text}:
                return [TextDelta(text, index, tuple(_logprob(*each) for each in step.get("logprobs", ())))]
            case {"reasoning": text}:
                return [ReasoningDelta(text, index)]
            case {"refusal": text}:
                return [RefusalDelta(text, index)]
            case {"call": number}:
                return [ToolCallDelta(number, step.get("arguments", ""), step.get("id"), step.get("name"), index)]
            case {"finish": reason}:
                return [Finish(reason, index, step.get("stop"))]
            case {"usage": tokens}:
                return [Usage(*tokens)]
            case {"fail": status}:
                raise UpstreamFailed(f"the upstream said {status}", status, step.get("retry_after"))
            case {"too_long": _}:
                detail = "the prompt has 120 tokens; the model reads 100"
                raise ContextTooLong(detail, [entry("/messages", detail, "too_long")], 100)
            case {"crash": _}:
                raise RuntimeError("the secret of the engine")
            case {"die": _}:
                self.healthy = False
            case {"wait": _}:
                await asyncio.Event().wait()
            case {"gap": _}:
                await self.go.wait()
        return []


def _steps(generation: Generation) -> list[dict[str, Any]]:
    if generation.messages is not None:
        text = next(each.content for each in reversed(generation.messages) if each.role == "user")
    else:
        text = generation.prompt if isinstance(generation.prompt, str) else str(list(generation.prompt or ()))
    try:
        steps = json.loads(text)
    except ValueError:
        steps = None
    if isinstance(steps, list) and all(isinstance(step, (str, dict)) for step in steps):
        return [each for step in steps for each in _single(step)]
    words = [word if number == 0 else f" {word}" for number, word in enumerate(text.split(" "))]
    answers = range(generation.n)
    said = [{"text": word, "index": index} for word in words for index in answers]
    ends = [{"finish": "stop", "index": index} for index in answers]
    return [*said, *ends, {"usage": [len(words), len(words) * generation.n]}]


def _single(step: str | dict[str, Any]) -> list[dict[str, Any]]:
    match step:
        case str():
            return [{"text": step}]
        case {"count": last}:
            return [{**step, "text": f"{number} "} for number in range(1, last + 1)]
        case _:
            return [step]


def _logprob(token: str, logprob: float, *top: list[Any]) -> TokenLogprob:
    likeliest = tuple(Alternative(each, each.encode(), probability) for each, probability in top)
    return TokenLogprob(token, token.encode(), logprob, likeliest)


@service
class Scripted(LanguageModel):
    """The APIs on a scripted engine, and what it was asked."""

    def __init__(self) -> None:
        self.engine = ScriptedEngine()
        super().__init__(self.engine, aliases=("other/name",))

    @endpoint(methods=("GET",))
    async def state(self) -> dict[str, Any]:
        """How many generations run, how many were closed early, and the last one that was asked for."""
        engine = self.engine
        last = asdict(engine.asked[-1]) if engine.asked else None
        counts = {"asked": len(engine.asked), "running": engine.running}
        return {**counts, "closed": engine.closed, "closed_at": engine.closed_at, "last": last}

    @endpoint(path="/go", methods=("GET",))
    async def proceed(self) -> None:
        """Ends all gaps, now and later."""
        self.engine.go.set()
