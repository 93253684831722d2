"""What a client is beside its calls: options, on connections that all its configurations share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from headrace.client.protocol import Caller
from headrace.client.timeouts import Timeout
from headrace.client.typed import RemoteMethod, TypedClient
from headrace.wire.stream_types import StreamTypes

S = TypeVar("S")


class Configured(ABC):
    """The same for both clients."""

    _caller: Caller
    _connections: Any
    _owner: bool  # of the connections

    def with_options(
        self,
        *,
        timeout: Timeout | None = None,
        retries: int | None = None,
        headers: Mapping[str, str] | None = None,
        types: StreamTypes | None = None,
        format: str | None = None,
        method: str | None = None,
    ) -> Self:
        """A client with other options on the connections of this one. Closing it does nothing.

        Args:
            timeout: all four limits at once.
            retries: how often a request is sent again, at most.
            headers: added to those there are.
            types: what the items are; of a call, what its value is. Without, any JSON.
            format: how streams are sent: frames, ndjson, sse, text or bytes.
            method: of the request; GET for endpoints that take no other.

        Raises:
            ValueError: there is no such format or method, or a header that HTTP cannot carry.
        """
        changes = {"timeout": timeout, "retries": retries, "types": types, "format": format, "method": method}
        other = object.__new__(type(self))
        other._caller = self._caller.changed(headers, **changes)
        other._connections = self._connections
        other._owner = False
        return other

    def typed(self, service: type[S]) -> S:
        """The service's own methods over this client (see `headrace.client.typed`).

        Raises:
            TypeError: the class has no endpoints, or one whose types cannot be read.
        """

        def invoke(method: RemoteMethod, arguments: dict[str, Any]) -> Any:
            return self.with_options(types=method.types, method=method.method)._invoke(method, arguments)

        return cast(S, TypedClient(service, invoke))

    @abstractmethod
    def _invoke(self, method: RemoteMethod, arguments: dict[str, Any]) -> Any:
        """What a method of the service gives; the options are the method's."""
