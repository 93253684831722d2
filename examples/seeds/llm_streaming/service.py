"""A chat that streams, from any server with the API of OpenAI: text, function calls, measures, and a way to stop.

pip install "headrace[openai]"
export OPENAI_API_KEY=... OPENAI_BASE_URL=http://localhost:11434/v1
headrace run examples/seeds/llm_streaming/service.py --set Assistant.model=llama3.2
curl -N localhost:8000/chat --json '{"messages": [{"role": "user", "content": "Hi"}]}' -H 'accept: text/plain'
curl -N localhost:8000/chat --json '{"messages": [{"role": "user", "content": "Hi"}]}' -H 'accept: text/event-stream'
curl -N localhost:8000/ask --json '{"messages": [{"role": "user", "content": "Hi"}]}' -H 'accept: application/x-ndjson'
python examples/seeds/llm_streaming/client.py 'What is a headrace?'

Without OPENAI_BASE_URL it is OpenAI's own. A deployment on Azure: --set Assistant.azure=https://NAME.openai.azure.com
--set Assistant.model=DEPLOYMENT, and AZURE_OPENAI_API_KEY. A client that leaves, Ctrl-C and DELETE /streams/{id} stop
the model.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from headrace import Footer, Stream, StreamError, endpoint, service
from headrace.engines.events import RefusalDelta, TextDelta
from headrace.engines.generation import Generation, Message, Sampling, Tool
from headrace.engines.openai_upstream.clients import Azure
from headrace.engines.openai_upstream.engine import OpenAIEngine
from headrace.engines.openai_upstream.measures import Measures

WEATHER = Tool(
    "get_weather",
    "The weather in a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
SAMPLING = Sampling(temperature=1.0, max_tokens=None)  # the model's own


class UnfinishedAnswer(StreamError):
    """The model was cut off before its answer was complete."""

    code = "unfinished_answer"
    status = 502


@dataclass(frozen=True)
class Turn:
    role: str
    content: str


@dataclass(frozen=True)
class Content:
    content: str
    type: str = "content"


@dataclass(frozen=True)
class FunctionCall:
    """`arguments` is None where the model wrote what is no JSON object; `problem` then says what is wrong with it."""

    name: str
    arguments: dict[str, Any] | None
    problem: str = ""
    type: str = "function_call"


@service
class Assistant:
    def __init__(self, model: str = "gpt-5-mini", azure: str = "", gap: float = 60.0) -> None:
        place = Azure(azure, "2024-10-21") if azure else None
        self.engine = OpenAIEngine(model, azure=place, gap=gap)

    async def on_start(self) -> None:
        await self.engine.start()

    async def on_stop(self) -> None:
        await self.engine.stop()

    @endpoint
    async def chat(self, messages: list[Turn]) -> AsyncIterator[str]:
        """The answer, as text."""
        async with self.engine.open(generation(messages)) as stream:
            async for event in stream:
                if isinstance(event, TextDelta | RefusalDelta):
                    yield event.text
            check(stream.measures)

    @endpoint
    async def ask(self, messages: list[Turn]) -> Stream[Content | FunctionCall, None, Measures]:
        """The answer as it comes, then the functions that it calls; at the end, how fast it was and why it ended."""
        async with self.engine.open(generation(messages, WEATHER)) as stream:
            async for event in stream:
                if isinstance(event, TextDelta | RefusalDelta):
                    yield Content(event.text)
            check(stream.measures)
            for call in stream.answer.calls:
                arguments = call.arguments_json
                yield FunctionCall(call.name, arguments.value, arguments.problem)
            yield Footer(stream.measures)


def generation(messages: list[Turn], *tools: Tool) -> Generation:
    """What the model is asked; its own checks say what is wrong with a turn."""
    turns: list[Message] = [Message(turn.role, turn.content) for turn in messages]  # type: ignore[arg-type]
    return Generation(messages=turns, sampling=SAMPLING, tools=tools)


def check(measures: Measures) -> None:
    """Raises for an answer that was cut by the limit of tokens or by a filter: it is not complete."""
    for reason in {"length", "content_filter"}.intersection(measures.reasons):
        raise UnfinishedAnswer(f"the answer was cut: {reason}")
