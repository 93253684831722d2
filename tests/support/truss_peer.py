"""The other side of the interoperability tests: the reader and the writer of Truss Chains.

    python truss_peer.py PATH-OF-STREAMING.PY write HEADER FOOTER < texts.json > frames
    python truss_peer.py PATH-OF-STREAMING.PY read HEADER FOOTER < frames > result.json

HEADER and FOOTER are `yes` or `no`. The module is loaded by its path: it needs pydantic alone, its package far more.
"""

import asyncio
import importlib.util
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import pydantic


class Start(pydantic.BaseModel):
    rate: int


class Token(pydantic.BaseModel):
    text: str
    number: int


class Usage(pydantic.BaseModel):
    done: str


async def source(data: bytes) -> AsyncIterator[bytes]:
    for place in range(0, len(data), 1000):
        yield data[place : place + 1000]


async def read(streaming: Any, types: Any, header: bool, footer: bool) -> None:
    reader = streaming.stream_reader(types, source(sys.stdin.buffer.read()))
    result: dict[str, Any] = {"header": (await reader.read_header()).model_dump() if header else None}
    result["items"] = [token.model_dump() async for token in reader.read_items()]
    result["footer"] = (await reader.read_footer()).model_dump() if footer else None
    json.dump(result, sys.stdout)


def write(streaming: Any, types: Any, header: bool, footer: bool) -> None:
    writer, texts = streaming.stream_writer(types), json.load(sys.stdin)
    frames = [writer.yield_header(Start(rate=16000))] if header else []
    frames += [writer.yield_item(Token(text=text, number=number)) for number, text in enumerate(texts)]
    frames += [writer.yield_footer(Usage(done="yes"))] if footer else []
    sys.stdout.buffer.write(b"".join(frames))


def main(path: str, action: str, header: bool, footer: bool) -> None:
    """Does what the command line says."""
    spec = importlib.util.spec_from_file_location("streaming", path)
    assert spec is not None
    assert spec.loader is not None
    streaming = importlib.util.module_from_spec(spec)
    sys.modules["streaming"] = streaming
    spec.loader.exec_module(streaming)
    declared = {"header_type": Start} if header else {}
    types = streaming.stream_types(Token, **declared, **({"footer_type": Usage} if footer else {}))
    if action == "read":
        asyncio.run(read(streaming, types, header, footer))
    else:
        write(streaming, types, header, footer)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3] == "yes", sys.argv[4] == "yes")
