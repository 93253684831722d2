"""The ASGI application of one service: finds who answers a request, and turns every refusal into a problem document.

It is plain ASGI: any server runs it, and it can be mounted in another application. A parent that does not pass the
lifespan on is made up for: the service then starts with the first request.
"""

from __future__ import annotations

import asyncio
import difflib
import logging
from typing import Any

from starlette.types import Receive, Scope, Send

from headrace.config import Settings
from headrace.errors import InternalError, MethodNotAllowed, NotFound, RequestError, SetupError
from headrace.metrics import Metrics
from headrace.server.body import command
from headrace.server.health import SystemRoutes
from headrace.server.http import Exchange
from headrace.server.log import log_refusal
from headrace.server.request import HttpRequest
from headrace.server.response import Response
from headrace.server.security import Keys
from headrace.services.decorators import Bound
from headrace.services.endpoint import EndpointDefinition
from headrace.services.runtime import Runtime

logger = logging.getLogger("headrace.server")


class Application:
    """Serves one service.

    Args:
        target: a service class, or one bound to constructor arguments with `Service.bind(...)`.
        settings: None takes the defaults.

    Raises:
        DefinitionError: with every mistake of the service.
    """

    def __init__(self, target: type | Bound[Any], settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.runtime = Runtime(target, self.settings, Metrics())
        self._endpoints = {endpoint.path: endpoint for endpoint in self.runtime.definition.endpoints}
        self._system = SystemRoutes(self.runtime)
        self._keys = Keys(self.settings.api_key)
        self._starting = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1003, "reason": "this server speaks HTTP only"})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._start()
        except SetupError as error:
            logger.error("%s", error, exc_info=error.__cause__)
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.runtime.__aexit__(None, None, None)
        await send({"type": "lifespan.shutdown.complete"})

    async def _start(self) -> None:
        async with self._starting:
            if not self.runtime.started:
                await self.runtime.__aenter__()

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = HttpRequest(scope)
        response = Response(send, request.id)
        try:
            if not self.runtime.started:
                await self._start()
            await self._answer(request, receive, response)
        except RequestError as error:
            log_refusal(request, error)
            await response.problem(error)
        except Exception:
            if response.status is not None:
                raise
            logger.exception("a request failed outside the user's code (request %s)", request.id)
            await response.problem(InternalError())

    async def _answer(self, request: HttpRequest, receive: Receive, response: Response) -> None:
        if not self._system.is_open(request):
            self._keys.check(request)
        endpoint = self._endpoints.get(request.path)
        if endpoint is not None:
            if request.method not in endpoint.methods:
                raise self._wrong_method(request, endpoint)
            await Exchange(self.runtime, endpoint, request, receive, response).answer()
        elif not await self._system.answer(request, response):
            raise self._unknown_path(request)

    def _wrong_method(self, request: HttpRequest, endpoint: EndpointDefinition) -> MethodNotAllowed:
        if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
            return MethodNotAllowed(
                f"HR14 a page of {request.headers.get('origin', 'another origin')[:80]} asks to call this server; "
                "start it with --cors-origin ORIGIN to allow that",
                endpoint.methods,
            )
        allowed = " or ".join(endpoint.methods)
        return MethodNotAllowed(
            f"HR14 {endpoint.path} takes {allowed}, not {request.method[:20]}: {command(request, endpoint)}",
            endpoint.methods,
        )

    def _unknown_path(self, request: HttpRequest) -> NotFound:
        close = difflib.get_close_matches(request.path, self._endpoints, n=1)
        if close:
            return NotFound(f"there is nothing at this path. Did you mean {close[0]}?")
        paths = ", ".join(f"{endpoint.methods[0]} {path}" for path, endpoint in list(self._endpoints.items())[:20])
        return NotFound(f"there is nothing at this path. {self.runtime.definition.name} answers at {paths}")
