"""`OpenAIEngine`: a model behind the API of OpenAI, Azure, or any server that speaks the same, as an engine.

It works in a service and by itself:

    engine = OpenAIEngine("gpt-5-mini")
    async with engine.open(Generation(messages=[Message("user", "Hello")])) as stream:
        async for event in stream:
            ...
    print(stream.answer.text, stream.measures)

What it asks is made from the generation alone, with the key that it was given: nothing of a caller's own request, its
credentials least of all, reaches the upstream.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Self
from weakref import WeakSet

from headrace.batching.surroundings import SURROUNDINGS
from headrace.engines.arguments import check
from headrace.engines.engine import Embeddings, ModelInfo
from headrace.engines.events import EngineEvent
from headrace.engines.generation import Generation
from headrace.engines.openai_upstream.clients import Address, Azure, Clients, Rejected
from headrace.engines.openai_upstream.measures import Clock
from headrace.engines.openai_upstream.meter import observe
from headrace.engines.openai_upstream.request import Terms
from headrace.engines.openai_upstream.retries import Retries
from headrace.engines.openai_upstream.stream import UpstreamStream
from headrace.engines.refusals import UpstreamFailed
from headrace.errors import ShuttingDown, StreamError
from headrace.metrics import Metrics


class OpenAIEngine:
    """Generates on another server, and stops it when nobody reads any more.

    It needs no start: without one, connections are kept while generations run; between `start` and `stop`, on the event
    loop of `start`, always. `embed` is there with an `embeddings_model`.

    Args:
        model: the upstream's name for it; with Azure, the deployment's unless `azure` names one.
        base_url: up to `/v1`; None: `OPENAI_BASE_URL`, or OpenAI's own.
        api_key: None: `OPENAI_API_KEY`, with Azure `AZURE_OPENAI_API_KEY`; for a `base_url`, none is needed.
        azure: where on Azure it is.
        connect: seconds to connect.
        gap: seconds until the answer begins, and between two pieces of it.
        timeout: seconds for a whole generation, retries included; None: as long as pieces come.
        retries: how often it is asked again when it fails before its first token.
        headers: sent with every request.
        extra: members of every request's body, over those that are made from the generation.
        embeddings_model: the upstream's name for a model that makes embeddings.
        info: what clients are told of the model, and what is refused without asking; None: everything is passed on.
        clock: by which it measures and waits; for tests.
    """

    embed: Callable[[Sequence[str]], Awaitable[Embeddings]]
    """The vectors of some texts (`headrace.engines.engine.Embedder`); only with an `embeddings_model`."""

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        azure: Azure | None = None,
        connect: float = 10.0,
        gap: float = 120.0,
        timeout: float | None = None,
        retries: int = 2,
        headers: Mapping[str, str] = {},
        extra: Mapping[str, Any] = {},
        embeddings_model: str | None = None,
        info: ModelInfo | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._model = model
        self._clients = Clients(Address(base_url, api_key, azure, dict(headers), connect, gap))
        self._terms = Terms(model, dict(extra))
        self._timeout = timeout
        self._retries = retries
        self._embeddings_model = embeddings_model
        self._info = info or _everything(model, "azure" if azure is not None else "openai")
        self._clock = clock or Clock()
        self._streams: WeakSet[UpstreamStream] = WeakSet()
        self._started = self._stopped = False
        if embeddings_model is not None:  # set here, so that it is an `Embedder` only if it can
            self.embed = self._embed

    @property
    def info(self) -> ModelInfo:
        """What the model is, and what is not refused before the upstream was asked."""
        return self._info

    @property
    def healthy(self) -> bool:
        """Whether it is started. An upstream that fails does not change it: the next generation may be made."""
        return self._started

    async def start(self) -> None:
        """Makes the client, and asks nothing.

        Raises:
            DefinitionError: the `openai` package is missing (HR22).
            SetupError: there is no key, or no address.
        """
        if not self._started:
            self._clients.take()
            self._started, self._stopped = True, False

    async def stop(self) -> None:
        """Ends the generations that are still open with `ShuttingDown`; on the event loop of `start`."""
        self._stopped = True
        for stream in list(self._streams):
            stream.cancel(ShuttingDown())
        if self._started:
            self._started = False
            await self._clients.give_back()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def open(self, generation: Generation, *, timeout: float | None = None) -> UpstreamStream:
        """A generation as a stream that can be cancelled, and that says what it was and how long it took.

        Args:
            generation: what to generate.
            timeout: seconds for all of it; None: those of the engine.

        Raises:
            InvalidArguments: a value is out of range, or asks for what `info` says that the model cannot do.
            ShuttingDown: the engine was stopped.
        """
        if self._stopped:
            raise ShuttingDown
        check(generation, self._info)
        surroundings = SURROUNDINGS.get()
        stream = UpstreamStream(
            self._clients,
            self._terms,
            generation,
            retries=self._retries,
            timeout=self._timeout if timeout is None else timeout,
            clock=self._clock,
            ended=partial(_observe, None if surroundings is None else surroundings.metrics, self._model),
        )
        self._streams.add(stream)
        return stream

    async def generate(self, generation: Generation) -> AsyncGenerator[EngineEvent, None]:
        """See `Engine.generate`; closing it closes the connection to the upstream, which stops it.

        Raises:
            InvalidArguments: the upstream refused the request.
            ContextTooLong: the prompt leaves no room in the model's context.
            UpstreamFailed: the upstream failed, or could not be reached.
            StreamTruncated: it broke off.
            ShuttingDown: the engine was stopped.
        """
        async with self.open(generation) as stream:
            async for event in stream:
                yield event

    async def _embed(self, texts: Sequence[str]) -> Embeddings:
        if self._stopped:
            raise ShuttingDown
        retries = Retries(self._retries, self._timeout, self._clock)
        client = self._clients.take()
        try:
            while True:
                try:
                    answer = await client.embed(str(self._embeddings_model), list(texts))
                    break
                except (Rejected, StreamError) as failure:
                    error = failure.error if isinstance(failure, Rejected) else failure
                    if not await retries.again(error):
                        raise error from failure
        finally:
            await self._clients.give_back()
        vectors = [each.embedding for each in sorted(answer.data, key=lambda each: each.index)]
        if len(vectors) != len(texts):
            raise UpstreamFailed(f"the model's server made {len(vectors)} embeddings of {len(texts)} texts")
        return Embeddings(vectors, answer.usage.prompt_tokens)


def _observe(metrics: Metrics | None, model: str, stream: UpstreamStream) -> None:
    if metrics is not None:
        observe(metrics, model, stream.measures)


def _everything(model: str, owned_by: str) -> ModelInfo:
    return ModelInfo(
        model,
        owned_by=owned_by,
        max_n=128,
        max_logprobs=20,
        tools=True,
        forced_tools=True,
        json_object=True,
        json_schema=True,
        token_prompts=True,
    )
