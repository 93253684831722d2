"""Methods as routes, on FastAPI and on Starlette; asked in memory, with a visit as the server makes it."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Body, Depends, FastAPI, Header, Query, Response, Security, WebSocket
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute

from headrace.errors import DefinitionError
from headrace.server.app_routes import NoInstance, bind_routes
from headrace.server.visit import Visit

WITHIN = 5.0


class Poem(BaseModel):
    title: str


def anybody(token: Annotated[str, Header()] = "nobody") -> str:
    return token


def new_poet(app: Any, router: Any = None) -> type:
    """A new class with routes on an application of its own."""
    router = router or app

    class Poet:
        """It has a name."""

        def __init__(self, name: str = "poet") -> None:
            self.name = name

        def style(self, style: str = "plain") -> str:
            return f"{self.name}, {style}"

        def opened(self) -> Iterator[str]:
            yield f"{self.name}'s"

        @router.post("/poems/{number}", tags=["poems"], response_model_exclude_none=True, status_code=201)
        def everything(
            self,
            number: int,
            poem: Poem,
            response: Response,
            long: Annotated[bool, Query(alias="L")] = False,
            who: str = Depends(anybody),
            how: str = Depends(style),
            whose: str = Depends(opened),
        ) -> dict[str, Any]:
            """Everything that FastAPI reads."""
            response.headers["x-number"] = str(number)
            return {"me": self.name, "n": number, "poem": poem.title, "L": long, "who": who, "how": how, "whose": whose}

        @router.get("/async")
        async def on_the_loop(self) -> str:
            return self.name

        @router.get("/secure", dependencies=[Depends(anybody)])
        async def secure(self, me: str = Security(style, scopes=["a"])) -> str:
            return me

        @router.put("/embedded")
        async def embedded(self, title: Annotated[str, Body()], lines: Annotated[int, Body()] = 1) -> str:
            return self.name + title * lines

        @router.get("/yields")
        def yields(self, to: int = 2) -> Iterator[str]:
            for _ in range(to):
                yield self.name

        @router.get("/yields-async")
        async def yields_async(self) -> AsyncIterator[str]:
            yield self.name

        @classmethod
        @router.get("/class")
        def of_the_class(cls) -> str:
            return cls.__name__

        @staticmethod
        @router.get("/static")
        def static(x: int = 1) -> int:
            return x

        @router.websocket("/ws/{number}")
        async def talk(self, websocket: WebSocket, number: int, how: str = Depends(style)) -> None:
            await websocket.accept()
            await websocket.send_text(f"{self.name} {number} {how}")
            await websocket.close()

    return Poet


async def ask(
    app: Any, service: Any, method: str, path: str, body: Any = None, headers: Mapping[str, str] = MappingProxyType({})
) -> tuple[int, dict[str, str], Any]:
    """Status, headers and document of an answer."""
    sent: list[dict[str, Any]] = []
    queue = [json.dumps(body).encode() if body is not None else b""]

    async def receive() -> dict[str, Any]:
        if queue:
            return {"type": "http.request", "body": queue.pop()}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    named = {"content-type": "application/json", **headers}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "path": path.partition("?")[0],
        "query_string": path.partition("?")[2].encode(),
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }
    async with asyncio.timeout(WITHIN), Visit(service).under_way():
        await app(scope, receive, send)
    received = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    content = b"".join(message.get("body", b"") for message in sent[1:])
    try:
        return sent[0]["status"], received, json.loads(content)
    except ValueError:
        return sent[0]["status"], received, content.decode()


async def talk(app: Any, service: Any, path: str) -> list[Any]:
    """The texts that come over a WebSocket."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "path": path.partition("?")[0],
        "query_string": path.partition("?")[2].encode(),
        "headers": [],
    }
    async with asyncio.timeout(WITHIN), Visit(service).under_way():
        await app(scope, receive, send)
    return [message["text"] for message in sent if message["type"] == "websocket.send"]


def fastapi_directly() -> tuple[Any, type, str]:
    app = FastAPI()
    return app, new_poet(app), ""


def fastapi_in_a_router() -> tuple[Any, type, str]:
    app, router = FastAPI(), APIRouter(prefix="/r")
    poet = new_poet(app, router)
    app.include_router(router, prefix="/v1")
    return app, poet, "/v1/r"


def fastapi_in_a_router_in_a_router() -> tuple[Any, type, str]:
    app, outer, inner = FastAPI(), APIRouter(prefix="/o"), APIRouter(prefix="/i")
    poet = new_poet(app, inner)
    outer.include_router(inner)
    app.include_router(outer)
    return app, poet, "/o/i"


