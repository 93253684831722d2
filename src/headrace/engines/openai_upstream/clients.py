"""The clients of an upstream: one for each event loop that uses it, kept as long as somebody there needs it.

This file alone knows the `openai` package: it makes requests with it, and what it raises is translated here.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import anyio

from headrace.engines.openai_upstream.failures import Complaint, Redact, final, redaction, told_by_status
from headrace.engines.refusals import UpstreamFailed
from headrace.errors import DefinitionError, Mistake, SetupError, StreamError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_SECRET = re.compile("auth|key|token|secret|cookie", re.IGNORECASE)  # names of headers

CLOSES_WITHIN = 1.0
"""Seconds that an upstream's connections have to close; then they are left behind."""

NO_KEY = "none"
"""What is sent as the key to a server of which none is known: those that need none take any."""


@dataclass(frozen=True, slots=True)
class Azure:
    """Where a deployment on Azure is.

    Attributes:
        endpoint: `https://NAME.openai.azure.com`.
        api_version: of the API, `2024-10-21` for instance; None: that of `OPENAI_API_VERSION`.
        deployment: its name; None: that of the model.
        token_provider: gives a token of Microsoft Entra, in place of a key.
    """

    endpoint: str
    api_version: str | None = None
    deployment: str | None = None
    token_provider: Callable[[], str | Awaitable[str]] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Address:
    """Where an upstream is, who asks, and how long each wait may take. Times are in seconds.

    Attributes:
        base_url: up to `/v1`; None: `OPENAI_BASE_URL`, or OpenAI's own.
        api_key: None: `OPENAI_API_KEY`, or `AZURE_OPENAI_API_KEY`.
        headers: sent with every request.
        connect: to connect, and to send the request.
        gap: until the answer begins, and between two pieces of it.
    """

    base_url: str | None
    api_key: str | None = field(repr=False)
    azure: Azure | None
    headers: Mapping[str, str] = field(repr=False)
    connect: float
    gap: float


class Rejected(Exception):
    """An upstream's answer that is an error."""

    def __init__(self, complaint: Complaint, error: StreamError) -> None:
        super().__init__(complaint)
        self.complaint = complaint
        self.error = error


class Response(Protocol):
    """An answer whose body is still to be read: what the versions of the HTTP library have in common."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By names in any case."""
        ...

    def aiter_bytes(self) -> AsyncGenerator[bytes, None]:
        """The body, as it comes."""
        ...

    async def aclose(self) -> None:
        """Closes it."""
        ...


class Client:
    """The client of one event loop.

    Raises:
        DefinitionError: the `openai` package is missing (HR22).
        SetupError: it does not know where to ask, or as whom.
    """

    def __init__(self, address: Address) -> None:
        self._api, self._network = _client(address)
        self._gap = address.gap
        self._secrets = [value.rpartition(" ")[2] for name, value in address.headers.items() if _SECRET.search(name)]

    @property
    def redact(self) -> Redact:
        """What takes secrets out of a text."""
        return redaction((self._api.api_key, *self._secrets))

    async def send(self, path: str, body: Mapping[str, Any]) -> Response:
        """The answer, whose body is still to be read, and closed.

        Raises:
            Rejected: it is an error.
            UpstreamFailed: there is none.
        """
        from openai import AsyncStream

        with self.translated():
            response: Response = await self._api.post(
                path,
                cast_to=self._network.Response,
                body=dict(body),
                stream=True,
                stream_cls=AsyncStream[object],
            )
            return response

    async def embed(self, model: str, texts: list[str]) -> Any:
        """The vectors of some texts, as the package gives them. Raises as `send` does."""
        with self.translated():
            return await self._api.embeddings.create(model=model, input=texts)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """What the package and its HTTP client raise inside the block becomes ours."""
        from openai import APIConnectionError, APIStatusError, APITimeoutError, OpenAIError

        try:
            yield
        except APIStatusError as error:
            complaint = told_by_status(error.status_code, error.body, error.response.headers)
            raise Rejected(complaint, complaint.error(self.redact)) from error
        except (APITimeoutError, self._network.TimeoutException) as error:
            raise self._timeout(error) from error
        except (APIConnectionError, self._network.RequestError, ssl.SSLError, anyio.EndOfStream) as error:
            reason = error.__cause__ or error
            why = f"{type(reason).__name__}: {reason}".rstrip(": ")
            raise UpstreamFailed(self.redact(f"the connection to the model's server has failed ({why})")) from error
        except (OpenAIError, self._network.InvalidURL, UnicodeError) as error:
            raise final(UpstreamFailed(self.redact(f"the model's server cannot be asked: {error}"))) from error

    async def close(self) -> None:
        """Closes its connections."""
        await self._api.close()

    def _timeout(self, error: BaseException) -> UpstreamFailed:
        if isinstance(error.__cause__ or error, (self._network.ConnectTimeout, self._network.PoolTimeout)):
            return UpstreamFailed("the model's server could not be connected to in time", 504)
        # not to be tried again: what was silent for so long costs as much once more, and may well work on it still
        return final(UpstreamFailed(f"the model's server has said nothing for {self._gap:g} s", 504))


