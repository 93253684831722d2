"""Ray Serve: `python -m bench.peers.ray_app PORT`; one deployment behind its proxy, on one node."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator

import ray
from fastapi import FastAPI
from ray import serve
from starlette.responses import StreamingResponse

from bench.peers import workloads

app = FastAPI()


async def events(items: AsyncIterator[str]) -> AsyncIterator[str]:
    """Each item as an event."""
    async for item in items:
        yield f"id: 1\ndata: {item}\n\n"


@serve.deployment(max_ongoing_requests=5000)
@serve.ingress(app)
class Source:
    """The workloads."""

    @app.get("/{name}")
    async def stream(self, name: str, count: int) -> StreamingResponse:
        """One of them."""
        return StreamingResponse(events(workloads.ASYNC[name](count)), media_type="text/event-stream")


if __name__ == "__main__":
    ray.init(
        num_cpus=2, include_dashboard=False, configure_logging=False, runtime_env={"env_vars": {"PYTHONPATH": "."}}
    )
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Source.bind())
    while True:
        time.sleep(3600)
