"""Typed streams and Truss Chains (truss_chains.streaming) read each other: their module, in a process of its own."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from served import REPOSITORY, Served

from headrace.errors import StreamError
from headrace.wire.typed import StreamTypes, stream_reader, stream_types, stream_writer

VERSION = "0.18.36"
PEER = REPOSITORY / "tests/support/truss_peer.py"
FRAMES = "application/vnd.headrace.frames"


class Start(BaseModel):
    rate: int


class Token(BaseModel):
    text: str
    number: int


class Usage(BaseModel):
    done: str


@dataclass(frozen=True)
class Truss:
    """Its interpreter, and the file of its module."""

    python: Path
    module: Path

    def run(self, action: str, header: bool, footer: bool, given: bytes) -> bytes:
        """What their reader or writer makes of what it is given."""
        words = ["yes" if each else "no" for each in (header, footer)]
        command = [str(self.python), str(PEER), str(self.module), action, *words]
        done = subprocess.run(command, input=given, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout


@pytest.fixture(scope="session")
def truss(request: pytest.FixtureRequest) -> Truss:
    """Installed once per version and interpreter, without the rest of what its package asks for."""
    config: pytest.Config = request.config
    assert config.cache is not None
    folder = config.cache.mkdir(f"truss-{VERSION}-{sys.version_info.major}.{sys.version_info.minor}")
    python, ready = folder / "bin/python", folder / "ready"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True, timeout=120)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "pydantic>=2.12,<3"], check=True, timeout=300)
        subprocess.run([*install, "--no-deps", f"truss=={VERSION}"], check=True, timeout=300)
        ready.touch()
    [module] = folder.glob("lib/python*/site-packages/truss_chains/streaming.py")
    return Truss(python, module)


def types_of(header: bool, footer: bool) -> StreamTypes:
    return stream_types(Token, header_type=Start if header else None, footer_type=Usage if footer else None)


def expected(texts: list[str], header: bool, footer: bool) -> dict[str, Any]:
    return {
        "header": {"rate": 16000} if header else None,
        "items": [{"text": text, "number": number} for number, text in enumerate(texts)],
        "footer": {"done": "yes"} if footer else None,
    }


PARTS = pytest.mark.parametrize(
    ("header", "footer"),
    [(True, True), (True, False), (False, True), (False, False)],
    ids=["both", "header", "footer", "neither"],
)
TEXTS = pytest.mark.parametrize(
    "texts",
    [
        pytest.param([], id="nothing"),
        pytest.param(["a"], id="one"),
        pytest.param(["", "é€🌊", "\u2028\r\n\0", '"\\'], id="unicode"),
        pytest.param([f"t{number}" for number in range(1000)], id="thousand"),
    ],
)


@PARTS
@TEXTS
def test_their_reader_reads_our_writer(truss: Truss, texts: list[str], header: bool, footer: bool) -> None:
    writer = stream_writer(types_of(header, footer))
    data = writer.yield_header(Start(rate=16000)) if header else b""
    data += b"".join(writer.yield_item(Token(text=text, number=number)) for number, text in enumerate(texts))
    data += writer.yield_footer(Usage(done="yes")) if footer else b""
    data += writer.end()
    assert json.loads(truss.run("read", header, footer, data)) == expected(texts, header, footer)


@PARTS
@TEXTS
async def test_our_reader_reads_their_writer(truss: Truss, texts: list[str], header: bool, footer: bool) -> None:
    data = truss.run("write", header, footer, json.dumps(texts).encode())

    async def source() -> AsyncIterator[bytes]:
        for place in range(0, len(data), 1000):
            yield data[place : place + 1000]

    async with stream_reader(types_of(header, footer), source(), needs_end=False) as reader:
        read: dict[str, Any] = {"header": (await reader.read_header()).model_dump() if header else None}
        read["items"] = [token.model_dump() async for token in reader.read_items()]
        read["footer"] = (await reader.read_footer()).model_dump() if footer else None
    assert read == expected(texts, header, footer)


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_their_reader_reads_a_typed_stream_of_a_server(truss: Truss, trials: Served, count: int) -> None:
    status, headers, body = trials.post("/typed", {"to": count}, accept=FRAMES)
    assert (status, headers["content-type"]) == (200, FRAMES)
    read = json.loads(truss.run("read", True, True, body))
    assert read == expected([f"t{number}" for number in range(count)], True, True)


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_their_reader_reads_a_stream_of_a_server_without_header_and_footer(
    truss: Truss, trials: Served, count: int
) -> None:
    _, _, body = trials.post("/tokens", {"to": count}, accept=FRAMES)
    read = json.loads(truss.run("read", False, False, body))
    assert read == expected([f"t{number}" for number in range(count)], False, False)


async def test_our_reader_reads_a_typed_stream_of_a_server(trials: Served) -> None:
    _, _, body = trials.post("/typed", {"to": 3}, accept=FRAMES)

    async def source() -> AsyncIterator[bytes]:
        yield body

    async with stream_reader(types_of(True, True), source()) as reader:
        assert await reader.read_header() == Start(rate=16000)
        assert [token.number async for token in reader.read_items()] == [0, 1, 2]
        assert await reader.read_footer() == Usage(done="yes")


async def test_our_reader_raises_what_a_server_failed_with(trials: Served) -> None:
    _, _, body = trials.post("/fails", {"after": 2, "how": "busy"}, accept=FRAMES)

    async def source() -> AsyncIterator[bytes]:
        yield body

    items = stream_reader(stream_types(str), source()).read_items()
    assert [await anext(items), await anext(items)] == ["0 ", "1 "]
    with pytest.raises(StreamError, match="all slots are taken") as caught:
        await anext(items)
    assert caught.value.code == "model_busy"
