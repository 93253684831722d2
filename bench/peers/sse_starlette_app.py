"""sse-starlette: `uvicorn bench.peers.sse_starlette_app:app`."""

from __future__ import annotations

from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from bench.peers import workloads


async def events(items: AsyncIterator[str]) -> AsyncIterator[dict[str, str]]:
    """Each item as an event."""
    async for item in items:
        yield {"data": item}


async def stream(request: Request) -> EventSourceResponse:
    """One of the workloads."""
    items = workloads.ASYNC[request.path_params["name"]](int(request.query_params["count"]))
    return EventSourceResponse(events(items))


app = Starlette(routes=[Route("/{name}", stream)])
