from typing import Any

import pytest

from headrace.errors import InvalidItem
from headrace.wire.codec import codec_for
from headrace.wire.events import Event


def test_only_the_data_is_written() -> None:
    assert codec_for(Event[int]).dumps(Event(5, name="n", id="i")) == b"5"
    assert codec_for(Event[int]).loads(b"5") == Event(5)
    assert codec_for(Event[int]).schema() == {"type": "integer"}


def test_an_event_is_never_plain_text() -> None:
    assert (codec_for(Event[str]).kind, codec_for(Event[str]).name) == ("json", "Event[str]")


def test_a_checked_event_keeps_its_name_and_id() -> None:
    assert codec_for(Event[list[int]]).check(Event((5,), name="n", id="i")) == Event([5], name="n", id="i")


@pytest.mark.parametrize("value", ["a", None, {"data": "a"}])
def test_what_is_no_event_is_refused(value: Any) -> None:
    with pytest.raises(InvalidItem, match=r"expected Event\[str\]: yield Event\(data"):
        codec_for(Event[str]).dumps(value)


def test_data_of_another_type_is_refused() -> None:
    with pytest.raises(InvalidItem, match=r"^int, expected str$"):
        codec_for(Event[str]).dumps(Event(5))


@pytest.mark.parametrize(
    "character", ["\r", "\n", "\0", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\ud800"]
)
@pytest.mark.parametrize("field", ["name", "id"])
def test_a_separator_in_a_name_or_an_id_is_refused(field: str, character: str) -> None:
    event = Event("x", **{field: f"a{character}data: forged"})
    with pytest.raises(InvalidItem, match=f"in the {field} of an Event"):
        codec_for(Event[str]).dumps(event)
    with pytest.raises(InvalidItem, match=f"in the {field} of an Event"):
        codec_for(Event[str]).check(event)


@pytest.mark.parametrize("name", ["header", "footer", "end", "error"])
def test_a_reserved_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidItem, match=f'the event name "{name}" has a meaning'):
        codec_for(Event[str]).dumps(Event("x", name=name))


@pytest.mark.parametrize("field", ["name", "id"])
def test_a_name_or_an_id_that_is_no_text_is_refused(field: str) -> None:
    with pytest.raises(InvalidItem, match=f"^int for the {field} of an Event, expected str$"):
        codec_for(Event[str]).dumps(Event("x", **{field: 5}))
