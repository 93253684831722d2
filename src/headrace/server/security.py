"""Who may call this server: under which names, with which key, and from which web pages.

A server on 127.0.0.1 is not private: every page that its user opens can send requests to it. Three rules keep pages
out. A page cannot choose the `Host` header, so a name that is not ours means that somebody's domain was pointed at us
(DNS rebinding). A page of another origin may send only what the Fetch standard calls simple without asking first, so
such a request is refused, and the question before any other gets no permission. And nothing is permitted to the pages
of other origins unless `--cors-origin` names them.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from headrace.config import ConfigError, Settings
from headrace.errors import ForbiddenHost, ForbiddenOrigin, Mistake, Unauthorized, UnsupportedMediaType
from headrace.server.request import HttpRequest

SIMPLE = ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data")
"""The content types that a page sends to any origin without asking (Fetch standard, section 2.2.2); "" is none."""

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?", re.IGNORECASE)


class Hosts:
    """The names under which this server answers.

    Args:
        host: where it listens.
        allowed: names, each with its port where it matters; `*` is every name. None given: loopback names for a server
            on a loopback address, every name for any other.

    Raises:
        ConfigError: one of them is no name.
    """

    def __init__(self, host: str, allowed: Sequence[str]) -> None:
        self._loopback = not allowed and is_loopback(host)
        self._any = "*" in allowed or not (allowed or self._loopback)
        self._allowed = {_entry(name) for name in allowed if name != "*"}

    def check(self, request: HttpRequest) -> None:
        """Compares the name in the `Host` header. A request without one passes: no browser sends such a request.

        Raises:
            ForbiddenHost: it is not one of ours.
        """
        given = request.headers.get("host")
        if self._any or not given:
            return
        name, port = _split(given)
        if not (is_loopback(name) if self._loopback else {(name, ""), (name, port)} & self._allowed):
            fit = name if 0 < len(name) <= 100 else "NAME"
            raise ForbiddenHost(
                f"this server does not answer as {given[:100]!r}; start it with --allowed-host {fit} to allow that name"
                f", or mount it with Settings(allowed_host=({fit!r},))"
            )


class Keys:
    """The keys that open the server; none at all leaves it open.

    Keys are compared as hashes, in constant time, and always all of them, so that the time taken tells nothing.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._hashes = [_hash(key) for key in keys]

    def check(self, request: HttpRequest) -> str:
        """Looks for a key in `Authorization: Bearer KEY`, else in `X-API-Key` or `Api-Key`, where clients of other APIs
        send it. Returns its hash; "" on an open server.

        Raises:
            Unauthorized: there is none, or it is not one of ours.
        """
        if not self._hashes:
            return ""
        headers = request.headers
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        bare = headers.get("x-api-key") or headers.get("api-key", "")
        given = credentials.strip() if scheme.lower() == "bearer" else bare
        hashed = _hash(given)
        if not sum(hmac.compare_digest(hashed, known) for known in self._hashes):
            raise Unauthorized(
                "this server asks for an API key: send Authorization: Bearer KEY, X-API-Key: KEY or Api-Key: KEY"
                if not given
                else "the API key is not one of this server's"
            )
        return hashed.hex()


class Origins:
    """The web pages that may call this server: its own, and those of the origins that were named; `*` is all."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(origins)

    def check(self, request: HttpRequest) -> None:
        """Refuses what a page of another origin can send without asking first.

        Raises:
            UnsupportedMediaType: a request of such a page, of a content type that says nothing about its sender.
        """
        if request.method != "POST" or request.media_type not in SIMPLE or self._may(request):
            return  # of the methods that need no permission, GET and HEAD change nothing
        origin = request.headers["origin"]
        sent = request.media_type or "no content type"
        raise UnsupportedMediaType(
            f"a page of {origin[:80]!r} sends {sent}, which any page can send to any server; send application/json or "
            "application/octet-stream, from a page of this server or of an origin named with --cors-origin"
        )

    def check_handshake(self, request: HttpRequest) -> None:
        """Refuses the WebSockets of other pages: no browser asks before it opens one (RFC 6455, section 10.2).

        Raises:
            ForbiddenOrigin: the page is of another origin.
        """
        if not self._may(request):
            origin = request.headers["origin"][:80]
            raise ForbiddenOrigin(f"a page of {origin!r} may not open a WebSocket here; allow it with --cors-origin")

    def _may(self, request: HttpRequest) -> bool:
        """Whether the request is of no page, or of one that may call this server."""
        origin = request.headers.get("origin")
        if origin is None or {"*", origin} & self._origins:
            return True
        host = origin.partition("://")[2].lower()
        return bool(host) and host == request.headers.get("host", "").lower()


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


def is_loopback(name: str) -> bool:
    """Whether only this machine can be meant: `localhost` and names below it (RFC 6761, section 6.3), or an address."""
    name = name.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    mapped = address.ipv4_mapped if address.version == 6 else None
    return (mapped or address).is_loopback


def public_without_key(settings: Settings) -> Mistake | None:
    """What is wrong with settings that open a server to others than this machine and ask for no key."""
    if settings.api_key or is_loopback(settings.host):
        return None
    return Mistake(
        "HR21",
        f"whoever can reach {settings.host} can call this server",
        why="It listens beyond this machine and asks for no API key.",
        fix="HEADRACE_API_KEY=KEY headrace run ..., or --host 127.0.0.1",
    )


def _entry(allowed: str) -> tuple[str, str]:
    bare_address = allowed.count(":") > 1 and "[" not in allowed
    if not (entry := _split(f"[{allowed}]" if bare_address else allowed))[0]:
        accepted = "a host name, with its port where it matters, or `*` alone"
        message = f"the setting allowed-host is {allowed!r}; it takes {accepted}"
        raise ConfigError(message, setting="allowed_host", value=allowed, accepted=accepted)
    return entry


def _split(host: str) -> tuple[str, str]:
    """The name, in lower case and without a last dot, and the port; ("", "") where it is no host at all."""
    found = _HOST.fullmatch(host)
    return (found[1].lower().removesuffix("."), found[2] or "") if found else ("", "")


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
