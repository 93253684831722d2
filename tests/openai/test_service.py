import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

import pytest
from scripted_model import ScriptedEngine

from headrace.engines.engine import ModelInfo
from headrace.engines.events import EngineEvent, Finish, TextDelta, Usage
from headrace.engines.generation import Generation, Message
from headrace.errors import InvalidArguments, NotFound, StreamTruncated
from headrace.openai import serve
from headrace.openai.chat_request import ChatRequest
from headrace.openai.completion_request import CompletionRequest
from headrace.openai.embeddings import EmbeddingsRequest
from headrace.openai.models import ModelCard
from headrace.openai.refusals import ModelNotFound
from headrace.openai.service import LanguageModel
from headrace.services.definition import define


class Plain:
    """An engine that can do nothing but write `ok`, and may stop too early."""

    info = ModelInfo("plain")
    healthy = True

    def __init__(self, events: Sequence[EngineEvent] = (TextDelta("ok"), Finish("stop"), Usage(1, 1))) -> None:
        self.asked: list[Generation] = []
        self._events = events

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def generate(self, generation: Generation) -> AsyncGenerator[EngineEvent, None]:
        self.asked.append(generation)
        for event in self._events:
            yield event


@pytest.fixture
async def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
async def model(engine: ScriptedEngine) -> AsyncIterator[LanguageModel]:
    model = LanguageModel(engine, "main", ("other",))
    await model.on_start()
    yield model
    await model.on_stop()


def chat(text: str, **members: Any) -> ChatRequest:
    return ChatRequest.model_validate(
        {"model": "main", "messages": [{"role": "user", "content": text}], **members}, strict=True
    )


async def taken(events: AsyncIterator[Any]) -> list[Any]:
    async with asyncio.timeout(5):
        return [event async for event in events]


async def test_the_engine_starts_and_stops_with_the_service(engine: ScriptedEngine) -> None:
    model = LanguageModel(engine)
    assert not model.healthy
    await model.on_start()
    assert model.healthy
    await model.on_stop()
    assert not model.healthy


async def test_examples_of_requests_name_the_model(model: LanguageModel) -> None:
    assert model.example_arguments == {"model": "main"}


async def test_a_chat_is_the_engine_s_events(model: LanguageModel) -> None:
    assert await taken(model.chat_completions(chat("hello you"))) == [
        TextDelta("hello"),
        TextDelta(" you"),
        Finish("stop"),
        Usage(2, 2),
    ]


async def test_azure_s_form_is_the_same_chat(model: LanguageModel) -> None:
    assert await taken(model.azure_chat_completions(chat("hi"))) == await taken(model.chat_completions(chat("hi")))


async def test_a_completion_is_the_engine_s_events(model: LanguageModel) -> None:
    request = CompletionRequest(model="other", prompt=["a", "b"])
    *answers, usage = await taken(model.completions(request))
    assert sorted(answers, key=lambda event: event.index) == [
        TextDelta("a"),
        Finish("stop"),
        TextDelta("b", 1),
        Finish("stop", 1),
    ]
    assert usage == Usage(2, 2)
    assert len(await taken(model.azure_completions(request))) == 5


@pytest.mark.parametrize("asked", ["nope", "scripted", "Main"])
async def test_a_model_that_is_not_here_is_refused_before_the_engine_is_called(
    model: LanguageModel, engine: ScriptedEngine, asked: str
) -> None:
    with pytest.raises(ModelNotFound):
        await taken(model.chat_completions(chat("hi", model=asked)))
    with pytest.raises(ModelNotFound):
        await taken(model.completions(CompletionRequest(model=asked, prompt=["a"])))
    with pytest.raises(ModelNotFound):
        await model.embeddings(EmbeddingsRequest(model=asked, input=["a"]))
    with pytest.raises(ModelNotFound):
        await model.model(asked)
    assert engine.asked == []


async def test_the_engine_s_own_name_is_the_model_s_where_none_is_given() -> None:
    assert [card.id for card in await LanguageModel(ScriptedEngine()).models()] == ["scripted"]


async def test_the_models_are_all_names(model: LanguageModel) -> None:
    assert await model.models() == [
        ModelCard("main", 1_700_000_000, "tests"),
        ModelCard("other", 1_700_000_000, "tests"),
    ]
    assert await model.model("other") == ModelCard("other", 1_700_000_000, "tests")


