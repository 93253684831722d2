"""Both clients under one call, so that every end-to-end test of the client runs with each."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from headrace.client.aio import AsyncClient
from headrace.client.statistics import Statistics
from headrace.client.sync import Client


@dataclass
class Read:
    """What one client got of one stream: the items that came before the end, and how it ended."""

    items: list[Any] = field(default_factory=list)
    error: Exception | None = None
    header: Any = None
    footer: Any = None
    id: str = ""
    stats: Statistics = field(default_factory=Statistics)
    seconds: float = 0.0


KINDS = ("sync", "async")


def read(kind: str, url: str, endpoint: str, options: dict[str, Any] | None = None, **arguments: Any) -> Read:
    """A whole stream, read item by item."""
    done = Read()
    began = time.monotonic()
    try:
        if kind == "sync":
            _read(done, url, endpoint, options or {}, arguments)
        else:
            asyncio.run(_aread(done, url, endpoint, options or {}, arguments))
    except Exception as error:
        done.error = error
    done.seconds = time.monotonic() - began
    return done


def call(kind: str, url: str, endpoint: str, options: dict[str, Any] | None = None, **arguments: Any) -> Any:
    """A call; raises what it raises."""
    if kind == "sync":
        with Client(url) as client:
            return client.with_options(**options or {}).call(endpoint, **arguments)
    return asyncio.run(_acall(url, endpoint, options or {}, arguments))


def within(kind: str, url: str, endpoint: str, inside: Callable[[list[Any]], None], **arguments: Any) -> list[Any]:
    """Takes the first item of a stream, calls `inside` and leaves; the item."""
    if kind == "async":
        return asyncio.run(_awithin(url, endpoint, inside, arguments))
    with Client(url) as client, client.stream(endpoint, **arguments) as stream:
        first = [next(stream)]
        inside(first)
    return first


def _read(done: Read, url: str, endpoint: str, options: dict[str, Any], arguments: dict[str, Any]) -> None:
    with Client(url) as client, client.with_options(**options).stream(endpoint, **arguments) as stream:
        done.header, done.id = stream.header, stream.id
        try:
            for item in stream:
                done.items.append(item)
        finally:
            done.footer, done.stats = stream.footer, stream.stats


async def _aread(done: Read, url: str, endpoint: str, options: dict[str, Any], arguments: dict[str, Any]) -> None:
    async with AsyncClient(url) as client, client.with_options(**options).stream(endpoint, **arguments) as stream:
        done.header, done.id = stream.header, stream.id
        try:
            async for item in stream:
                done.items.append(item)
        finally:
            done.footer, done.stats = stream.footer, stream.stats


async def _acall(url: str, endpoint: str, options: dict[str, Any], arguments: dict[str, Any]) -> Any:
    async with AsyncClient(url) as client:
        return await client.with_options(**options).call(endpoint, **arguments)


async def _awithin(
    url: str, endpoint: str, inside: Callable[[list[Any]], None], arguments: dict[str, Any]
) -> list[Any]:
    async with AsyncClient(url) as client, client.stream(endpoint, **arguments) as stream:
        first = [await anext(stream)]
        inside(first)
    return first
