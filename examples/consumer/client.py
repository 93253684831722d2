"""A client from outside, with pydantic, the shared types and their reader: no client library, no server.

headrace dev examples/consumer/streamlet.py
python examples/consumer/client.py http://localhost:8000 "it was a long time ago"

It prints each chunk when it is there. Any other library that hands out the body as it comes does as well as urllib.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from http.client import HTTPResponse
from urllib.request import Request, urlopen

from chunks import STREAM_TYPES, WHOLE_TYPES

from headrace.wire.typed import stream_reader


def post(url: str, text: str) -> HTTPResponse:
    headers = {"content-type": "application/json", "accept": "application/vnd.headrace.frames"}
    response: HTTPResponse = urlopen(Request(url, json.dumps({"text": text}).encode(), headers), timeout=60)
    return response


async def body(url: str, text: str) -> AsyncIterator[bytes]:
    """What the server answers, as it comes."""
    with await asyncio.to_thread(post, url, text) as response:
        while data := await asyncio.to_thread(response.read1):
            yield data


async def main(server: str, text: str) -> None:
    async with stream_reader(STREAM_TYPES, body(f"{server}/items", text)) as reader:
        async for chunk in reader.read_items():
            print(*chunk.words, flush=True)
    async with stream_reader(WHOLE_TYPES, body(f"{server}/whole", text)) as whole:
        start = await whole.read_header()
        print(f"{start.characters} characters", flush=True)
        async for chunk in whole.read_items():
            print(*chunk.words, flush=True)
        totals = await whole.read_footer()
        print(f"{totals.words} words in {totals.chunks} chunks")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
