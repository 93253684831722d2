"""What `example_of` gives fits the schema that it was given: pydantic, which wrote the schema, is the judge."""

import datetime
import decimal
import enum
import ipaddress
import json
import math
import pathlib
import uuid
from collections.abc import Callable
from dataclasses import make_dataclass
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, Optional, Union

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    UUID1,
    UUID4,
    AnyUrl,
    Base64Bytes,
    BaseModel,
    ByteSize,
    Field,
    HttpUrl,
    Json,
    PostgresDsn,
    SecretStr,
    TypeAdapter,
    create_model,
)
from typing_extensions import TypeAliasType, TypedDict

from headrace.services.example import example_of


def example_for(annotation: Any) -> Any:
    """The example of a type's schema, once the type itself has taken it as JSON."""
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    example = example_of(adapter.json_schema())
    adapter.validate_json(json.dumps(example))
    return example


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Point(NamedTuple):
    x: int
    y: float = 0.0


class Node(BaseModel):
    value: int
    next: Optional["Node"]


class Tree(BaseModel):
    children: list["Tree"]


class Loose(BaseModel):
    child: Optional["Loose"] = None
    children: list["Loose"] = Field(default_factory=list)


class Even(BaseModel):
    odd: Union["Odd", None]


class Odd(BaseModel):
    even: Even


class Leaf(BaseModel):
    kind: Literal["leaf"]


class Plus(BaseModel):
    kind: Literal["plus"]
    left: "Expression"
    right: "Expression"


Expression = Annotated[Plus | Leaf, Field(discriminator="kind")]


class Endless(BaseModel):
    itself: "Endless"


for model in (Node, Tree, Loose, Even, Plus, Endless):
    model.model_rebuild()

Document = TypeAliasType("Document", "list[Document] | dict[str, Document] | int")


@pytest.mark.parametrize(
    ("annotation", "example"),
    [
        (str, "text"),
        (int, 1),
        (float, 1.0),
        (bool, True),
        (None, None),
        (Any, "anything"),
        (bytes, "text"),
        (list[int], [1]),
        (dict[str, int], {}),
        (tuple[int, str], [1, "text"]),
        (tuple[int, ...], [1]),
        (set[Color], ["red"]),
        (Literal["a", "b"], "a"),
        (Color, "red"),
        (Level, 1),
        (int | None, 1),
        (Point, [1, 0.0]),
        (Annotated[int, Field(ge=5)], 5),
        (Annotated[int, Field(gt=5)], 6),
        (Annotated[int, Field(lt=1)], 0),
        (Annotated[int, Field(le=-3)], -3),
        (Annotated[int, Field(gt=10, multiple_of=7)], 14),
        (Annotated[float, Field(gt=0, lt=0.5)], 0.25),
        (Annotated[float, Field(ge=1.5)], 1.5),
        (Annotated[str, Field(min_length=6)], "text.."),
        (Annotated[str, Field(max_length=2)], "te"),
        (Annotated[str, Field(max_length=0)], ""),
        (Annotated[str, Field(pattern="^[0-9]+$")], "1"),
        (Annotated[str, Field(pattern="^[A-Z]{2,}$", min_length=3)], "TEXT"),
        (Annotated[list[int], Field(min_length=3)], [1, 1, 1]),
        (Annotated[set[int], Field(min_length=3)], [1, 2, 3]),
        (Annotated[set[str], Field(min_length=2)], ["text", "text2"]),
        (Annotated[set[Color], Field(min_length=2)], ["red", "green"]),
        (Annotated[set[bool], Field(min_length=2)], [True, False]),
        (Annotated[set[Literal["a", 1]], Field(min_length=2)], ["a", 1]),
        (Annotated[dict[str, int], Field(min_length=2)], {"1": 1, "2": 1}),
        (Annotated[dict[int, str], Field(min_length=1)], {"1": "text"}),
        (Annotated[dict[Color, int], Field(min_length=2)], {"red": 1, "green": 1}),
        (dict[Annotated[str, Field(pattern="^x")], int], {}),
        (Annotated[int, Field(examples=[42])], 42),
        (Node, {"value": 1, "next": None}),
        (Tree, {"children": [{"children": []}]}),
        (Loose, {"child": None, "children": [{}]}),
        (Even, {"odd": {"even": {"odd": None}}}),
        (Plus, {"kind": "plus", "left": {"kind": "leaf"}, "right": {"kind": "leaf"}}),
    ],
)
def test_the_example_is_natural_and_fits(annotation: Any, example: Any) -> None:
    assert example_for(annotation) == example


@pytest.mark.parametrize(
    "annotation",
    [
        datetime.datetime, datetime.date, datetime.time, datetime.timedelta, uuid.UUID, UUID1, UUID4,
        decimal.Decimal, Annotated[decimal.Decimal, Field(max_digits=3, decimal_places=0, gt=2)], pathlib.Path, HttpUrl,
        AnyUrl, PostgresDsn, SecretStr, Json[list[int]], Base64Bytes, ByteSize, ipaddress.IPv4Address,
        ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Interface, Document, frozenset[Point], dict, list,
    ],
    ids=str,
)  # fmt: skip
def test_types_with_a_form_of_their_own_get_an_example_that_fits(annotation: Any) -> None:
    example_for(annotation)


def test_a_default_is_the_example() -> None:
    class Options(TypedDict):
        temperature: NotRequired[float]

    schema = TypeAdapter(Options).json_schema()
    schema["properties"]["temperature"]["default"] = 0.7
    assert example_of(schema) == {"temperature": 0.7}
    assert example_of(schema, believe=False) == {"temperature": 1.0}


