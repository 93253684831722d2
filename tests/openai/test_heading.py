import re

from headrace.openai.heading import Heading


def test_a_new_heading_has_a_random_id_with_its_prefix() -> None:
    first, second = Heading.new("chatcmpl", "m"), Heading.new("chatcmpl", "m")
    assert re.fullmatch(r"chatcmpl-[0-9a-f]{24}", first.id)
    assert first.id != second.id


def test_a_new_heading_was_created_in_seconds_of_this_century() -> None:
    assert 1_700_000_000 < Heading.new("cmpl", "m").created < 5_000_000_000


def test_the_members_of_an_object_begin_with_the_heading() -> None:
    assert list(Heading("cmpl-1", 17, "m").members("text_completion").items()) == [
        ("id", "cmpl-1"),
        ("object", "text_completion"),
        ("created", 17),
        ("model", "m"),
    ]
