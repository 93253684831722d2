"""The ASGI application of one service: finds who answers a request, and turns every refusal into a problem document.

It is plain ASGI: any server runs it, and it can be mounted in another application. A parent that does not pass the
lifespan on is made up for: the service then starts with the first request. A parent that wants it started and stopped
with itself enters `application.runtime` in its own lifespan.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import logging
import time
from collections.abc import Callable
from typing import Any

from starlette.types import Receive, Scope, Send

from headrace.config import Settings
from headrace.errors import (
    ClientGone,
    InternalError,
    MethodNotAllowed,
    NotFound,
    RequestError,
    SetupError,
    ShuttingDown,
)
from headrace.metrics import Metrics
from headrace.server.admission import Shares, caller_at
from headrace.server.app_routes import bind_routes
from headrace.server.asgi_mount import AppExchange
from headrace.server.asgi_socket import AppSocket
from headrace.server.body import command
from headrace.server.exchange import Share
from headrace.server.health import SystemRoutes
from headrace.server.http import HttpExchange
from headrace.server.log import log_refusal
from headrace.server.request import HttpRequest
from headrace.server.response import Response, ResponseAborted
from headrace.server.routes import Route, Routes
from headrace.server.security import Hosts, Keys, Origins, with_cors
from headrace.server.websocket import WebSocketExchange, denying
from headrace.services.decorators import Bound
from headrace.services.mounts import MountDefinition
from headrace.services.runtime import Runtime

logger = logging.getLogger("headrace.server")


class Application:
    """Serves one service.

    Args:
        target: a service class, or one bound to constructor arguments with `Service.bind(...)`.
        settings: None takes the defaults.
        clock: in seconds, never goes back; what deadlines and rates are measured with.

    Raises:
        DefinitionError: with every mistake of the service.
    """

    def __init__(
        self,
        target: type | Bound[Any],
        settings: Settings | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings or Settings()
        self.runtime = Runtime(target, self.settings, Metrics(), clock)
        self._routes = Routes(self.runtime.definition.endpoints, lambda: self.runtime.example_arguments)
        for mount in self.runtime.definition.mounts:
            bind_routes(mount.app, self.runtime.definition.service)
        self._system = SystemRoutes(self.runtime)
        self._hosts = Hosts(self.settings.host, self.settings.allowed_host)
        self._keys = Keys(self.settings.api_key)
        self._origins = Origins(self.settings.cors_origin)
        self._shares = Shares(self.settings.key_concurrency, self.settings.key_rate, self.settings.key_burst)
        self._http = with_cors(self._respond, self.settings.cors_origin)
        self._start: asyncio.Task[Runtime] | None = None  # under way, with the first request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry."""
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "lifespan":
                await self._lifespan(receive, send)
            case "websocket":
                await self._connect(scope, receive, send)
            case other:
                raise ValueError(f"the ASGI server offers {other!r}, which this application does not speak")

    @property
    def draining(self) -> bool:
        """Whether the server was told to stop; streams may still run."""
        return self._system.draining

    def drain(self) -> None:
        """Fails readiness from now on; everything else is answered as before."""
        self._system.draining = True

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            if not self.runtime.ready:
                await self.runtime.__aenter__()  # in this task, as `on_stop` will be
        except SetupError as error:
            _log_start(error)
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        try:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        finally:
            await self.runtime.__aexit__(None, None, None)
        await send({"type": "lifespan.shutdown.complete"})

    async def _started(self) -> None:
        """Waits for the start that the first request has set off; who leaves meanwhile does not stop it.

        Raises:
            SetupError: it failed. The next request tries again.
        """
        if self._start is None:
            self._start = asyncio.get_running_loop().create_task(self.runtime.__aenter__())
            self._start.add_done_callback(self._start_ended)
        await asyncio.shield(self._start)

    def _start_ended(self, start: asyncio.Task[Runtime]) -> None:
        self._start = None
        if not start.cancelled() and (error := start.exception()) is not None:
            _log_start(error)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = HttpRequest(scope)
        response, connection = Response(send, request.id), request.connection
        if connection is not None:
            response = Response(send, request.id, connection.part_writer(send), connection.bundler(send))
        try:
            await self._answer(request, scope, receive, response)
        except ClientGone:
            pass  # nobody is there to be told
        except ResponseAborted:
            raise
        except Exception as error:
            if response.status is not None:
                await response.cut()
                raise
            if not isinstance(error, SetupError):  # that one is logged where it happened
                logger.exception("a request failed outside the user's code (request %s)", request.id)
            with contextlib.suppress(ClientGone):
                await response.problem(InternalError())

    async def _answer(self, request: HttpRequest, scope: Scope, receive: Receive, response: Response) -> None:
        address, _ = scope.get("client") or ("", 0)
        route = self._routes.find(request.path)
        if route is not None:
            response.dialect = route.endpoint.dialect
        try:
            self._hosts.check(request)
            key = "" if self._system.is_open(request) else self._keys.check(request)
            self._origins.check(request)
            if not self.runtime.started:
                await self._started()
            if route is not None:
                if request.method not in route.endpoint.methods:
                    raise self._wrong_method(request, route)
                share = self._share(key, address)
                exchange = HttpExchange(self.runtime, route, request, receive, response, key, share)
                await exchange.answer()
            elif not await self._system.answer(request, key, response):
                mount, share = self._mount(request), self._share(key, address)
                await AppExchange(self.runtime, mount, request, scope, receive, response, key, share).answer()
        except RequestError as error:
            log_refusal(request, response.refusal(error).status, error)
            await response.problem(error)

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers the handshake of a WebSocket."""
        request = HttpRequest(scope)
        address, _ = scope.get("client") or ("", 0)
        await receive()  # that there is one
        response = Response(denying(scope, send), request.id)
        route = self._routes.find(request.path)
        if route is not None:
            response.dialect = route.endpoint.dialect
        try:
            self._hosts.check(request)
            self._origins.check_handshake(request)
            key = self._keys.check(request)
            if self.draining:
                raise ShuttingDown
            if not self.runtime.started:
                await self._started()
            share = self._share(key, address)
            exchange: WebSocketExchange | AppSocket
            if route is not None:
                if route.endpoint.dialect is not None:
                    raise self._no_websocket(request, route)
                exchange = WebSocketExchange(self.runtime, route, request, receive, send, key, share)
            else:
                mount = self._mount(request)
                exchange = AppSocket(self.runtime, mount, request, scope, receive, send, key, share)
        except (RequestError, ShuttingDown, SetupError) as error:
            refusal = InternalError() if isinstance(error, SetupError) else error
            log_refusal(request, response.refusal(refusal).status, refusal)
            with contextlib.suppress(ClientGone):
                await response.problem(refusal)
            return
        await exchange.answer()

    def _mount(self, request: HttpRequest) -> MountDefinition:
        """The mounted application that answers a path which is nobody else's."""
        mount = next((each for each in self.runtime.definition.mounts if each.covers(request.path)), None)
        if mount is None:
            raise self._unknown_path(request)
        return mount

    def _share(self, key: str, address: str) -> Share:
        if not self._shares.bounded:
            return contextlib.nullcontext
        payer = key or caller_at(address)
        return lambda: self._shares.hold(payer, self.runtime.clock())

    @staticmethod
    def _wrong_method(request: HttpRequest, route: Route) -> MethodNotAllowed:
        endpoint = route.endpoint
        if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
            return MethodNotAllowed(
                f"HR14 a page of {request.headers.get('origin', 'another origin')[:80]} asks to call this server; "
                "start it with --cors-origin ORIGIN to allow that",
                endpoint.methods,
            )
        allowed = " or ".join(endpoint.methods)
        return MethodNotAllowed(
            f"HR14 {request.root_path}{endpoint.path} takes {allowed}, not {request.method[:20]}: "
            f"{command(request, route)}",
            endpoint.methods,
        )

    @staticmethod
    def _no_websocket(request: HttpRequest, route: Route) -> MethodNotAllowed:
        endpoint = route.endpoint
        return MethodNotAllowed(
            f"HR14 {endpoint.label} speaks an API that has no WebSocket: {command(request, route)}", endpoint.methods
        )

    def _unknown_path(self, request: HttpRequest) -> NotFound:
        root = request.root_path
        close = difflib.get_close_matches(request.path[:200], self._routes.paths, n=1)
        if close:
            return NotFound(f"there is nothing at this path. Did you mean {root}{close[0]}?")
        paths = [f"{endpoint.methods[0]} {root}{path}" for path, endpoint in self._routes.paths.items()]
        more = ", ..." if len(paths) > 20 else ""
        listed = ", ".join(paths[:20]) + more
        return NotFound(f"there is nothing at this path. {self.runtime.definition.name} answers at {listed}")


def _log_start(error: BaseException) -> None:
    logger.error("%s", error, exc_info=error.__cause__ or error)
