import pytest

from headrace.errors import MissingFooter, MissingHeader, OutOfOrder
from headrace.wire.events import RESERVED_NAMES, End, Failure, Footer, Header, Item, Kind, Order

LEGAL: list[list[Kind]] = [
    [End],
    [Failure],
    [Item, End],
    [Item, Item, Failure],
]
LEGAL_TYPED: list[list[Kind]] = [
    [Failure],
    [Header, Failure],
    [Header, Footer, End],
    [Header, Item, Item, Footer, End],
    [Header, Item, Failure],
    [Header, Item, Footer, Failure],
]


@pytest.mark.parametrize("kinds", LEGAL)
def test_a_stream_may_be_items_and_one_ending(kinds: list[Kind]) -> None:
    order = Order()
    for kind in kinds:
        order.advance(kind)
    assert order.last is kinds[-1]


@pytest.mark.parametrize("kinds", LEGAL_TYPED)
def test_a_typed_stream_has_its_header_first_and_its_footer_last(kinds: list[Kind]) -> None:
    order = Order(header=True, footer=True)
    for kind in kinds:
        order.advance(kind)
    assert order.last is kinds[-1]


@pytest.mark.parametrize(
    ("before", "kind", "error"),
    [
        ([], Item, MissingHeader),
        ([], Footer, MissingHeader),
        ([], End, MissingHeader),
        ([Header], Header, OutOfOrder),
        ([Header], End, MissingFooter),
        ([Header, Item], Header, OutOfOrder),
        ([Header, Item], End, MissingFooter),
        ([Header, Footer], Footer, OutOfOrder),
        ([Header, Footer], Item, OutOfOrder),
        ([Header, Footer], Header, OutOfOrder),
        ([Failure], Failure, OutOfOrder),
        ([Failure], Item, OutOfOrder),
        ([Header, Footer, End], End, OutOfOrder),
        ([Header, Footer, End], Failure, OutOfOrder),
    ],
)
def test_anything_else_is_refused_and_changes_nothing(before: list[Kind], kind: Kind, error: type[Exception]) -> None:
    order = Order(header=True, footer=True)
    for earlier in before:
        order.advance(earlier)
    last = order.last
    with pytest.raises(error):
        order.advance(kind)
    assert order.last is last


@pytest.mark.parametrize("kinds", [*LEGAL, *LEGAL_TYPED, [Footer, End], [Header, End], [Item, Footer, End]])
def test_a_reader_that_does_not_know_takes_a_header_and_a_footer_or_none(kinds: list[Kind]) -> None:
    order = Order(header=True, footer=True, optional=True)
    for kind in kinds:
        order.advance(kind)
    assert order.last is kinds[-1]


@pytest.mark.parametrize("before", [[Item, Header], [Footer, Item], [Header, Header], [End, Item]])
def test_a_reader_that_does_not_know_still_checks_the_order(before: list[Kind]) -> None:
    order = Order(header=True, footer=True, optional=True)
    order.advance(before[0])
    with pytest.raises(OutOfOrder):
        order.advance(before[1])


@pytest.mark.parametrize("kind", [Header, Footer])
def test_what_is_not_declared_must_not_come(kind: Kind) -> None:
    with pytest.raises(OutOfOrder, match="in a stream that declares none"):
        Order().advance(kind)


def test_the_reserved_names_are_those_of_the_format() -> None:
    assert frozenset({"header", "footer", "end", "error"}) == RESERVED_NAMES