class Clients:
    """Clients of one upstream, by event loop. One that nobody holds any more is closed."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._held: dict[asyncio.AbstractEventLoop, tuple[Client, int]] = {}

    def take(self) -> Client:
        """The client of the running event loop; each `take` needs its `give_back` there. Raises as `Client` does."""
        loop = asyncio.get_running_loop()
        with self._lock:
            client, holders = self._held.get(loop) or (Client(self._address), 0)
            self._held[loop] = client, holders + 1
            return client

    async def give_back(self) -> None:
        """One holder less on the running event loop."""
        loop = asyncio.get_running_loop()
        with self._lock:
            client, holders = self._held.pop(loop)
            if holders > 1:
                self._held[loop] = client, holders - 1
                return
        with anyio.move_on_after(CLOSES_WITHIN, shield=True):
            await client.close()


def _client(address: Address) -> tuple[AsyncOpenAI, Any]:
    """A client of the package, and the HTTP library that it stands on: httpx2 since its version 3, httpx before."""
    try:
        import openai
    except ImportError as error:
        what = 'OpenAIEngine needs "openai", which is not installed'
        fix = f'{sys.executable} -m pip install "headrace[openai]"'
        raise DefinitionError([Mistake("HR22", what, fix=fix)]) from error
    network = import_module("httpx2" if int(openai.__version__.partition(".")[0]) >= 3 else "httpx")
    options: dict[str, Any] = {
        "timeout": openai.Timeout(address.connect, read=address.gap),
        "max_retries": 0,  # ours know the deadline, and connections that die before the first piece of an answer
        "default_headers": {"accept-encoding": "identity", **address.headers},  # what compresses also gathers
    }
    try:
        if (azure := address.azure) is not None:
            client: AsyncOpenAI = openai.AsyncAzureOpenAI(
                azure_endpoint=azure.endpoint,
                azure_deployment=azure.deployment,
                api_version=azure.api_version,
                api_key=address.api_key,
                azure_ad_token_provider=azure.token_provider,
                **options,
            )
        else:
            client = _plain(openai, address, options)
    except (openai.OpenAIError, network.InvalidURL, ValueError) as error:
        raise SetupError(f"the model's server cannot be asked: {error}") from error
    return client, network


def _plain(openai: Any, address: Address, options: dict[str, Any]) -> AsyncOpenAI:
    client: AsyncOpenAI
    try:
        client = openai.AsyncOpenAI(base_url=address.base_url, api_key=address.api_key, **options)
    except openai.OpenAIError:
        if address.base_url is None and not os.environ.get("OPENAI_BASE_URL"):
            raise  # OpenAI itself asks for a key; a server of one's own may ask for none
        client = openai.AsyncOpenAI(base_url=address.base_url, api_key=NO_KEY, **options)
    return client
