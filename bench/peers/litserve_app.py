"""LitServe: `python -m bench.peers.litserve_app PORT`."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import Any

import litserve

from bench.peers import workloads


class Source(litserve.LitAPI):
    """The workloads; one route, so the body says which."""

    def setup(self, device: str) -> None:
        """Loads nothing."""

    async def decode_request(self, request):  # type: ignore[no-untyped-def]  # LitServe reads annotations as types
        """As it came."""
        return request

    async def predict(self, request: dict[str, Any]) -> AsyncIterator[str]:
        """The items."""
        async for item in workloads.ASYNC[request["name"]](request["count"]):
            yield item

    async def encode_response(self, output: AsyncIterator[str]) -> AsyncIterator[str]:
        """Each as an event."""
        async for item in output:
            yield f"id: 1\ndata: {item}\n\n"


if __name__ == "__main__":
    server = litserve.LitServer(Source(enable_async=True, stream=True), accelerator="cpu", timeout=3600)
    server.run(port=int(sys.argv[1]), host="127.0.0.1", generate_client_file=False, log_level="warning")
