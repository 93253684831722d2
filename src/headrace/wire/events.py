"""The events of a stream, and the table of what may follow what.

    Header?  Item*  Footer?  (End | Failure)

One event model stands behind every encoding (`docs/wire-format.md`). The table is data, so that the writing end and the
reading end check the same rule: a stream ends exactly once, complete (`End`) or visibly failed (`Failure`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from headrace.errors import MissingFooter, MissingHeader, OutOfOrder

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Header(Generic[T]):
    """Yielded once, before the first item, by an endpoint that declares a header type."""

    data: T


@dataclass(frozen=True, slots=True)
class Item(Generic[T]):
    """One item. Endpoints yield the bare value; readers and encoders see this."""

    data: T


@dataclass(frozen=True, slots=True)
class Footer(Generic[T]):
    """Yielded once, after the last item, by an endpoint that declares a footer type."""

    data: T


@dataclass(frozen=True, slots=True)
class End:
    """The stream is complete. Times are in milliseconds since the request was accepted; None where nobody measured."""

    items: int
    first_item_ms: float | None = None
    duration_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """The stream is not complete; `items_sent` items came before it, and `retryable` says whether a retry helps."""

    code: str
    message: str
    retryable: bool = False
    stream_id: str = ""
    items_sent: int = 0


@dataclass(frozen=True, slots=True)
class Event(Generic[T]):
    """An item with an SSE event name or id of its own, for services that make their own SSE schema.

    `data` that is a `str` is sent as it is, one `data:` field per line; anything else as JSON. Other formats carry
    `data` alone. CR, LF or NUL in `name` or `id`, and the names that mean something here (`RESERVED_NAMES`), are an
    invalid item.
    """

    data: T
    name: str | None = None
    id: str | None = None


RESERVED_NAMES = frozenset({"header", "footer", "end", "error"})

StreamEvent: TypeAlias = "Header[Any] | Item[Any] | Footer[Any] | End | Failure"
Kind: TypeAlias = "type[Header[Any]] | type[Item[Any]] | type[Footer[Any]] | type[End] | type[Failure]"

AFTER: dict[Kind | None, frozenset[Kind]] = {
    None: frozenset({Header, Item, Footer, End, Failure}),
    Header: frozenset({Item, Footer, End, Failure}),
    Item: frozenset({Item, Footer, End, Failure}),
    Footer: frozenset({End, Failure}),
    End: frozenset(),
    Failure: frozenset(),
}


class Order:
    """Checks one stream against the table. `header` and `footer` say whether the stream declares one.

    A declared header or footer must come, unless it is `optional`; an undeclared one must not.
    """

    __slots__ = ("_footer", "_header", "_optional", "last")

    def __init__(self, *, header: bool = False, footer: bool = False, optional: bool = False) -> None:
        self._header = header
        self._footer = footer
        self._optional = optional
        self.last: Kind | None = None

    def advance(self, kind: Kind) -> None:
        """Takes the next event, or raises and stays where it is.

        Raises:
            MissingHeader: the first event of a stream that declares a header is another one.
            MissingFooter: the end of a stream that declares a footer comes without one.
            OutOfOrder: any other event that the table does not allow here.
        """
        if kind not in AFTER[self.last]:
            raise OutOfOrder(
                f"{_name(kind)} after {_name(self.last)}: the order is Header, Items, Footer, then one ending"
            )
        if kind is Header and not self._header:
            raise OutOfOrder("a Header in a stream that declares none")
        if kind is Footer and not self._footer:
            raise OutOfOrder("a Footer in a stream that declares none")
        must = not self._optional
        if must and self._header and self.last is None and kind not in (Header, Failure):
            raise MissingHeader(f"the stream declares a header and its first event is {_name(kind)}")
        if must and self._footer and kind is End and self.last is not Footer:
            raise MissingFooter("the stream declares a footer and ended without one")
        self.last = kind


def _name(kind: Kind | None) -> str:
    return "nothing" if kind is None else f"{kind.__name__}"
