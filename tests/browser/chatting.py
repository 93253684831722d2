"""The example `chat_page`, for tests: its engine does what it is asked, and tells what it did."""

from dataclasses import dataclass

from chat_page import ChatPage
from scripted_engine import ScriptedEngine

from headrace import endpoint, service


@dataclass(frozen=True)
class State:
    running: int  # answers that are being made
    heard: list[str]  # the messages of the last conversation


@service
class Watched(ChatPage):
    def __init__(self) -> None:
        self.engine = ScriptedEngine()
        super().__init__(self.engine)

    @endpoint(methods=("GET",))
    async def state(self) -> State:
        return State(self.engine.running, self.engine.heard)
