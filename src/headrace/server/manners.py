"""How an HTTP request is read, and how it is answered: in headrace's own formats, or in the dialect of its endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from headrace.config import Settings
from headrace.server.body import read_arguments, read_dialect
from headrace.server.inbox import Inbox
from headrace.server.request import HttpRequest
from headrace.server.routes import Route
from headrace.wire.checked import checked
from headrace.wire.dialect import UNDECIDED, Answer, Dialect
from headrace.wire.formats import choose


class Manner(Protocol):
    """One request's.

    Attributes:
        decided: how it is answered, as far as the head alone says; `UNDECIDED` where the arguments will.
    """

    decided: Answer

    async def read(self, inbox: Inbox) -> tuple[Mapping[str, Any], Answer]:
        """The method's arguments, and how they are answered.

        Raises:
            RequestError: they do not fit.
            ClientGone: the client left while it was sending.
        """
        ...


class OwnFormats:
    """The client's `Accept` has chosen the format before anything is read."""

    def __init__(self, request: HttpRequest, route: Route, settings: Settings) -> None:
        """Raises NotAcceptable."""
        endpoint = route.endpoint
        choice = choose(request.accept, endpoint.types, unary=not endpoint.streams, media_type=endpoint.media_type)
        self.decided = choice.answer()
        self._request = request
        self._route = route
        self._settings = settings

    async def read(self, inbox: Inbox) -> tuple[Mapping[str, Any], Answer]:
        """See `Manner.read`."""
        arguments = await read_arguments(self._request, self._route, inbox, self._settings.max_body)
        return arguments, self.decided


class OfDialect:
    """What is asked for says how it is answered."""

    decided = UNDECIDED

    def __init__(self, dialect: Dialect, request: HttpRequest, route: Route, settings: Settings) -> None:
        self._dialect = dialect
        self._request = request
        self._route = route
        self._settings = settings

    async def read(self, inbox: Inbox) -> tuple[Mapping[str, Any], Answer]:
        """See `Manner.read`."""
        limit = self._settings.max_body
        arguments = await read_dialect(self._request, self._route, self._dialect, inbox, limit)
        answer = self._dialect.answer(arguments)
        return arguments, checked(answer, self._route.endpoint.types, self._settings.max_answer)


def manner(request: HttpRequest, route: Route, settings: Settings) -> Manner:
    """The one that the endpoint has declared; raises NotAcceptable."""
    dialect = route.endpoint.dialect
    return OwnFormats(request, route, settings) if dialect is None else OfDialect(dialect, request, route, settings)