@pytest.mark.parametrize(
    "members",
    [
        {"logprobs": True},
        {"n": 17},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"response_format": {"type": "json_object"}},
    ],
)
async def test_what_the_engine_cannot_do_is_refused_before_it_is_called(members: dict[str, Any]) -> None:
    engine = Plain()
    with pytest.raises(InvalidArguments):
        await taken(LanguageModel(engine, "main").chat_completions(chat("hi", **members)))
    assert engine.asked == []


async def test_one_prompt_that_cannot_be_read_stops_all_before_the_engine_is_called() -> None:
    engine = Plain()
    with pytest.raises(InvalidArguments):
        await taken(LanguageModel(engine).completions(CompletionRequest(model="plain", prompt=["a", [1]])))
    assert engine.asked == []


@pytest.mark.parametrize(
    "events", [[], [TextDelta("a")], [TextDelta("a"), Usage(1, 1)], [TextDelta("a", 1), Finish("stop", 1)]]
)
async def test_an_engine_that_stops_without_a_finish_has_failed(events: list[EngineEvent]) -> None:
    model = LanguageModel(Plain(events), "main")
    with pytest.raises(StreamTruncated):
        await taken(model.chat_completions(chat("hi")))
    with pytest.raises(StreamTruncated):
        await taken(model.chat([Message("user", "hi")]))


async def test_closing_an_answer_closes_the_generation(model: LanguageModel, engine: ScriptedEngine) -> None:
    async with asyncio.timeout(5):
        events = model.azure_chat_completions(chat('["a", {"wait": true}]'))
        assert await anext(events) == TextDelta("a")
        assert engine.running == 1
        await events.aclose()
    assert (engine.running, engine.closed) == (0, 1)


@pytest.mark.parametrize(("temperature", "used"), [(None, 0.25), (0.0, 0.0), (2.0, 2.0)])
async def test_a_request_without_a_temperature_has_the_service_s(temperature: float | None, used: float) -> None:
    engine = Plain()
    await taken(LanguageModel(engine, "main", temperature=0.25).chat_completions(chat("a", temperature=temperature)))
    await taken(
        LanguageModel(engine, temperature=0.25).completions(
            CompletionRequest(model="plain", prompt=["a"], temperature=temperature)
        )
    )
    assert [generation.sampling.temperature for generation in engine.asked] == [used, used]


async def test_embeddings_come_from_an_engine_that_makes_them(model: LanguageModel) -> None:
    request = EmbeddingsRequest(model="main", input=["a bc", "d"])
    assert (await model.embeddings(request)).vectors == [[4.0, 0.5], [1.0, 0.5]]
    assert (await model.azure_embeddings(request)).prompt_tokens == 3


async def test_an_engine_that_makes_no_embeddings_says_so() -> None:
    with pytest.raises(NotFound, match='the model "plain" makes no embeddings'):
        await LanguageModel(Plain()).embeddings(EmbeddingsRequest(model="plain", input=["a"]))


async def test_vectors_of_another_length_are_refused(model: LanguageModel) -> None:
    with pytest.raises(InvalidArguments, match="dimensions"):
        await model.embeddings(EmbeddingsRequest(model="main", input=["a"], dimensions=3))


async def test_the_native_endpoints_stream_the_text(model: LanguageModel) -> None:
    assert await taken(model.chat([Message("user", "hello you")])) == ["hello", " you"]
    assert await taken(model.complete("once upon")) == ["once", " upon"]


async def test_the_native_endpoints_stream_nothing_but_the_text(model: LanguageModel) -> None:
    script = '[{"reasoning": "hm"}, {"text": ""}, "a", {"finish": "stop"}]'
    assert await taken(model.chat([Message("user", script)])) == ["a"]


def test_a_service_is_made_in_one_line() -> None:
    engine = Plain()
    bound = serve(engine, name="main", aliases=("other",), temperature=0.5)
    definition = define(bound)
    assert definition.name == "LanguageModel"
    model = bound.service(*bound.args, **bound.kwargs)
    assert isinstance(model, LanguageModel)


async def test_what_serve_is_given_reaches_the_service() -> None:
    engine = Plain()
    bound = serve(engine, name="main", aliases=("other",), temperature=0.5)
    model = bound.service(*bound.args, **bound.kwargs)
    await taken(model.chat_completions(chat("hi")))
    assert [card.id for card in await model.models()] == ["main", "other"]
    assert engine.asked[0].sampling.temperature == 0.5
