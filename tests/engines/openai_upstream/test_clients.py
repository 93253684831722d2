"""The clients of an upstream: one for each event loop, kept while somebody holds it, and what they raise."""

import asyncio
import sys
from dataclasses import replace
from typing import Any

import pytest
from upstream import DONE, RESET, STALL, Status, error, upstream

from headrace.engines.openai_upstream.clients import Address, Azure, Client, Clients, Rejected
from headrace.engines.refusals import UpstreamFailed
from headrace.errors import DefinitionError, InvalidArguments, SetupError

BODY = {"model": "tiny", "stream": True, "messages": []}
KEYS = ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_BASE_URL", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN")


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*KEYS, "OPENAI_API_VERSION"):
        monkeypatch.delenv(name, raising=False)


def at(url: str | None, **more: Any) -> Address:
    plain = Address(base_url=url, api_key=None, azure=None, headers={}, connect=5.0, gap=5.0)
    return replace(plain, **more)


async def sent(client: Client, path: str = "/chat/completions") -> bytes:
    response = await client.send(path, BODY)
    return b"".join([piece async for piece in response.aiter_bytes()])


async def test_what_is_sent_arrives_and_what_comes_is_not_touched() -> None:
    async with upstream([b"data: 1\n\n", b": note\n", DONE]) as server:
        clients = Clients(at(server.url, api_key="k-4711"))
        assert await sent(clients.take()) == b"data: 1\n\n: note\ndata: [DONE]\n\n"
        await clients.give_back()
    assert server.requests[0].path == "/v1/chat/completions"
    assert server.requests[0].body == BODY
    assert server.requests[0].headers["authorization"] == "Bearer k-4711"
    assert server.requests[0].headers["accept-encoding"] == "identity"
    assert server.requests[0].headers["x-stainless-retry-count"] == "0"


async def test_headers_go_with_every_request() -> None:
    async with upstream() as server:
        clients = Clients(at(server.url, headers={"x-title": "rain"}))
        await sent(clients.take())
        await clients.give_back()
    assert server.requests[0].headers["x-title"] == "rain"


@pytest.mark.parametrize(
    ("azure", "path", "header"),
    [
        (Azure("", "2024-10-21"), "/openai/deployments/tiny/chat/completions", ("api-key", "k-4711")),
        (Azure("", "2024-10-21", "chat"), "/openai/deployments/chat/chat/completions", ("api-key", "k-4711")),
        (
            Azure("", "2024-10-21", token_provider=lambda: "eyJ-token"),
            "/openai/deployments/tiny/chat/completions",
            ("authorization", "Bearer eyJ-token"),
        ),
    ],
    ids=["the model's deployment", "a deployment", "a token"],
)
async def test_azure_is_asked_in_its_own_form(azure: Azure, path: str, header: tuple[str, str]) -> None:
    async with upstream() as server:
        azure = replace(azure, endpoint=server.url.removesuffix("/v1"))
        clients = Clients(at(None, azure=azure, api_key=None if azure.token_provider else "k-4711"))
        await sent(clients.take())
        await clients.give_back()
    request = server.requests[0]
    assert request.path == f"{path}?api-version=2024-10-21"
    assert request.headers[header[0]] == header[1]
    assert "k-4711" not in request.headers.get("authorization", "")


async def test_holders_on_one_event_loop_share_a_client_and_its_connections() -> None:
    async with upstream() as server:
        clients = Clients(at(server.url))
        one, other = clients.take(), clients.take()
        assert one is other
        await sent(one)
        await sent(other)
        await clients.give_back()
        await clients.give_back()
    assert server.connections == 1


async def test_a_client_that_nobody_holds_is_closed_and_the_next_one_is_new() -> None:
    async with upstream() as server:
        clients = Clients(at(server.url))
        first = clients.take()
        await clients.give_back()
        with pytest.raises((RuntimeError, UpstreamFailed), match="closed"):
            await first.send("/chat/completions", BODY)
        assert clients.take() is not first
        await clients.give_back()


async def test_another_event_loop_has_another_client() -> None:
    async with upstream() as server:
        clients = Clients(at(server.url))
        ours = clients.take()

        async def elsewhere() -> tuple[Client, bytes]:
            client = clients.take()
            try:
                return client, await sent(client)
            finally:
                await clients.give_back()

        theirs, received = await asyncio.to_thread(asyncio.run, elsewhere())
        assert theirs is not ours
        assert received.endswith(b"[DONE]\n\n")
        assert await sent(ours) == received
        await clients.give_back()


async def test_an_answer_that_is_an_error_is_rejected_with_its_complaint() -> None:
    script = [Status(400, error("Too hot.", param="temperature", code="bad"), {"retry-after": "7"})]
    async with upstream(script) as server:
        clients = Clients(at(server.url))
        with pytest.raises(Rejected) as rejected:
            await sent(clients.take())
        await clients.give_back()
    complaint = rejected.value.complaint
    assert (complaint.status, complaint.message, complaint.param) == (400, "Too hot.", "temperature")
    assert complaint.retry_after == 7.0
    assert isinstance(rejected.value.error, InvalidArguments)


