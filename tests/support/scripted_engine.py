"""An engine that does what the last message asks of it, for tests of whatever stands above engines."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from headrace.engines.engine import ModelInfo
from headrace.engines.events import EngineEvent, Finish, ReasoningDelta, TextDelta, Usage
from headrace.engines.generation import Generation
from headrace.engines.refusals import UpstreamFailed

PAUSE = 0.02  # seconds between two pieces of a text that takes its time

ZOO = "é 水 \U0001f642 \U0001f469\u200d\U0001f680 e\u0301 \u05d0 \u2028 \\ <b>&amp;</b>\n\tend"


@dataclass
class ScriptedEngine:
    """Understands `count 20`, `slowly 20`, `think`, `zoo`, `limit`, `silent`, `refuse` and `break`.

    Attributes:
        running: generations that are under way.
        heard: the texts of the messages of the last conversation.
    """

    running: int = 0
    heard: list[str] = field(default_factory=list)
    healthy: bool = True

    @property
    def info(self) -> ModelInfo:
        """See `Engine.info`."""
        return ModelInfo("scripted")

    async def start(self) -> None:
        """Has nothing to load."""

    async def stop(self) -> None:
        """Has nothing to free."""

    async def generate(self, generation: Generation) -> AsyncGenerator[EngineEvent, None]:
        """What the last message says."""
        self.heard = [message.content for message in generation.messages or ()]
        self.running += 1
        try:
            command, _, rest = self.heard[-1].partition(" ")
            async for event in self._events(command, rest):
                yield event
        finally:
            self.running -= 1

    async def _events(self, command: str, rest: str) -> AsyncGenerator[EngineEvent, None]:
        reason, texts = "stop", [f"you said {command} {rest}".strip()]
        match command:
            case "count" | "slowly":
                texts = [f"{number} " for number in range(1, int(rest) + 1)]
            case "think":
                yield ReasoningDelta("Let me see.")
                texts = ["Yes."]
            case "zoo":
                texts = list(ZOO)
            case "limit":
                reason = "length"
            case "silent":
                await asyncio.Event().wait()
            case "refuse":
                raise UpstreamFailed("no model is free", status=503, retry_after=7)
            case "break":
                texts = ["so ", "far"]
        for text in texts:
            await asyncio.sleep(PAUSE if command == "slowly" else 0)
            yield TextDelta(text)
        if command == "break":
            raise UpstreamFailed("the model broke")
        yield Finish("length" if reason == "length" else "stop")
        yield Usage(prompt_tokens=3, completion_tokens=len(texts))
