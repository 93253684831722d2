"""Where the WebSockets of a client go."""

import httpx2

from headrace.client.asgi import AsgiTransport
from headrace.client.asgi_websocket import AsgiSockets
from headrace.client.sockets import NoSockets
from headrace.client.ways import ways
from headrace.client.websocket import WebSockets


def test_each_transport_has_its_way() -> None:
    async def app(scope: object, receive: object, send: object) -> None: ...

    assert isinstance(ways(None, True), WebSockets)
    assert isinstance(ways(AsgiTransport(app), True), AsgiSockets)
    assert isinstance(ways(httpx2.AsyncHTTPTransport(verify=False), True), NoSockets)
