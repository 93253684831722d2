"""Who may call this server: holders of an API key, and the web pages of allowed origins."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from headrace.errors import Unauthorized
from headrace.server.request import HttpRequest


class Keys:
    """The keys that open the server; none at all leaves it open.

    Keys are compared as hashes, in constant time, and always all of them, so that the time taken tells nothing.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._hashes = [_hash(key) for key in keys]

    def check(self, request: HttpRequest) -> None:
        """Looks for a key in `Authorization: Bearer KEY` or `X-API-Key: KEY`.

        Raises:
            Unauthorized: there is none, or it is not one of ours.
        """
        if not self._hashes:
            return
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        given = credentials.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
        hashed = _hash(given)
        if not sum(hmac.compare_digest(hashed, known) for known in self._hashes):
            raise Unauthorized(
                "this server asks for an API key: send Authorization: Bearer KEY or X-API-Key: KEY"
                if not given
                else "the API key is not one of this server's"
            )


def with_cors(application: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """The application, answering the pages of these origins (Fetch standard, section 3.2); without any, as it is."""
    if not origins:
        return application
    return CORSMiddleware(
        application,
        allow_origins=origins,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["*"],
        expose_headers=["Headrace-Stream-Id", "X-Request-Id", "Server-Timing", "Retry-After"],
    )


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
