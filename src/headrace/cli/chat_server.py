"""An OpenAI-compatible server, as `headrace chat` asks it: which models, and an answer as it is made."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import httpx2

from headrace.cli.completion import Completion, Piece, failure
from headrace.cli.conversation import ChatMessage
from headrace.client.connections import asynchronous
from headrace.client.failures import before_the_head
from headrace.client.request import base_of, bearer
from headrace.client.timeouts import Patience, Timeout
from headrace.errors import StreamTruncated, WireError

TIMEOUT = Timeout(connect=5.0, first_item=600.0, gap=600.0)
"""A large model may read for minutes before it writes. Signs of life are no answer, however many come."""

MAX_DOCUMENT = 1024 * 1024
"""Bytes of an answer that is no stream."""


class ChatServer:
    """A server that speaks `/v1/chat/completions`. Whoever made it closes it.

    Args:
        url: its address; without a path, the API is at `/v1`.
        api_key: sent as a bearer token.
        transport: what carries the requests; None: the network.
        timeout: how long it may be silent.

    Raises:
        ValueError: the address or the key is none.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        timeout: Timeout = TIMEOUT,
    ) -> None:
        base = base_of(url if "://" in url else f"http://{url}")
        self.base = base if httpx2.URL(base).path.strip("/") else f"{base}/v1"
        self._headers = {"accept-encoding": "identity", "user-agent": "headrace-chat", **bearer(api_key)}
        self._timeout = timeout
        self._client = asynchronous(self.base, transport, True)

    async def close(self) -> None:
        """Closes its connections."""
        await self._client.aclose()

    async def models(self) -> list[str]:
        """The names of its models.

        Raises:
            ConnectionFailed: there is no server, or nothing on the way to it.
            StreamError: the server's refusal.
            WireError: what it answers is no list of models.
        """
        async with self._opened("GET", "/models") as exchange:
            document = await exchange.document()
        listed = document.get("data") if isinstance(document, dict) else None
        if not isinstance(listed, list):
            raise WireError(f"{self.base}/models does not answer with a list of models")
        return [model["id"] for model in listed if isinstance(model, dict) and isinstance(model.get("id"), str)]

    async def answer(
        self, messages: Sequence[ChatMessage], options: Mapping[str, Any], completion: Completion
    ) -> AsyncGenerator[Piece, None]:
        """The pieces of an answer as they come. Closing it closes the connection, which stops the model.

        Args:
            messages: the conversation, its last question included.
            options: further members of the request: `model`, `temperature` and the like.
            completion: a new one; when all pieces are out it knows how the answer ended.

        Raises:
            ConnectionFailed: there is no server, or nothing on the way to it.
            FirstItemTimeout, ItemTimeout: nothing of an answer came for too long.
            StreamTruncated: the stream ended before the answer did.
            StreamError: the server's refusal, or the failure that it told in the stream.
            WireError: what it answers is no stream of chunks.
        """
        body = {"messages": messages, "stream": True, "stream_options": {"include_usage": True}, **options}
        async with self._opened("POST", "/chat/completions", body) as exchange:
            await exchange.check_that_it_streams()
            async with aclosing(exchange.chunks()) as chunks:
                async for data in chunks:
                    for piece in completion.feed(data):
                        exchange.patience.item()
                        yield piece
            completion.end()

    @asynccontextmanager
    async def _opened(self, method: str, path: str, body: Any = None) -> AsyncIterator[_Exchange]:
        """A request whose response is a success; closed at the end."""
        url, patience = self.base + path, Patience(self._timeout, time.monotonic)
        limits = httpx2.Timeout(None, connect=self._timeout.connect)
        request = self._client.build_request(method, url, json=body, headers=self._headers, timeout=limits)
        try:
            async with _waiting(patience):
                response = await self._client.send(request, stream=True)
        except httpx2.TransportError as error:
            raise before_the_head(error, url, self._timeout.connect) from error
        exchange = _Exchange(response, patience)
        try:
            if not response.is_success:
                document = await exchange.document()
                raise failure(document or f"{url} answers {response.status_code}", response.status_code)
            yield exchange
        finally:
            await response.aclose()


class _Exchange:
    """One response, and how long its reader still waits."""

    def __init__(self, response: httpx2.Response, patience: Patience) -> None:
        self.patience = patience
        self._response = response

    async def check_that_it_streams(self) -> None:
        """Raises unless an event stream follows."""
        kind = self._response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "text/event-stream":
            document = await self.document()
            if isinstance(document, dict) and "error" in document:
                raise failure(document)
            raise WireError(f"{self._response.url} answers with {kind or 'something'}, not with an event stream")

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it arrives."""
        chunks = self._response.aiter_raw()
        try:
            while True:
                async with _waiting(self.patience):
                    data = await anext(chunks, None)
                if data is None:
                    return
                yield data
        except httpx2.TransportError as error:
            raise StreamTruncated(f"the connection was lost: {error or type(error).__name__}") from error

    async def document(self) -> Any:
        """The JSON of the body; its text, shortened, where it is none."""
        content = b""
        async with aclosing(self.chunks()) as chunks:
            async for data in chunks:
                content += data
                if len(content) > MAX_DOCUMENT:
                    raise WireError(f"{self._response.url} answers with more than {MAX_DOCUMENT} bytes")
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            return content.decode("utf-8", "replace")[:200].strip()


@asynccontextmanager
async def _waiting(patience: Patience) -> AsyncIterator[None]:
    try:
        with patience.waiting():
            async with asyncio.timeout(patience.left):
                yield
    except TimeoutError:
        raise patience.error() from None
