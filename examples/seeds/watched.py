"""The bots for the tests: their model counts its steps, takes its time over each, and fails where a prompt says so."""

import threading
import time
from typing import Any

from headrace import endpoint, service
from seeds.chatbot.chatbot import Chatbot
from seeds.language_model import Handover, LanguageModel
from seeds.textbot.textbot import Textbot

FAILS_AFTER = {"Fail.": 0, "Count to: one two three four": 10}  # steps
SLOW = {"Slow.": 0.5}  # seconds for a step


class WatchedModel(LanguageModel):
    """A model that takes `pace` seconds over a step."""

    def __init__(self, name: str, longest: int, pace: float) -> None:
        super().__init__(name, longest)
        self.pace = pace
        self.steps = 0
        self.running = 0
        self.replies = 0
        self.guard = threading.Lock()
        self.own = threading.local()
        self.model.register_forward_pre_hook(self.step)

    def generate(self, prompt: str, handover: Handover) -> None:
        """See `LanguageModel.generate`."""
        self.own.left = FAILS_AFTER.get(prompt, self.longest)
        self.own.pace = SLOW.get(prompt, self.pace)
        with self.guard:
            self.running += 1
            self.replies += 1
        try:
            super().generate(prompt, handover)
        finally:
            with self.guard:
                self.running -= 1

    def step(self, *_: Any) -> None:
        """Before every step of the model."""
        time.sleep(self.own.pace)
        with self.guard:
            self.steps += 1
        if self.own.left == 0:
            raise RuntimeError("the secret is 4711")
        self.own.left -= 1

    def state(self) -> dict[str, int]:
        return {"steps": self.steps, "running": self.running, "replies": self.replies}


@service
class WatchedTextbot(Textbot):
    def __init__(self, model: str, longest: int = 10_000, pace: float = 0.01) -> None:
        self.model: WatchedModel = WatchedModel(model, longest, pace)

    @endpoint(methods=("GET",))
    async def state(self) -> dict[str, int]:
        return self.model.state()


@service
class WatchedChatbot(Chatbot):
    def __init__(self, model: str, longest: int = 10_000, pace: float = 0.01) -> None:
        self.model: WatchedModel = WatchedModel(model, longest, pace)

    @endpoint(methods=("GET",))
    async def state(self) -> dict[str, int]:
        return self.model.state()
