"""FastAPI with `StreamingResponse`, as its documentation shows it: `uvicorn bench.peers.fastapi_app:app`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from fastapi import FastAPI, WebSocket
from fastapi.responses import StreamingResponse

from bench.peers import workloads

app = FastAPI()


async def events(items: AsyncIterator[str]) -> AsyncIterator[str]:
    """Each item as an event."""
    async for item in items:
        yield f"id: 1\ndata: {item}\n\n"


def blocking_events(items: Iterator[str]) -> Iterator[str]:
    """Likewise, of an ordinary generator."""
    for item in items:
        yield f"id: 1\ndata: {item}\n\n"


@app.get("/threaded")
async def threaded(count: int) -> StreamingResponse:
    """An ordinary generator."""
    return StreamingResponse(blocking_events(workloads.threaded(count)), media_type="text/event-stream")


@app.get("/{name}")
async def stream(name: str, count: int) -> StreamingResponse:
    """One of the others."""
    return StreamingResponse(events(workloads.ASYNC[name](count)), media_type="text/event-stream")


@app.websocket("/ws")
async def send(websocket: WebSocket) -> None:
    """One message for each item."""
    await websocket.accept()
    count = (await websocket.receive_json())["count"]
    async for item in workloads.plain(count):
        await websocket.send_text(item)
    await websocket.close()