def test_a_default_beside_a_reference_is_the_example() -> None:
    model = create_model("Paint", color=(Color, Color.GREEN))
    assert example_for(model) == {"color": "green"}


def test_members_that_are_not_required_are_left_out_beside_those_that_are() -> None:
    assert example_for(create_model("Two", a=(int, ...), b=(int, 3))) == {"a": 1}


def test_a_type_without_any_finite_value_has_no_example() -> None:
    assert example_of(TypeAdapter(Endless).json_schema()) is None


def test_a_pattern_that_nothing_tried_fits_leaves_a_text() -> None:
    assert example_of({"type": "string", "pattern": "^[a-f0-9]{64}$"}) == "text"


def test_a_pattern_of_another_dialect_leaves_a_text() -> None:
    assert example_of({"type": "string", "pattern": r"\p{Greek}"}) == "text"


# any type at all


def bounds(numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Two numbers, the lower one first, as bounds that leave something between them."""

    def make(pair: tuple[Any, Any], low: str, high: str) -> dict[str, Any]:
        least, most = sorted(pair)
        return {key: value for key, value in ((low, least), (high, most + 3)) if key}

    return st.builds(
        make, st.tuples(numbers, numbers), st.sampled_from(["ge", "gt", ""]), st.sampled_from(["le", "lt", ""])
    )


def annotated(annotation: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda constraints: Annotated[annotation, Field(**constraints)]


def lengths(most: int) -> st.SearchStrategy[dict[str, int]]:
    numbers = st.tuples(st.integers(0, most), st.integers(0, most)).map(sorted)
    both = numbers.map(lambda pair: {"min_length": pair[0], "max_length": pair[1]})
    return both | numbers.map(lambda pair: {"min_length": pair[0]}) | numbers.map(lambda pair: {"max_length": pair[1]})


INTEGERS = bounds(st.integers(-(10**20), 10**20)).map(annotated(int))
MULTIPLES = st.builds(
    lambda step, low: Annotated[int, Field(multiple_of=step, ge=low)], st.integers(1, 999), st.integers(-9999, 9999)
)
BELOW = st.builds(
    lambda step, high: Annotated[int, Field(multiple_of=step, lt=high)], st.integers(1, 999), st.integers(-9999, 9999)
)
FLOATS = bounds(st.floats(-1e9, 1e9, allow_nan=False)).map(annotated(float))
STEPS = st.builds(
    lambda step, low: Annotated[float, Field(multiple_of=step, gt=low)],
    st.sampled_from([0.1, 0.25, 0.5, 2, 3]),
    st.integers(-100, 100),
)
TEXTS = lengths(20).map(annotated(str))
CHOICES = st.lists(
    st.integers(-(2**62), 2**62) | st.text() | st.booleans() | st.none(), min_size=1, max_size=4, unique=True
).map(lambda values: Literal[tuple(values)])
SCALARS = st.one_of(
    st.sampled_from([str, int, float, bool, None, Any, Color, Level, datetime.date, uuid.UUID, decimal.Decimal]),
    INTEGERS, MULTIPLES, BELOW, FLOATS, STEPS, TEXTS, CHOICES,
)  # fmt: skip
NAMES = st.lists(st.sampled_from("abcdefgh"), max_size=4, unique=True)


def model_of(names: list[str], types: list[Any], optional: list[bool]) -> Any:
    fields: Any = {
        name: (Union[each, None], None) if left_out else (each, ...)  # noqa: UP007
        for name, each, left_out in zip(names, types, optional, strict=False)
    }
    return create_model("Model", **fields)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.builds(lambda each, limits: Annotated[list[each], Field(**limits)], inner, lengths(4)),  # type: ignore[valid-type]
        st.builds(lambda each, limits: Annotated[dict[str, each], Field(**limits)], inner, lengths(4)),  # type: ignore[valid-type]
        st.builds(lambda each: Union[each, None], inner),  # noqa: UP007
        st.builds(lambda one, other: Union[one, other], inner, inner),  # noqa: UP007
        st.builds(lambda one, other: tuple[one, other], inner, inner),  # type: ignore[valid-type]
        st.builds(model_of, NAMES, st.lists(inner, min_size=4, max_size=4), st.lists(st.booleans(), min_size=4)),
        st.builds(
            lambda names, each: TypedDict("Members", dict.fromkeys(names, NotRequired[each])),  # type: ignore[operator]
            NAMES,
            inner,
        ),
        st.builds(lambda names, each: make_dataclass("Data", [(name, each) for name in names]), NAMES, inner),
    )


@settings(max_examples=150, deadline=None)
@given(st.recursive(SCALARS, containers, max_leaves=6))
def test_the_example_of_any_type_fits_it(annotation: Any) -> None:
    example_for(annotation)


@pytest.mark.parametrize("low", [1e300, -1e300, math.nextafter(1.0, 2.0)])
def test_numbers_far_out_and_close_together_are_found(low: float) -> None:
    example_for(Annotated[float, Field(gt=low)])
    example_for(Annotated[float, Field(gt=low, lt=math.nextafter(math.nextafter(low, math.inf), math.inf))])


def test_a_language_of_many_types_that_hold_each_other_stays_small() -> None:
    names = [f"Type{number}" for number in range(30)]
    every = [{"$ref": f"#/$defs/{name}"} for name in names]
    both = {"left": {"anyOf": every}, "right": {"anyOf": every}}
    definitions: dict[str, Any] = {
        name: {"type": "object", "properties": both, "required": ["left", "right"]} for name in names[:-1]
    }
    definitions[names[-1]] = {"const": "end"}
    example = example_of({"$defs": definitions, "$ref": "#/$defs/Type0"})
    assert example == {"left": "end", "right": "end"}