def fastapi_that_was_read_before() -> tuple[Any, type, str]:
    app, router = FastAPI(), APIRouter()
    poet = new_poet(app, router)
    app.include_router(router, prefix="/v1")
    assert '"self"' in json.dumps(app.openapi())
    return app, poet, "/v1"


def fastapi_mounted() -> tuple[Any, type, str]:
    app, inner = FastAPI(), FastAPI()
    poet = new_poet(inner)
    app.mount("/m", inner)
    return app, poet, "/m"


FORMS = [
    fastapi_directly,
    fastapi_in_a_router,
    fastapi_in_a_router_in_a_router,
    fastapi_that_was_read_before,
    fastapi_mounted,
]


@pytest.mark.parametrize("form", FORMS)
async def test_a_method_is_read_as_if_self_were_not_there(form: Any) -> None:
    app, poet, at = form()
    bind_routes(app, poet)
    status, headers, document = await ask(
        app, poet(), "POST", f"{at}/poems/7?L=true&style=grand", {"title": "Rain"}, {"token": "me"}
    )
    assert document == {
        "me": "poet", "n": 7, "poem": "Rain", "L": True, "who": "me", "how": "poet, grand", "whose": "poet's",
    }  # fmt: skip
    assert (status, headers["x-number"]) == (201, "7")
    assert (await ask(app, poet(), "GET", f"{at}/async"))[2] == "poet"
    assert (await ask(app, poet(), "GET", f"{at}/secure?style=s"))[2] == "poet, s"
    assert (await ask(app, poet(), "PUT", f"{at}/embedded", {"title": "a", "lines": 2}))[2] == "poetaa"


@pytest.mark.parametrize("form", FORMS)
async def test_what_does_not_fit_says_nothing_of_self(form: Any) -> None:
    app, poet, at = form()
    bind_routes(app, poet)
    status, _, document = await ask(app, poet(), "POST", f"{at}/poems/x", {})
    assert status == 422
    assert [each["loc"] for each in document["detail"]] == [["path", "number"], ["body", "title"]]


@pytest.mark.parametrize("form", FORMS)
async def test_methods_that_yield_stream(form: Any) -> None:
    app, poet, at = form()
    bind_routes(app, poet)
    assert (await ask(app, poet(), "GET", f"{at}/yields?to=2"))[1:] == (
        {"content-type": "application/jsonl"},
        '"poet"\n"poet"\n',
    )
    assert (await ask(app, poet(), "GET", f"{at}/yields-async"))[2] == "poet"


@pytest.mark.parametrize("form", FORMS)
async def test_a_websocket_route_is_called_on_the_instance(form: Any) -> None:
    app, poet, at = form()
    bind_routes(app, poet)
    assert await talk(app, poet(), f"{at}/ws/7?style=s") == ["poet 7 poet, s"]


@pytest.mark.parametrize("form", FORMS[:-1])
def test_the_documentation_is_as_if_self_were_not_there(form: Any) -> None:
    app, poet, at = form()
    bind_routes(app, poet)
    document = app.openapi()
    assert '"self"' not in json.dumps(document)
    everything = document["paths"][f"{at}/poems/{{number}}"]["post"]
    assert (everything["tags"], everything["summary"]) == (["poems"], "Everything")
    assert everything["description"] == "Everything that FastAPI reads."
    assert sorted(each["name"] for each in everything["parameters"]) == ["L", "number", "style", "token"]
    body = everything["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/Poem"}


@pytest.mark.parametrize("form", FORMS)
async def test_static_and_class_methods_are_routes(form: Any) -> None:
    app, poet, at = form()
    bind_routes(app, poet)
    assert (await ask(app, poet(), "GET", f"{at}/static?x=5"))[2] == 5
    assert (await ask(app, poet(), "GET", f"{at}/class"))[2] == "Poet"


async def test_instances_of_one_application_do_not_disturb_each_other() -> None:
    app, poet, _ = fastapi_directly()
    bind_routes(app, poet)
    bind_routes(app, poet)
    one, other = poet("one"), poet("other")
    answers = await asyncio.gather(*(ask(app, each, "GET", "/async") for each in (one, other) * 5))
    assert [answer[2] for answer in answers] == ["one", "other"] * 5


async def test_a_subclass_answers_with_its_own_methods() -> None:
    app, poet, _ = fastapi_directly()

    class Singer(poet):  # type: ignore[misc]
        async def on_the_loop(self) -> str:
            return f"{self.name} sings"

    bind_routes(app, Singer)
    assert (await ask(app, Singer(), "GET", "/async"))[2] == "poet sings"
    assert (await ask(app, Singer(), "GET", "/secure"))[2] == "poet, plain"


