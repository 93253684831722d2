import json
from typing import Annotated, Any

import msgspec
import pytest
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from pydantic_core import from_json
from typing_extensions import TypedDict

from headrace.errors import InvalidArguments
from headrace.services.refusals import pointer, refusal, shortened
from headrace.services.structs import struct_annotation


def refused(annotation: Any, sent: Any, example: Any = None) -> InvalidArguments:
    data = json.dumps(sent).encode()
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(annotation).validate_json(data)
    return refusal(caught.value, from_json(data), example)


def pointers(annotation: Any, sent: Any) -> list[str]:
    return [error["pointer"] for error in refused(annotation, sent).errors]


class Inner(TypedDict):
    size: int


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([], ""),
        (["a"], "/a"),
        (["a", 0, "b"], "/a/0/b"),
        (["a/b", "~c", "~1"], "/a~1b/~0c/~01"),
        ([""], "/"),
    ],
)
def test_pointers_are_written_as_rfc_6901_says(steps: list[str | int], text: str) -> None:
    assert pointer(steps) == text


def test_an_error_has_its_place_its_sentence_and_its_kind() -> None:
    error = refused(dict[str, int], {"lines": "four"}, {"lines": 1})
    assert error.message == "HR16 /lines: Input should be a valid integer, unable to parse string as an integer"
    assert error.errors == (
        {
            "pointer": "/lines",
            "detail": "Input should be a valid integer, unable to parse string as an integer",
            "type": "int_parsing",
        },
    )
    assert error.example == {"lines": 1}


def test_the_members_of_a_union_are_no_steps_of_the_pointer() -> None:
    assert pointers(list[int] | dict[str, int], {"a": "b"}) == ["", "/a"]
    assert pointers(dict[str, list[int | Inner]], {"x": [1, {"size": "big"}]}) == ["/x/1", "/x/1/size"]


def test_a_missing_member_is_pointed_at_where_it_should_be() -> None:
    assert pointers(dict[str, Inner], {"a": {}}) == ["/a/size"]


def test_a_wrong_key_is_pointed_at_without_its_mark() -> None:
    assert pointers(dict[int, int], {"a/b": 1}) == ["/a~1b"]


def test_a_struct_tells_the_way_inside_itself() -> None:
    class Size(msgspec.Struct):
        width: int

    class Frame(msgspec.Struct):
        sizes: list[Size]
        names: dict[str, int] = {}

    annotation = dict[str, struct_annotation(Frame)]  # type: ignore[misc]
    assert pointers(annotation, {"a": {"sizes": [{"width": 1}, {"width": "x"}]}}) == ["/a/sizes/1/width"]
    assert pointers(annotation, {"a": {"sizes": [{}]}}) == ["/a/sizes/0"]
    assert pointers(annotation, {"a": {"sizes": [], "names": {"x": "y"}}}) == ["/a/names"]
    assert pointers(annotation, {"a": 3}) == ["/a"]


def test_at_most_eight_errors_are_listed_and_all_are_counted() -> None:
    error = refused(dict[str, int], {f"k{number}": [] for number in range(11)})
    assert len(error.errors) == 8
    assert error.message == "HR16 /k0: Input should be a valid integer (and 3 more)"


def test_a_great_many_errors_are_only_counted() -> None:
    error = refused(list[int], ["x"] * 1001)
    assert error.message == "HR16 the arguments: 1001 values do not fit"
    assert error.errors == ({"pointer": "", "detail": "1001 values do not fit", "type": "too_many_errors"},)


def echo(value: str) -> str:
    raise ValueError(value)


def test_what_the_client_sent_is_not_repeated_at_length() -> None:
    error = refused(dict[str, Annotated[str, AfterValidator(echo)]], {"k" * 10_000: "v" * 10_000})
    (entry,) = error.errors
    assert (len(entry["pointer"]), len(entry["detail"])) == (120, 150)
    assert len(error.message) < 300


def test_the_whole_answer_stays_near_a_kilobyte() -> None:
    sent = {f"{number}\x00" * 1000: "\x00" * 1000 for number in range(20)}
    error = refused(dict[str, Annotated[str, AfterValidator(echo)]], sent, {"x": "y" * 10_000})
    assert len(json.dumps(error.members)) < 1400
    assert len(error.errors) == 1
    assert error.example is None


def test_an_example_that_is_short_enough_is_kept() -> None:
    assert refused(int, "x", ["y" * 290]).example == ["y" * 290]
    assert refused(int, "x", ["y" * 300]).example is None


def test_the_arguments_themselves_have_the_empty_pointer() -> None:
    error = refused(dict[str, int], [1])
    assert (error.message, error.errors[0]["pointer"]) == ("HR16 the arguments: Input should be an object", "")


def test_a_text_that_is_cut_says_so() -> None:
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "abc..."


def test_a_bound_is_told_with_its_value() -> None:
    error = refused(dict[str, Annotated[float, Field(le=2)]], {"temperature": 3})
    assert error.errors[0]["detail"] == "Input should be less than or equal to 2"