@pytest.mark.parametrize("status", [408, 429, 500])
async def test_the_package_does_not_ask_again_by_itself(status: int) -> None:
    async with upstream([Status(status, error("Busy."), {"retry-after-ms": "1"})]) as server:
        clients = Clients(at(server.url))
        with pytest.raises(Rejected):
            await sent(clients.take())
        await clients.give_back()
    assert len(server.requests) == 1


async def test_keys_are_in_no_error() -> None:
    said = "Wrong: k-4711-ours, s-4711-of-a-header"
    async with upstream([Status(500, error(said))]) as server:
        clients = Clients(at(server.url, api_key="k-4711-ours", headers={"x-token": "Token s-4711-of-a-header"}))
        with pytest.raises(Rejected) as rejected:
            await sent(clients.take())
        await clients.give_back()
    assert rejected.value.error.message == "Wrong: [hidden], [hidden]"


def test_keys_are_in_no_representation() -> None:
    address = at("http://localhost", api_key="k-4711", headers={"x-token": "k-4711"})
    assert "4711" not in repr(address)


async def test_a_server_that_is_not_there_is_a_failure_that_may_be_tried_again() -> None:
    async with upstream() as server:
        url = server.url
    clients = Clients(at(url))
    with pytest.raises(UpstreamFailed, match="connection to the model's server has failed") as failed:
        await sent(clients.take())
    await clients.give_back()
    assert (failed.value.status, failed.value.retryable) == (502, True)


async def test_a_connection_that_breaks_before_the_answer_is_a_failure() -> None:
    async with upstream([RESET]) as server:
        clients = Clients(at(server.url))
        with pytest.raises(UpstreamFailed, match="connection to the model's server has failed"):
            await sent(clients.take())
        await clients.give_back()


async def test_a_server_that_says_nothing_is_given_up() -> None:
    async with upstream([STALL]) as server:
        clients = Clients(at(server.url, gap=0.05))
        with pytest.raises(UpstreamFailed, match=r"has said nothing for 0\.05 s") as silent:
            await sent(clients.take())
        await clients.give_back()
    assert (silent.value.status, silent.value.retryable) == (504, False)


async def test_an_address_that_is_none_is_a_failure() -> None:
    clients = Clients(at("ftp://localhost/v1"))
    with pytest.raises(UpstreamFailed, match="unsupported protocol"):
        await sent(clients.take())
    await clients.give_back()


async def test_a_server_that_takes_no_connection_in_time_may_be_tried_again() -> None:
    async with upstream() as server:
        clients = Clients(at(server.url, connect=1e-9))
        with pytest.raises(UpstreamFailed, match="could not be connected to in time") as failed:
            await sent(clients.take())
        await clients.give_back()
    assert (failed.value.status, failed.value.retryable) == (504, True)


async def test_without_a_key_openai_is_not_asked() -> None:
    with pytest.raises(SetupError, match="Missing credentials"):
        Clients(at(None)).take()


async def test_without_a_key_azure_is_not_asked() -> None:
    with pytest.raises(SetupError, match="Missing credentials"):
        Clients(at(None, azure=Azure("https://rain.openai.azure.com", "2024-10-21"))).take()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (at("http://[::1"), "Invalid"),
        (at(None, api_key="k", azure=Azure("https://rain.openai.azure.com")), "api_version"),
    ],
    ids=["no URL", "no version of Azure's API"],
)
async def test_an_address_that_is_not_whole_is_not_asked(address: Address, said: str) -> None:
    with pytest.raises(SetupError, match=said):
        Clients(address).take()


async def test_a_key_that_no_header_can_have_is_not_told() -> None:
    async with upstream() as server:
        clients = Clients(at(server.url, api_key="k-4711-ours\n"))
        with pytest.raises(UpstreamFailed) as failed:
            await sent(clients.take())
        await clients.give_back()
    assert "k-4711" not in failed.value.message


async def test_a_server_of_ones_own_needs_no_key() -> None:
    async with upstream() as server:
        clients = Clients(at(server.url))
        await sent(clients.take())
        await clients.give_back()
    assert server.requests[0].headers["authorization"] == "Bearer none"


async def test_neither_does_one_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    async with upstream() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        clients = Clients(at(None))
        await sent(clients.take())
        await clients.give_back()
    assert server.requests[0].headers["authorization"] == "Bearer none"


async def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(DefinitionError, match=r'HR22 .*\n  fix: .* -m pip install "headrace\[openai\]"'):
        Clients(at("http://localhost/v1")).take()


async def test_embeddings_are_made() -> None:
    vectors = {"object": "list", "model": "tiny", "usage": {"prompt_tokens": 3, "total_tokens": 3}}
    vectors["data"] = [{"object": "embedding", "index": 0, "embedding": [0.5, -1.0]}]
    async with upstream([Status(200, vectors)]) as server:
        clients = Clients(at(server.url))
        made = await clients.take().embed("tiny", ["rain"])
        await clients.give_back()
    assert made.data[0].embedding == [0.5, -1.0]
    assert server.requests[0].path == "/v1/embeddings"
    assert server.requests[0].body["input"] == ["rain"]
