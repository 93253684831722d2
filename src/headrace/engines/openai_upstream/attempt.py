"""One request to an upstream and the chunks of its answer, read as they arrive.

The records are server-sent events, read by our own parser, which keeps to the standard wherever the bytes are cut and
has a limit. The mark that follows the last chunk ends the reading; it does not say that the answer is complete.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import anyio
from pydantic_core import from_json

from headrace.engines.openai_upstream.clients import CLOSES_WITHIN, Client, Response
from headrace.engines.openai_upstream.failures import told_in_stream
from headrace.engines.refusals import UpstreamFailed
from headrace.errors import StreamError, StreamTruncated, WireError
from headrace.wire.sse import EventStreamParser, ServerSentEvent

END_MARK = "[DONE]"
DRAINS_WITHIN = 0.1  # seconds: whose body is read to its end, its connection can be used again


class Attempt:
    """The answer to one request, which is closed by whoever made it. One task reads."""

    def __init__(self, client: Client, response: Response) -> None:
        self._client = client
        self._response = response
        self._bytes = response.aiter_bytes()
        self._parser = EventStreamParser()
        self._error: StreamError | None = None  # what came behind the chunks that were read last
        self._chunks = 0
        self._marked = False

    @classmethod
    async def make(cls, client: Client, path: str, body: Mapping[str, Any]) -> Attempt:
        """Asks; raises as `Client.send` does, and `UpstreamFailed` where the answer is no stream."""
        response = await client.send(path, body)
        content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type in ("application/json", "text/html"):  # others are wrong as well, but may be streams
            await response.aclose()
            raise UpstreamFailed(f"the model's server answered with {content_type} instead of a stream")
        return cls(client, response)

    async def read(self) -> list[Mapping[str, Any]] | None:
        """The chunks that the next bytes complete, perhaps none; None: that was all.

        Raises:
            StreamTruncated: the connection broke; a retry helps where not even one chunk has come.
            StreamError: the upstream failed, and said how; or said nothing, or nothing that can be read.
        """
        if self._error is not None:
            raise self._error
        if self._marked:
            return None
        try:
            with self._client.translated():
                received = await anext(self._bytes, None)
        except UpstreamFailed as error:
            if not error.retryable:  # the connection has not broken: nothing came by it
                raise
            raise self._broken(f": {error.message}") from error
        if received is None:
            if self._chunks:
                return None
            raise self._broken(" before it began")
        chunks: list[Mapping[str, Any]] = []
        try:
            chunks.extend(self._read(received))
        except StreamError as error:
            self._error = error
        return chunks

    async def close(self) -> None:
        """Lets go of the connection; where the answer has not ended, that stops the upstream."""
        with anyio.move_on_after(CLOSES_WITHIN, shield=True), contextlib.suppress(Exception):
            try:
                if self._marked:
                    with anyio.move_on_after(DRAINS_WITHIN):
                        await anext(self._bytes, None)
                await self._bytes.aclose()
            finally:
                await self._response.aclose()

    def _read(self, received: bytes) -> Iterator[Mapping[str, Any]]:
        try:
            for record in self._parser.read(received):
                if record.data.startswith(END_MARK):
                    self._marked = True
                    return
                yield self._chunk(record)
                self._chunks += 1
        except WireError as error:
            raise UpstreamFailed(f"the model's server sent what cannot be read: {error}") from error

    def _chunk(self, record: ServerSentEvent) -> Mapping[str, Any]:
        try:
            chunk = from_json(record.data)
        except ValueError as error:
            raise UpstreamFailed(f"the model's server sent a record that is no JSON: {error}") from error
        if not isinstance(chunk, dict):
            raise UpstreamFailed("the model's server sent a record that is no JSON object")
        if (complaint := told_in_stream(chunk, record.event)) is not None:
            redact = self._client.redact
            raise complaint.failure(redact) if self._chunks else complaint.error(redact)
        return chunk

    def _broken(self, why: str) -> StreamTruncated:
        broken = StreamTruncated(f"the model's server broke off its answer{why}")
        broken.retryable = not self._chunks
        return broken
