"""Services with mounted applications: FastAPI with endpoints beside it, Starlette below a path, and a bare one."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, Request, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.sse import EventSourceResponse
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute

from headrace import Handle, StreamError, asgi_app, context, depends, endpoint, service


class ModelBusy(StreamError):
    """The model is busy."""

    code = "model_busy"
    status = 429


class Answer(BaseModel):
    text: str


@service
class Other:
    """What the mounted routes call."""

    def __init__(self) -> None:
        self.running = 0

    @endpoint
    async def count(self, to: int, pause: float = 0.0) -> AsyncIterator[str]:
        self.running += 1
        try:
            for n in range(to):
                yield f"{n} "
                await asyncio.sleep(pause)
        finally:
            self.running -= 1

    @endpoint
    async def left(self) -> float | None:
        return context.remaining

    @endpoint
    async def busy(self) -> str:
        raise ModelBusy

    @endpoint
    async def calls(self) -> int:
        return self.running


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    print("the app has started", flush=True)
    yield {"model": "tiny"}
    print("the app has stopped", flush=True)


fast = FastAPI(title="Poems", lifespan=lifespan)
router = APIRouter(prefix="/included", tags=["included"])


def caller(token: Annotated[str, Header()] = "nobody") -> str:
    return token


@asgi_app(fast)
@service
class Fast:
    """Everything that FastAPI offers, on methods."""

    other: Handle[Other] = depends(Other)

    def __init__(self) -> None:
        self.name = "fast"
        self.running = 0
        self.closed = 0
        self.ended: list[str] = []

    def on_start(self) -> None:
        print("the service has started", flush=True)

    def on_stop(self) -> None:
        print("the service has stopped", flush=True)

    @contextmanager
    def counted(self) -> Iterator[None]:
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self.closed += 1

    @endpoint
    async def write(self, topic: str) -> AsyncIterator[str]:
        """An endpoint beside the application."""
        yield f"{topic}\n"

    @fast.post("/", tags=["poems"])
    def handle(self, prompt: str) -> Answer:
        """Answers a prompt."""
        return Answer(text=f"{self.name}: {prompt}")

    def asked(self, style: str = "plain") -> str:
        return f"{self.name}, {style}"

    @fast.get("/items/{number}")
    async def item(self, number: int, who: Annotated[str, Depends(caller)], how: str = Depends(asked)) -> Any:
        return {"number": number, "who": who, "how": how}

    @router.get("/item/{number}")
    async def included(self, number: int, how: str = Depends(asked)) -> Any:
        return {"number": number, "how": how}

    @fast.get("/state")
    async def state(self, request: Request) -> Any:
        running = await self.other.calls()
        return {
            "running": self.running,
            "closed": self.closed,
            "calls": running,
            "model": request.state.model,
            "ended": self.ended,
        }

    @fast.get("/numbers")
    async def numbers(self, kind: str = "async", to: int = 3, pause: float = 0.0) -> StreamingResponse:
        def made() -> Iterator[str]:
            with self.counted():
                for n in range(to):
                    yield f"{n} "
                    time.sleep(pause)

        async def made_on_the_loop() -> AsyncIterator[str]:
            with self.counted():
                for n in range(to):
                    yield f"{n} "
                    await asyncio.sleep(pause)

        body: Any = made() if kind == "sync" else made_on_the_loop()
        return StreamingResponse(body, 203, {"x-kind": kind}, "text/x-numbers")

    @fast.get("/yielded")
    def yielded(self, to: int = 3, pause: float = 0.0) -> Iterator[int]:
        with self.counted():
            for n in range(to):
                yield n
                time.sleep(pause)

    @fast.get("/events", response_class=EventSourceResponse)
    async def events(self, to: int = 2, pause: float = 0.0) -> AsyncIterator[int]:
        with self.counted():
            for n in range(to):
                yield n
                await asyncio.sleep(pause)

    @fast.get("/relayed")
    async def relayed(self, to: int, pause: float = 0.0) -> StreamingResponse:
        return StreamingResponse(self.other.count(to=to, pause=pause))

    @fast.get("/left")
    async def left(self) -> Any:
        return {"here": context.remaining, "there": await self.other.left(), "id": context.request_id}

    @fast.get("/busy")
    async def busy(self, there: bool = False) -> str:
        if there:
            await self.other.busy()
        raise ModelBusy

    @fast.get("/fails")
    async def fails(self, after: int = 0) -> StreamingResponse:
        async def made() -> AsyncIterator[str]:
            with self.counted():
                for n in range(after):
                    yield f"{n} "
                raise RuntimeError("the secret is 4711")

        return StreamingResponse(made())

    @fast.get("/raises")
    async def raises(self) -> None:
        raise RuntimeError("the secret is 4711")

    @fast.get("/waits")
    async def waits(self) -> StreamingResponse:
        async def made() -> AsyncIterator[str]:
            with self.counted():
                await asyncio.sleep(60)
                yield "late"

        return StreamingResponse(made())

    @fast.get("/blocks")
    async def blocks(self) -> str:
        time.sleep(0.6)
        return "done"

    @fast.get("/cookies", status_code=201)
    async def cookies(self) -> JSONResponse:
        response = JSONResponse({}, 201)
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    @fast.post("/length")
    async def length(self, request: Request) -> int:
        return sum([len(chunk) async for chunk in request.stream()])

    @fast.get("/afterwards")
    async def afterwards(self) -> PlainTextResponse:
        async def task() -> None:
            await asyncio.sleep(0.3)
            self.ended.append("the task")

        return PlainTextResponse("done", background=BackgroundTask(task))

    @fast.websocket("/chat")
    async def chat(self, websocket: WebSocket, turns: int = 2) -> None:
        await websocket.accept()
        with self.counted():
            for _ in range(turns):
                text = await websocket.receive_text()
                await websocket.send_text(f"{self.name}: {text}")
            await websocket.close(4000, "enough")

    @fast.websocket("/listens")
    async def listens(self, websocket: WebSocket) -> None:
        await websocket.accept()
        with self.counted():
            while True:
                await websocket.send_text(await websocket.receive_text())

    @fast.websocket("/works")
    async def works(self, websocket: WebSocket) -> None:
        await websocket.accept()
        with self.counted():
            await websocket.send_text("at work")
            await asyncio.sleep(60)

    @fast.websocket("/breaks")
    async def breaks(self, websocket: WebSocket, accept: bool = True) -> None:
        if accept:
            await websocket.accept()
        raise RuntimeError("the secret is 4711")

    @fast.websocket("/returns")
    async def returns(self, websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_bytes(b"\x00\x01")

    @fast.websocket("/refuses")
    async def refuses(self, websocket: WebSocket) -> None:
        await websocket.close()


@fast.get("/plain")
def plain(x: int) -> int:
    return x


fast.include_router(router, prefix="/v1")


class Stamp(BaseHTTPMiddleware):
    async def dispatch(self, request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["x-stamp"] = "starlette"
        return response


star = Starlette(middleware=[Middleware(Stamp)])


class Held:
    """Its state is that of the class, and a subclass has its routes."""

    def __init__(self) -> None:
        self.running = 0
        self.closed = 0

    async def hello(self, request: Any) -> PlainTextResponse:
        return PlainTextResponse(f"{type(self).__name__} at {request.url_for('hello').path}")

    def numbers(self, request: Any) -> StreamingResponse:
        to, pause = int(request.query_params["to"]), float(request.query_params.get("pause", 0))

        def made() -> Iterator[str]:
            self.running += 1
            try:
                for n in range(to):
                    yield f"{n} "
                    time.sleep(pause)
            finally:
                self.running -= 1
                self.closed += 1

        return StreamingResponse(made())

    async def echo(self, websocket: Any) -> None:
        await websocket.accept()
        await websocket.send_text(f"{type(self).__name__}: {await websocket.receive_text()}")
        await websocket.close()

    star.router.routes += [
        Route("/hello", hello, name="hello"),
        Route("/stamped", hello, middleware=[Middleware(Stamp)]),
        Mount("/deeper", routes=[Route("/numbers", numbers)]),
        WebSocketRoute("/echo", echo),
    ]


@service
@asgi_app(star, path="/star")
class Star(Held):
    @endpoint(methods=("GET",), path="/state")
    async def state(self) -> dict[str, int]:
        return {"running": self.running, "closed": self.closed}


async def bare(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"  # it knows no lifespan
    message = await receive()
    body = f"{scope['method']} {scope['path']} below {scope['root_path']!r}: {len(message['body'])}"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    if scope["path"].endswith("/half"):
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        return
    await send({"type": "http.response.body", "body": body.encode()})


@asgi_app(bare)
@service
class Bare:
    """Only an application."""


@asynccontextmanager
async def failing(app: FastAPI) -> AsyncIterator[None]:
    raise OSError("no database")
    yield


@asgi_app(FastAPI(lifespan=failing))
@service
class Unable:
    def on_stop(self) -> None:
        print("the service has stopped", flush=True)
