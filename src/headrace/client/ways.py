"""Where the WebSockets of a client go: over the network, into this process, or nowhere."""

from __future__ import annotations

import ssl

import httpx2

from headrace.client.asgi import AsgiTransport
from headrace.client.asgi_websocket import AsgiSockets
from headrace.client.sockets import NoSockets, Sockets
from headrace.client.websocket import WebSockets


def ways(transport: httpx2.BaseTransport | httpx2.AsyncBaseTransport | None, verify: ssl.SSLContext | bool) -> Sockets:
    """What opens the WebSockets of a client whose requests take this transport; None is the network."""
    if transport is None:
        return WebSockets(verify)
    return AsgiSockets(transport) if isinstance(transport, AsgiTransport) else NoSockets()
