"""One HTTP request, or the handshake of a WebSocket, as much of it as the server needs: no body."""

from __future__ import annotations

import math
import re
import secrets
import weakref
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

from starlette.types import Scope

from headrace.errors import RequestError
from headrace.server.connection import CONNECTION, Connection
from headrace.server.websocket_connection import WEBSOCKET, WebSocketConnection

ACCEPT_CHARACTERS = 2000

_SANE_ID = re.compile(r"[A-Za-z0-9._:@/+=-]{1,128}")


class HttpRequest:
    """Method (`WEBSOCKET` for a handshake), path, query, headers.

    Attributes:
        path: below the place where the application is mounted.
        root_path: that place; empty where it is not mounted.
        headers: names in lower case; repeated ones joined with commas (RFC 9110, section 5.3).
        id: the client's `X-Request-Id` where it is a sane one, else a new one.
        connection: None under a server that is not ours; `websocket` likewise.
        subprotocols: those that a WebSocket's client offers.
    """

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope.get("method", "WEBSOCKET")
        self.root_path: str = scope.get("root_path", "").rstrip("/")
        self.path = _below(self.root_path, scope["path"])
        self.headers = _headers(scope)
        self._query: bytes = scope.get("query_string", b"")
        self._scheme: str = scope.get("scheme", "http")
        self._server: tuple[str, int | None] | None = scope.get("server")
        connection: weakref.ref[Connection] | None = scope.get(CONNECTION)
        self.connection = None if connection is None else connection()
        self.websocket: WebSocketConnection | None = scope.get(WEBSOCKET)
        self.subprotocols: Sequence[str] = scope.get("subprotocols", ())
        given = self.headers.get("x-request-id", "")
        self.id = given if _SANE_ID.fullmatch(given) else secrets.token_hex(8)

    @property
    def query(self) -> list[tuple[str, str]]:
        """The pairs of the query, decoded."""
        return parse_qsl(self._query.decode("latin-1"), keep_blank_values=True)

    @property
    def media_type(self) -> str:
        """The body's content type without parameters, in lower case; empty when none is given."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def has_body(self) -> bool:
        """Whether the head announces a body."""
        return "transfer-encoding" in self.headers or self.content_length > 0

    @property
    def content_length(self) -> int:
        """The declared length of the body in bytes; 0 when none is declared."""
        text = self.headers.get("content-length", "0")
        return int(text) if text.isdecimal() and len(text) < 20 else 0

    @property
    def accept(self) -> str | None:
        """The `Accept` header, or its first ranges: each one is compared with every format."""
        text = self.headers.get("accept")
        if text is None or len(text) <= ACCEPT_CHARACTERS:
            return text
        return text[:ACCEPT_CHARACTERS].rpartition(",")[0]

    @property
    def timeout(self) -> float | None:
        """`Headrace-Timeout` in seconds.

        Raises:
            RequestError: it is not a positive number.
        """
        text = self.headers.get("headrace-timeout")
        if text is None:
            return None
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if not 0 < seconds < math.inf:
            raise RequestError(
                f"Headrace-Timeout: {text[:40]!r} is not a number of seconds above 0; send e.g. 30 or 2.5"
            )
        return seconds

    @property
    def base_url(self) -> str:
        """Where this application is, as a client may type it; never from the client's own `Host`."""
        host, port = self._server or ("localhost", None)
        if port is None:  # a Unix socket
            return f"{self._scheme}://localhost{self.root_path}"
        return f"{self._scheme}://{f'[{host}]' if ':' in host else host}:{port}{self.root_path}"


def _below(root: str, path: str) -> str:
    """The path below the root. ASGI asks for the whole path; servers behind a proxy may see it without the root."""
    if path.startswith(f"{root}/"):
        return path[len(root) :]
    return "/" if path == root else path


def _headers(scope: Scope) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
