"""The events of one generation, read from as many requests as it takes until one of them answers.

A request that fails is made again while nothing of an answer has come: without the option that the upstream does not
know, or after a pause where its failure says that this helps. From the first chunk on there is no other request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace.engines.events import EngineEvent
from headrace.engines.generation import Generation
from headrace.engines.openai_upstream.attempt import Attempt
from headrace.engines.openai_upstream.chunks import Chunks
from headrace.engines.openai_upstream.clients import Client, Rejected
from headrace.engines.openai_upstream.request import Terms, path
from headrace.engines.openai_upstream.retries import Retries
from headrace.errors import StreamError


class Reading:
    """Step by step, by one task; `close` ends it at any time."""

    def __init__(self, client: Client, terms: Terms, generation: Generation, retries: Retries) -> None:
        self.chunks = Chunks(generation.n)
        self.retries = retries
        self._client = client
        self._terms = terms
        self._generation = generation
        self._attempt: Attempt | None = None
        self._error: StreamError | None = None  # what came behind the events that were made last
        self._begun = False  # whether a chunk has come, of whatever kind: the upstream works, and counts it

    async def step(self) -> list[EngineEvent] | None:
        """The next events, perhaps none yet; None: there are no more.

        Raises:
            StreamError: it cannot go on.
        """
        if self._error is not None:
            raise self._error
        try:
            if self._attempt is None:
                self._attempt = await self._asked()
            chunks = await self._attempt.read()
        except StreamError as error:
            return await self._failed(error)
        return None if chunks is None else self._events(chunks)

    async def close(self) -> None:
        """Lets go of the upstream."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            await attempt.close()

    async def _asked(self) -> Attempt:
        while True:
            accepted = self._terms.accepted
            try:
                return await Attempt.make(self._client, path(self._generation), self._terms.body(self._generation))
            except Rejected as rejected:
                if not self._terms.learn(rejected.complaint, accepted):
                    raise rejected.error from rejected.__cause__

    async def _failed(self, error: StreamError) -> list[EngineEvent] | None:
        if self.chunks.complete:  # all answers have ended; what broke is only the connection
            return None
        await self.close()
        if self._begun or not await self.retries.again(error):
            raise error
        return []

    def _events(self, chunks: list[Mapping[str, Any]]) -> list[EngineEvent]:
        self._begun = self._begun or bool(chunks)
        events: list[EngineEvent] = []
        try:
            for chunk in chunks:
                events += self.chunks.read(chunk)
        except StreamError as error:
            self._error = error
        return events
