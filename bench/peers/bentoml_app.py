"""BentoML: `bentoml serve bench.peers.bentoml_app:Source`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator

import bentoml

from bench.peers import workloads


@bentoml.service(traffic={"timeout": 3600, "max_concurrency": 5000}, workers=1, threads=256, metrics={"enabled": False})
class Source:
    """The workloads."""

    @bentoml.api
    async def plain(self, count: int) -> AsyncGenerator[str, None]:
        """Never suspends."""
        async for item in workloads.plain(count):
            yield f"id: 1\ndata: {item}\n\n"

    @bentoml.api
    async def polite(self, count: int) -> AsyncGenerator[str, None]:
        """Suspends before each item."""
        async for item in workloads.polite(count):
            yield f"id: 1\ndata: {item}\n\n"

    @bentoml.api
    async def paced(self, count: int) -> AsyncGenerator[str, None]:
        """20 items a second."""
        async for item in workloads.paced(count):
            yield f"id: 1\ndata: {item}\n\n"

    @bentoml.api
    async def engine(self, count: int) -> AsyncGenerator[str, None]:
        """From the decode loop."""
        async for item in workloads.ENGINE.stream(count):
            yield f"id: 1\ndata: {item}\n\n"

    @bentoml.api
    async def silent(self, count: int) -> AsyncGenerator[str, None]:
        """Makes nothing."""
        async for item in workloads.silent(count):
            yield item

    @bentoml.api
    def threaded(self, count: int) -> Generator[str, None, None]:
        """An ordinary generator."""
        for item in workloads.threaded(count):
            yield f"id: 1\ndata: {item}\n\n"
