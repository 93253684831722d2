"""A chat service whose model does what it is asked, and tells what it did."""

from dataclasses import dataclass

from scripted_engine import ScriptedEngine

from headrace import endpoint, service
from headrace.openai.service import LanguageModel


@dataclass(frozen=True)
class State:
    running: int  # answers that are being made
    heard: list[str]  # the messages of the last conversation


@service
class Scripted(LanguageModel):
    def __init__(self) -> None:
        self.engine = ScriptedEngine()
        super().__init__(self.engine)

    @endpoint(methods=("GET",))
    async def state(self) -> State:
        return State(self.engine.running, self.engine.heard)
