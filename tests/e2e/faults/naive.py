"""The ward and the pond without headrace: Starlette's `StreamingResponse` on uvicorn with its defaults, same paths.

    HEADRACE_NAIVE=1 pytest tests/e2e/faults

runs their tests against it, to see which rows every server passes. Not a part of the ordinary run.
"""

import contextlib
import inspect
import json
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import uvicorn
from pond import Pond
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from ward import Ward

NDJSON = "application/x-ndjson"
STREAMS = ["count", "drip", "silent", "flood", "tight", "blocking", "fails", "fails_in_a_thread", "poisoned"]
STREAMS += ["mistyped", "measures"]
POND_STREAMS = ["drip", "hush", "flood", "blocks", "breaks"]
UNARY = ["add", "think"]
READ = ["state", "releases"]


def line(name: str, value: Any) -> str:
    return json.dumps({name: value}, default=vars) + "\n"


async def async_lines(items: AsyncIterator[Any]) -> AsyncIterator[str]:
    async for item in items:
        yield line("item", item)
    yield line("end", {"items": 0})


def lines(items: Iterator[Any]) -> Iterator[str]:
    for item in items:
        yield line("item", item)
    yield line("end", {"items": 0})


def streaming(method: Callable[..., Any]) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        items = method(**await request.json())
        return StreamingResponse((async_lines if inspect.isasyncgen(items) else lines)(items), media_type=NDJSON)

    return answer


def answering(method: Callable[..., Any]) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        return JSONResponse(await method(**(await request.json() if request.method == "POST" else {})))

    return answer


async def ready(request: Request) -> Response:
    return JSONResponse({"status": "ready"})


def application(ward: Any) -> Starlette:
    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await ward.on_start()
        yield

    return Starlette(
        lifespan=lifespan,
        routes=[
            *(Route(f"/{name}", streaming(getattr(ward, name)), methods=["POST"]) for name in STREAMS),
            *(Route(f"/{name}", answering(getattr(ward, name)), methods=["POST"]) for name in UNARY),
            *(Route(f"/{name}", answering(getattr(ward, name)), methods=["GET"]) for name in READ),
            Route("/readyz", ready),
        ],
    )


def plainly(method: Callable[..., Any]) -> Callable[[Request], Any]:
    """As lines where they are asked for, else as it is."""

    async def answer(request: Request) -> Response:
        items = method(**await request.json())
        if request.headers.get("accept") == NDJSON:
            return StreamingResponse(async_lines(items), media_type=NDJSON)
        return StreamingResponse(items, media_type="text/plain")

    return answer


def pond() -> Starlette:
    pond = Pond()
    streams = [Route(f"/{name}", plainly(getattr(pond, name)), methods=["POST"]) for name in POND_STREAMS]
    return Starlette(routes=[*streams, Route("/state", answering(pond.state)), Route("/readyz", ready)])


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"  ➜ http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
    print(f"flags it does not know: {sys.argv[1:]}", flush=True)
    uvicorn.Server(uvicorn.Config(pond() if sys.argv[1:2] == ["pond"] else application(Ward()))).run(sockets=[listener])
