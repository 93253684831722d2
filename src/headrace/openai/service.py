"""`LanguageModel`: an engine behind the APIs that today's clients speak, and behind endpoints of headrace's own.

It is an ordinary service. Each route is a method that returns the engine's events; the dialects read the requests and
write the answers.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Annotated

from pydantic import Field

from headrace.engines.arguments import MAX_SEED, MAX_STOP_LENGTH, MAX_STOP_STRINGS, MAX_TEMPERATURE
from headrace.engines.engine import Embedder, Embeddings, Engine
from headrace.engines.events import EngineEvent, Finish, TextDelta
from headrace.engines.generation import Generation, Message, Sampling
from headrace.errors import NotFound
from headrace.openai import capabilities
from headrace.openai.chat_request import ChatRequest
from headrace.openai.completion_request import CompletionRequest
from headrace.openai.dialects import CHAT, COMPLETIONS, EMBEDDINGS, MODELS
from headrace.openai.embeddings import EmbeddingsRequest
from headrace.openai.messages import MESSAGES
from headrace.openai.messages_request import MessagesRequest
from headrace.openai.models import ModelCard, Models
from headrace.openai.progress import unfinished
from headrace.openai.responses import RESPONSES
from headrace.openai.responses_request import ResponsesRequest
from headrace.openai.sampling_body import MAX_TOKENS
from headrace.openai.several import several
from headrace.services.decorators import Bound, endpoint, service

ITEM_TIMEOUT = 300.0
"""Seconds that a model may be silent, before its first token too."""

AZURE = "/openai/deployments/{model}"

Conversation = Annotated[list[Message], Field(min_length=1)]
Temperature = Annotated[float, Field(ge=0, le=MAX_TEMPERATURE)]
TopP = Annotated[float, Field(gt=0, le=1)]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
MaxTokens = Annotated[int, Field(ge=1, le=MAX_TOKENS)]
StopString = Annotated[str, Field(min_length=1, max_length=MAX_STOP_LENGTH)]
Stop = Annotated[tuple[StopString, ...], Field(max_length=MAX_STOP_STRINGS)]


def serve(
    engine: Engine, *, name: str | None = None, aliases: Sequence[str] = (), temperature: float = 1.0
) -> Bound["LanguageModel"]:
    """A service that answers for a model: `app = serve(TransformersEngine("path"))`, and `headrace run app.py:app`.

    Args:
        engine: not started; the service starts and stops it.
        name: what clients ask for; the engine's own name by default.
        aliases: further names.
        temperature: of requests to the APIs that name none.
    """
    return Bound(LanguageModel, (engine,), {"name": name, "aliases": aliases, "temperature": temperature})


@service
class LanguageModel:
    """A language model, as the clients of OpenAI, Azure and Anthropic speak to one, and as streams of text."""

    def __init__(
        self, engine: Engine, name: str | None = None, aliases: Sequence[str] = (), temperature: float = 1.0
    ) -> None:
        self._engine = engine
        self._models = Models(name or engine.info.name, aliases)
        self._temperature = temperature

    async def on_start(self) -> None:
        """Starts the engine."""
        await self._engine.start()

    async def on_stop(self) -> None:
        """Stops the engine."""
        await self._engine.stop()

    @property
    def name(self) -> str:
        """What clients ask for; there may be further names."""
        return self._models.name

    @property
    def healthy(self) -> bool:
        """Whether the engine can generate."""
        return self._engine.healthy

    @property
    def example_arguments(self) -> Mapping[str, str]:
        """What the examples of requests need to be answered, in their bodies and paths."""
        return {"model": self.name}

    # -- OpenAI's API

    @endpoint(path="/v1/models", methods=("GET",), dialect=MODELS)
    async def models(self) -> list[ModelCard]:
        """The names that this model has."""
        return self._models.cards(self._engine.info)

    @endpoint(path="/v1/models/{model:path}", methods=("GET",), dialect=MODELS)
    async def model(self, model: str) -> ModelCard:
        """What is told of the model under one of its names."""
        return self._models.card(model, self._engine.info)

    @endpoint(path="/v1/chat/completions", item_timeout=ITEM_TIMEOUT, dialect=CHAT)
    def chat_completions(self, request: ChatRequest) -> AsyncIterator[EngineEvent]:
        """Answers the last message of a conversation, as OpenAI's chat completions."""
        return self._answer(request.model, [request.generation(self._temperature)])

    @endpoint(path="/v1/completions", item_timeout=ITEM_TIMEOUT, dialect=COMPLETIONS)
    def completions(self, request: CompletionRequest) -> AsyncIterator[EngineEvent]:
        """Continues texts, as OpenAI's completions."""
        return self._answer(request.model, request.generations(self._temperature))

    @endpoint(path="/v1/responses", item_timeout=ITEM_TIMEOUT, dialect=RESPONSES)
    def responses(self, request: ResponsesRequest) -> AsyncIterator[EngineEvent]:
        """Answers an input, as OpenAI's responses; nothing is stored."""
        return self._answer(request.model, [request.generation(self._temperature)])

    @endpoint(path="/v1/embeddings", timeout=ITEM_TIMEOUT, dialect=EMBEDDINGS)
    async def embeddings(self, request: EmbeddingsRequest) -> Embeddings:
        """Makes vectors of texts, where the model can."""
        self._models.check(request.model)
        if not isinstance(self._engine, Embedder):
            raise NotFound(f'the model "{request.model}" makes no embeddings')
        embeddings = await self._engine.embed(request.input)
        request.check_dimensions(embeddings)
        return embeddings

    # -- Azure's form of it: the path names the model

    @endpoint(path=f"{AZURE}/chat/completions", item_timeout=ITEM_TIMEOUT, dialect=CHAT)
    def azure_chat_completions(self, request: ChatRequest) -> AsyncIterator[EngineEvent]:
        """As `/v1/chat/completions`, for clients of Azure."""
        return self.chat_completions(request)

    @endpoint(path=f"{AZURE}/completions", item_timeout=ITEM_TIMEOUT, dialect=COMPLETIONS)
    def azure_completions(self, request: CompletionRequest) -> AsyncIterator[EngineEvent]:
        """As `/v1/completions`, for clients of Azure."""
        return self.completions(request)

    @endpoint(path=f"{AZURE}/embeddings", timeout=ITEM_TIMEOUT, dialect=EMBEDDINGS)
    async def azure_embeddings(self, request: EmbeddingsRequest) -> Embeddings:
        """As `/v1/embeddings`, for clients of Azure."""
        return await self.embeddings(request)

    # -- Anthropic's API

    @endpoint(path="/v1/messages", item_timeout=ITEM_TIMEOUT, dialect=MESSAGES)
    def messages(self, request: MessagesRequest) -> AsyncIterator[EngineEvent]:
        """Answers the last message of a conversation, as Anthropic's messages."""
        return self._answer(request.model, [request.generation(self._temperature)])

    # -- headrace's own: streams of text

    @endpoint(item_timeout=ITEM_TIMEOUT)
    def chat(
        self,
        messages: Conversation,
        temperature: Temperature = 0.0,
        top_p: TopP = 1.0,
        seed: Seed | None = None,
        max_tokens: MaxTokens = 256,
        stop: Stop = (),
    ) -> AsyncIterator[str]:
        """Answers the last message of a conversation."""
        sampling = Sampling(temperature, top_p, seed, max_tokens, stop)
        return self._texts(Generation(messages=messages, sampling=sampling))

    @endpoint(item_timeout=ITEM_TIMEOUT)
    def complete(
        self,
        prompt: str,
        temperature: Temperature = 0.0,
        top_p: TopP = 1.0,
        seed: Seed | None = None,
        max_tokens: MaxTokens = 256,
        stop: Stop = (),
    ) -> AsyncIterator[str]:
        """Continues a text."""
        sampling = Sampling(temperature, top_p, seed, max_tokens, stop)
        return self._texts(Generation(prompt=prompt, sampling=sampling))

    # -- what they share

    async def _answer(self, model: str | None, generations: Sequence[Generation]) -> AsyncGenerator[EngineEvent, None]:
        """The events of what a request asks for, complete or failed; closing it stops the model.

        Raises:
            ModelNotFound: the model is not this one; None is any.
            InvalidArguments: the engine cannot do it.
            StreamTruncated: the engine stopped before each answer had its `Finish`.
        """
        if model is not None:
            self._models.check(model)
        for generation in generations:
            capabilities.check(generation, self._engine.info)
        open_ = set(range(sum(generation.n for generation in generations)))
        async with aclosing(several(generations, self._engine.generate)) as events:
            async for event in events:
                if isinstance(event, Finish):
                    open_.discard(event.index)
                yield event
        if open_:
            raise unfinished(open_)

    async def _texts(self, generation: Generation) -> AsyncGenerator[str, None]:
        """The text of a generation, piece by piece; closing it stops the model."""
        async with aclosing(self._answer(None, [generation])) as events:
            async for event in events:
                if isinstance(event, TextDelta) and event.text:
                    yield event.text
