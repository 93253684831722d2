"""The service that `headrace demo` serves, `headrace.demo:Chat`: the built-in model behind all its APIs.

It downloads nothing and needs no GPU, so every feature of the server can be tried on a real model.
"""

from headrace.engines.tiny.engine import TinyEngine
from headrace.openai.service import LanguageModel
from headrace.services.decorators import service

GREETING = """\
I am a tiny model: 3.2 million parameters, thousands of times fewer than the models you know. I chat a little, answer
short questions about streaming and serving, tell little stories, and do small sums. Nearly everything else I get wrong,
and I sound sure of it: I am here to show how streaming works, not to be believed."""


@service
class Chat(LanguageModel):
    """A tiny chat model. It shows how streaming works; do not believe what it says."""

    def __init__(self) -> None:
        super().__init__(TinyEngine(), name="tiny", aliases=("tinychat",), temperature=0.0)
