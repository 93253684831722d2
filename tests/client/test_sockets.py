"""What stands for a socket where there is none."""

import pytest

from headrace.client.arguments import Payload
from headrace.client.request import Request
from headrace.client.sockets import NoSockets, Refused
from headrace.client.steps import Send
from headrace.client.timeouts import Patience, Remaining, Timeout


async def test_a_refusal_is_its_body_and_then_nothing() -> None:
    refused = Refused(b"why")
    await refused.send("anybody?")
    assert [await refused.receive(), await refused.receive()] == [b"why", b""]
    await refused.aclose()


async def test_a_transport_without_websockets_says_what_to_do() -> None:
    request = Request("GET", "http://here/x", {}, Payload("", b"{}", None))
    send = Send(request, {}, Remaining(Patience(Timeout(), lambda: 0.0)), None)
    with pytest.raises(RuntimeError, match=r"carries no WebSockets; give it the server's address, .* or app="):
        await NoSockets().open(send)
    await NoSockets().aclose()
