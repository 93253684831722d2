"""What a generator yields, as records of one encoding, in the order that the table of events allows.

Runs wherever the generator runs: on the event loop, or on the generator's own worker thread. Never on both at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from headrace.errors import Cancelled, InvalidItem
from headrace.wire.encoding import Encoder
from headrace.wire.events import End, Failure, Footer, Header, Item, Order


class Recorder:
    """Encodes, checks the order, and counts. What a record is, the encoder decides.

    Attributes:
        items: how many items were encoded.
        first_item_at: when the first one was, by `clock`; None before.
    """

    __slots__ = ("_clock", "_encoder", "_headers", "_item", "_order", "_stopped", "first_item_at", "items")

    def __init__(self, encoder: Encoder, order: Order, clock: Callable[[], float] = time.monotonic) -> None:
        self._encoder = encoder
        self._item = encoder.item
        self._order = order
        self._clock = clock
        self._headers = 0
        self._stopped = False
        self.items = 0
        self.first_item_at: float | None = None

    def encode_with(self, encoder: Encoder) -> None:
        """Takes another encoder than it was made with; comes before the first value."""
        assert self._order.last is None, "values were recorded"
        self._encoder = encoder
        self._item = encoder.item

    @property
    def in_band(self) -> bool:
        """Whether the encoding tells a failure in its own bytes."""
        return self._encoder.in_band

    @property
    def heartbeat(self) -> bytes:
        """What the encoding sends after a silence; may be empty."""
        return self._encoder.heartbeat

    def record(self, value: Any) -> Any:
        """The record of one yielded value: a `Header`, a `Footer`, or an item.

        Raises:
            InvalidItem: the value does not fit its declared type, or cannot be encoded.
            OutOfOrder, MissingHeader: see `Order.advance`.
            Cancelled: after `stop`.
        """
        kind = value.__class__
        if kind is Header or kind is Footer:
            return self._mark(value)
        if self._order.last is not Item:
            return self._first(value)
        try:
            record = self._item(value)
        except InvalidItem as error:
            raise InvalidItem(f"item {self.items + 1} is {error.message}") from error
        self.items += 1
        return record

    def _first(self, value: Any) -> Any:
        if self._stopped:
            return _refuse(value)
        self._order.advance(Item)
        record = self.record(value)
        self.first_item_at = self._clock()
        return record

    def _mark(self, value: Header[Any] | Footer[Any]) -> Any:
        if self._stopped:
            return _refuse(value)
        self._order.advance(type(value))
        encode = self._encoder.header if isinstance(value, Header) else self._encoder.footer
        try:
            record = encode(value.data)
        except InvalidItem as error:
            raise InvalidItem(f"the {type(value).__name__.lower()} is {error.message}") from error
        if isinstance(value, Header):
            self._headers = 1
        return record

    def stop(self) -> None:
        """From now on every value is refused. So code that goes on after it was cancelled ends at its next `yield`."""
        self._stopped = True
        self._item = _refuse  # in the place of a question per item

    def forget(self, records: int) -> None:
        """Counts only the items among the first `records` records: the rest was made ahead and will not be sent."""
        self.items = min(self.items, max(0, records - self._headers))  # a footer is no item, but it comes last

    def complete(self) -> None:
        """The generator has returned; checks that everything declared came.

        Raises:
            MissingHeader, MissingFooter: see `Order.advance`.
        """
        self._order.advance(End)

    def ending(self, ending: End | Failure) -> Any:
        """The record of the ending; empty where the encoding has none."""
        return self._encoder.end(ending) if isinstance(ending, End) else self._encoder.failure(ending)


def _refuse(value: Any) -> bytes:
    raise Cancelled
