"""A service that runs elsewhere, called over the client: `depends(Other, url="http://...")`.

The class is here as well, so the endpoints, their types and the checks are the same as in one process.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from headrace.client.aio import AsyncClient, events
from headrace.client.timeouts import SHORTEST, Timeout
from headrace.errors import ConnectionFailed, InternalError, RequestError
from headrace.services.context import current
from headrace.services.decorators import Bound
from headrace.services.definition import ServiceDefinition
from headrace.services.endpoint import EndpointDefinition
from headrace.streams.pump import Drive, drive_async, drive_call

logger = logging.getLogger("headrace.services")


class RemoteReplica:
    """A service at a url (`replica.Replica`)."""

    threads_stuck = 0
    healthy = True
    """Nobody asks the other end; a call of it fails by itself."""

    example_arguments: Mapping[str, Any] = MappingProxyType({})
    instance = None

    def __init__(self, definition: ServiceDefinition, client: AsyncClient | None = None) -> None:
        """`client` reaches it in another way than by its url; closed with the replica."""
        self.definition = definition
        self._client = client or AsyncClient(definition.bound.url)

    async def start(self, handle: Callable[[Bound[Any]], Any]) -> None:
        """Nothing is asked of the other end before it is called: it may start later, and restart."""

    async def stop(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    def drive(self, endpoint: EndpointDefinition, arguments: Mapping[str, Any]) -> Drive:
        """Calls the endpoint there. What is left of the request's time travels along, and its id."""
        if endpoint.streams:
            return drive_async(lambda: self._stream(endpoint, arguments))
        return drive_call(lambda: self._answer(endpoint, arguments))

    async def _stream(self, endpoint: EndpointDefinition, arguments: Mapping[str, Any]) -> AsyncIterator[Any]:
        with _as_our_own(endpoint):
            path, rest = endpoint.filled(arguments)
            stream = self._options(endpoint).stream(path, **rest)
            async with contextlib.aclosing(events(stream, endpoint.types)) as source:
                async for event in source:
                    yield event

    async def _answer(self, endpoint: EndpointDefinition, arguments: Mapping[str, Any]) -> Any:
        with _as_our_own(endpoint):
            path, rest = endpoint.filled(arguments)
            return await self._options(endpoint).call(path, **rest)

    def _options(self, endpoint: EndpointDefinition) -> AsyncClient:
        request = current()
        remaining = None if request is None or request.remaining is None else max(request.remaining, SHORTEST)
        headers = {} if request is None else {"x-request-id": request.request_id}
        # How long the other end may be silent is its endpoint's own promise, kept by `Deadlines` there and here.
        timeout = Timeout(first_item=None, gap=None, total=remaining)
        method = endpoint.methods[0]
        return self._client.with_options(timeout=timeout, headers=headers, types=endpoint.types, method=method)


@contextlib.contextmanager
def _as_our_own(endpoint: EndpointDefinition) -> Iterator[None]:
    """Keeps from the client what is only this service's business: its requests and the addresses that it calls."""
    try:
        yield
    except RequestError as error:  # this code has made the request: nothing that its own client could do better
        raise InternalError() from error
    except ConnectionFailed as error:
        logger.error("%s cannot be called: %s", endpoint.label, error.message)
        unreachable = ConnectionFailed("a service that the answer needs cannot be reached")
        unreachable.retryable = error.retryable
        raise unreachable from error
