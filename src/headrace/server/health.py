"""The server's own routes: `/livez`, `/readyz`, `/metrics`, `/openapi.json` and `DELETE /streams/{id}`."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable
from typing import Any

from headrace.errors import MethodNotAllowed, NotFound, Overloaded, ShuttingDown
from headrace.metrics import CONTENT_TYPE
from headrace.server.joined_document import documented, join
from headrace.server.openapi import document
from headrace.server.request import HttpRequest
from headrace.server.response import Response
from headrace.services.runtime import Runtime

OPEN_PATHS = ("/livez", "/readyz")
"""Answered without an API key: what asks here is a load balancer, and it learns nothing else."""

NO_STORE = {"cache-control": "no-store"}


class SystemRoutes:
    """Everything that is answered without the user's code.

    `draining` fails readiness, whatever the runtime says.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.draining = False
        self._runtime = runtime
        self._get: dict[str, Callable[[HttpRequest, Response], Awaitable[None]]] = {
            "/livez": self._livez,
            "/readyz": self._readyz,
            "/metrics": self._metrics,
            "/openapi.json": self._openapi,
        }
        self._documented = documented(runtime.definition.mounts)
        if self._documented is not None and not runtime.definition.endpoints:
            del self._get["/openapi.json"]  # all there is to tell is in the application's own

    @staticmethod
    def is_open(request: HttpRequest) -> bool:
        """Whether the route is answered without an API key."""
        return request.path in OPEN_PATHS

    async def answer(self, request: HttpRequest, caller: str, response: Response) -> bool:
        """Answers if one of these routes is meant; False if none is.

        Args:
            caller: the hash of the request's key; "" on an open server. A stream is stopped with the key that made it.

        Raises:
            MethodNotAllowed, NotFound: one is meant, and not like this.
        """
        if request.path in self._get:
            if request.method not in ("GET", "HEAD"):
                raise MethodNotAllowed(f"{request.path} is read with GET", ("GET", "HEAD"))
            await self._get[request.path](request, response)
            return True
        if request.path.startswith("/streams/"):
            if request.method != "DELETE":
                raise MethodNotAllowed("a stream is stopped with DELETE", ("DELETE",))
            await self._stop(request.path.removeprefix("/streams/"), caller, response)
            return True
        return False

    async def _livez(self, request: HttpRequest, response: Response) -> None:
        await response.document(200, b'{"status": "live"}', "application/json", NO_STORE)

    async def _readyz(self, request: HttpRequest, response: Response) -> None:
        if self.draining or not self._runtime.ready:
            await response.problem(ShuttingDown("the service is not ready"))
        elif (trouble := self._runtime.trouble) is not None:
            await response.problem(Overloaded(trouble))
        else:
            await response.document(200, b'{"status": "ready"}', "application/json", NO_STORE)

    async def _metrics(self, request: HttpRequest, response: Response) -> None:
        await response.document(200, self._runtime.metrics.exposition(), CONTENT_TYPE, NO_STORE)

    async def _openapi(self, request: HttpRequest, response: Response) -> None:
        description = {**self._document, "servers": [{"url": request.root_path or "/"}]}
        body = json.dumps(description, ensure_ascii=False, indent=2).encode("utf-8", "replace")
        await response.document(200, body, "application/json")

    @functools.cached_property
    def _document(self) -> dict[str, Any]:
        ours = document(self._runtime.definition)
        return ours if self._documented is None else join(ours, self._documented.openapi())

    async def _stop(self, id: str, caller: str, response: Response) -> None:
        stream = self._runtime.live.get(id)
        if stream is None or stream.key != caller:
            raise NotFound("no stream with this id runs here")
        stream.cancel()
        await response.empty()
