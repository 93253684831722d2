"""What uvicorn's own code does with the objects that stand in the place of its own."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.protocols.utils import get_local_addr, get_remote_addr

from headrace.server.stand_ins import Addressed, Bundle, CloseDelimited


class Transport(asyncio.Transport):
    """Keeps what is written, write by write, and when it was closed."""

    def __init__(self, **told: Any) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closing = False
        self._told = told

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._told.get(name, default)

    def write(self, data: Any) -> None:
        assert not self.closing, "written after the end"
        self.writes.append(bytes(data))

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True


def cycle_of(transport: Transport, *, keep_alive: bool = True) -> RequestResponseCycle:
    scope: Any = {"method": "GET", "http_version": "1.1", "path": "/"}
    logger = logging.getLogger("uvicorn.error")
    return RequestResponseCycle(
        scope=scope,
        transport=transport,
        flow=FlowControl(transport),
        logger=logger,
        access_logger=logger,
        access_log=False,
        default_headers=[],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=lambda: None,
    )


HEAD: Any = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
STREAM: Any = {"type": "http.response.start", "status": 200, "headers": []}


def body(data: bytes, *, more: bool = False) -> Any:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def test_a_head_and_a_body_leave_in_one_write() -> None:
    transport = Transport()
    cycle = cycle_of(transport)
    with Bundle(cycle):
        await cycle.send(STREAM)
        await cycle.send(body(b"hi", more=True))
        assert transport.writes == []
    assert transport.writes == [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n"]


async def test_after_the_block_every_write_leaves_at_once() -> None:
    transport = Transport()
    cycle = cycle_of(transport)
    with Bundle(cycle):
        await cycle.send(STREAM)
    await cycle.send(body(b"hi", more=True))
    await cycle.send(body(b""))
    assert transport.writes[1:] == [b"2\r\nhi\r\n", b"0\r\n\r\n"]


async def test_a_block_in_which_nothing_is_written_writes_nothing() -> None:
    transport = Transport()
    with Bundle(cycle_of(transport)):
        pass
    assert transport.writes == []


async def test_a_connection_that_is_closed_with_the_answer_has_it_before() -> None:
    transport = Transport()
    cycle = cycle_of(transport, keep_alive=False)
    with Bundle(cycle):
        await cycle.send(HEAD)
        await cycle.send(body(b"hi"))
    assert transport.writes == [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi"]
    assert transport.closing


async def test_what_was_written_before_a_failure_leaves() -> None:
    transport = Transport()
    cycle = cycle_of(transport)

    async def answer() -> None:
        with Bundle(cycle):
            await cycle.send(HEAD)
            await cycle.send(body(b"far too long"))

    with pytest.raises(RuntimeError, match="longer than Content-Length"):
        await answer()
    assert transport.writes == [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"]
    assert cycle.transport is transport


async def test_a_client_that_is_gone_is_seen_through_the_bundle() -> None:
    transport = Transport()
    cycle = cycle_of(transport)
    with Bundle(cycle):
        assert not cycle.transport.is_closing()
        transport.close()
        assert cycle.transport.is_closing()


@pytest.mark.parametrize(
    ("name", "remote", "local"),
    [
        (("127.0.0.1", 5000), ("127.0.0.1", 5000), ("127.0.0.1", 5000)),
        (("::1", 5000, 0, 0), ("::1", 5000), ("::1", 5000)),
        ("/run/headrace.sock", None, ("/run/headrace.sock", None)),
        (None, None, None),
    ],
)
def test_uvicorn_reads_addresses_without_a_socket(name: Any, remote: Any, local: Any) -> None:
    class Untouched:
        """A socket that nobody may ask."""

    transport = Addressed(Transport(socket=Untouched(), peername=name, sockname=name))
    assert (get_remote_addr(transport), get_local_addr(transport)) == (remote, local)


async def test_a_close_delimited_answer_has_no_chunks() -> None:
    transport = Transport()
    cycle = cycle_of(transport, keep_alive=False)
    CloseDelimited(cycle)
    await cycle.send(STREAM)
    await cycle.send(body(b"h", more=True))
    await cycle.send(body(b"i"))
    assert transport.writes == [b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", b"h", b"i"]
    assert transport.closing
