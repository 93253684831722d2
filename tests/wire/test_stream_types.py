import pytest

from headrace.wire.events import End, Footer, Item
from headrace.wire.stream_types import StreamTypes, stream_types, unknown_types


def test_a_stream_declares_its_items_alone_unless_told() -> None:
    types = stream_types(str)
    assert (types.item.name, types.header, types.footer) == ("str", None, None)


def test_a_stream_may_declare_a_header_and_a_footer() -> None:
    types = stream_types(str, header_type=dict, footer_type=int)
    assert types.header is not None
    assert types.footer is not None
    assert (types.header.name, types.footer.name) == ("dict", "int")


def test_types_without_header_and_footer_need_only_the_item() -> None:
    item = stream_types(str).item
    assert StreamTypes(item) == StreamTypes(item, None, None)


def test_a_type_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(TypeError, match="cannot be sent"):
        stream_types(str, footer_type=object.__new__(type("Unknown", (), {})))


def test_who_does_not_know_the_types_takes_any_json_in_any_form() -> None:
    types = unknown_types()
    assert types.item.loads(b'{"a":[1,null]}') == {"a": [1, None]}
    assert types.header is types.footer is types.item
    order = types.order()
    for kind in (Item, Footer, End):
        order.advance(kind)
    assert order.last is End
