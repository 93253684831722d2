"""What the client of a WebSocket says."""

from collections.abc import AsyncIterator

from fastapi import WebSocket

from headrace.errors import UnsupportedMediaType


async def texts(websocket: WebSocket) -> AsyncIterator[str]:
    """Its messages, until it leaves."""
    while (message := await websocket.receive())["type"] == "websocket.receive":
        if message.get("text") is None:
            raise UnsupportedMediaType("a binary message came where text is expected; send it as a text message")
        yield message["text"]