async def test_a_second_service_of_the_application_has_its_methods_bound_too() -> None:
    app, poet, _ = fastapi_directly()

    class Singer:
        @app.get("/sing")
        async def sing(self) -> str:
            return type(self).__name__

    bind_routes(app, poet)
    bind_routes(app, Singer)
    assert (await ask(app, poet(), "GET", "/async"))[2] == "poet"
    assert (await ask(app, Singer(), "GET", "/sing"))[2] == "Singer"


async def test_a_plain_function_stays_what_it_is() -> None:
    app, poet, _ = fastapi_directly()

    @app.get("/plain")
    def plain(self: int, x: int = 1) -> int:
        return self + x

    bind_routes(app, poet)
    assert (await ask(app, poet(), "GET", "/plain?self=4"))[2] == 5


async def test_overrides_of_dependencies_hold() -> None:
    app, poet, _ = fastapi_directly()
    app.dependency_overrides[anybody] = lambda: "somebody"
    bind_routes(app, poet)
    document = (await ask(app, poet(), "POST", "/poems/1", {"title": ""}))[2]
    assert document["who"] == "somebody"


async def test_a_method_outside_of_headrace_says_where_it_belongs() -> None:
    app, poet, _ = fastapi_directly()
    bind_routes(app, poet)
    (route,) = [each for each in app.routes if getattr(each, "path", "") == "/async"]
    with pytest.raises(NoInstance, match=r"Poet.on_the_loop belongs to a service"):
        await route.endpoint()


def test_a_method_without_self_is_a_mistake() -> None:
    app = FastAPI()

    class Poet:
        @app.get("/write")
        def write(topic: str) -> str:  # type: ignore[misc]
            return topic

        @app.get("/home")
        async def home() -> str:  # type: ignore[misc]
            return ""

    with pytest.raises(DefinitionError) as caught:
        bind_routes(app, Poet)
    assert [(each.code, each.what, each.fix) for each in caught.value.mistakes] == [
        ("HR18", "Poet.write has no self", "def write(self, topic: str):"),
        ("HR18", "Poet.home has no self", "async def home(self):"),
    ]


# -- Starlette


class Stamp:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def stamped(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"x-stamp", b"yes")]}
            await send(message)

        await self.app(scope, receive, stamped)


class Home:
    def __init__(self) -> None:
        self.name = "home"

    async def on_the_loop(self, request: Any) -> PlainTextResponse:
        return PlainTextResponse(f"{self.name} {request.path_params['x']}")

    def on_a_thread(self, request: Any) -> PlainTextResponse:
        return PlainTextResponse(self.name)

    async def talk(self, websocket: Any) -> None:
        await websocket.accept()
        await websocket.send_text(self.name)
        await websocket.close()


async def whole(scope: Any, receive: Any, send: Any) -> None:
    await PlainTextResponse("whole")(scope, receive, send)


def starlette() -> Starlette:
    return Starlette(
        routes=[
            Route("/loop/{x}", Home.on_the_loop, methods=["PUT"]),
            Route("/thread", Home.on_a_thread, middleware=[Middleware(Stamp), Middleware(Stamp)]),
            Mount("/deeper", routes=[Route("/thread", Home.on_a_thread)]),
            Mount("/whole", app=whole),
            WebSocketRoute("/talk", Home.talk),
        ],
        middleware=[Middleware(Stamp)],
    )


async def test_starlette_s_routes_are_called_on_the_instance() -> None:
    app = starlette()
    bind_routes(app, Home)
    assert (await ask(app, Home(), "PUT", "/loop/4"))[2] == "home 4"
    assert (await ask(app, Home(), "GET", "/loop/4"))[0] == 405
    assert (await ask(app, Home(), "GET", "/deeper/thread"))[2] == "home"
    assert (await ask(app, Home(), "GET", "/whole/"))[2] == "whole"
    assert await talk(app, Home(), "/talk") == ["home"]


async def test_the_middleware_of_a_route_stays() -> None:
    app, sent = starlette(), []
    bind_routes(app, Home)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/thread", "query_string": b"", "headers": []}
    async with Visit(Home()).under_way():
        await app(scope, None, send)  # type: ignore[arg-type]
    assert [value for name, value in sent[0]["headers"] if name == b"x-stamp"] == [b"yes"] * 3


def test_a_description_that_was_made_before_is_made_again() -> None:
    class Described(Starlette):
        openapi_schema: Any = "made before"

    app = Described(routes=[Route("/thread", Home.on_a_thread)])
    bind_routes(app, Home)
    assert app.openapi_schema is None


def test_an_application_of_another_kind_is_not_touched() -> None:
    class Strange:
        routes = (object(), 7)
        router = None

    before = vars(Strange).copy()
    bind_routes(Strange(), Home)
    bind_routes(whole, Home)
    assert vars(Strange) == before
