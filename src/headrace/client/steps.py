"""The words between the protocol, which does no I/O, and the two drivers, which do nothing else.

The protocol is a generator: it yields what it needs and is sent what came of it. A driver that cannot do what it is
asked for raises into the generator: `OutOfTime`, the HTTP library's own error, or the error of the caller's own body
(`SourceFailed`). So async code and threads share everything but the waiting.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from headrace.client.arguments import Upload
from headrace.client.request import Request
from headrace.client.timeouts import Remaining

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Look:
    """Take the first value of a body that is yet to be made; the answer is a list with it, or an empty one."""

    upload: Upload


@dataclass(frozen=True, slots=True)
class Send:
    """Send the request and wait for the head of the response; the answer is a `Head`.

    Attributes:
        headers: of this attempt.
        remaining: the limits of the parts.
        within: the limit of all of it, in seconds.
    """

    request: Request
    headers: Mapping[str, str]
    remaining: Remaining
    within: float | None


@dataclass(frozen=True, slots=True)
class Receive:
    """Read some of the body; the answer is bytes, none at the clean end. `within` so many seconds."""

    within: float | None


@dataclass(frozen=True, slots=True)
class Say:
    """Send one more message of a conversation, and wait until the connection has taken it; `within` so many seconds."""

    message: str | bytes
    within: float | None


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Close:
    """Give the response back; a connection on which something is still to come is closed."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a response.

    Attributes:
        headers: with names in lower case.
        framed: the transport can tell a whole body from one that was cut.
    """

    status: int
    headers: Mapping[str, str]
    framed: bool


class OutOfTime(Exception):
    """What was asked for was not there in time."""


class SourceFailed(Exception):
    """The caller's own body raised `error`. It is wrapped so that nobody takes it for one of the transport."""

    def __init__(self, error: Exception) -> None:
        super().__init__(repr(error))
        self.error = error


Operation: TypeAlias = Look | Send | Receive | Say | Pause | Close
Steps: TypeAlias = Generator[Operation, Any, T]
