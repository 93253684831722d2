"""FastAPI's own server-sent events: `uvicorn bench.peers.fastapi_sse_app:app`."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable

from fastapi import FastAPI
from fastapi.sse import EventSourceResponse

from bench.peers import workloads

app = FastAPI()


@app.get("/threaded", response_class=EventSourceResponse)
def threaded(count: int) -> Iterable[str]:
    """An ordinary generator."""
    yield from workloads.threaded(count)


@app.get("/{name}", response_class=EventSourceResponse)
async def stream(name: str, count: int) -> AsyncIterable[str]:
    """One of the others."""
    async for item in workloads.ASYNC[name](count):
        yield item
