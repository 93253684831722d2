import datetime
import enum
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from headrace.errors import DefinitionError
from headrace.services.decorators import Bound, service
from headrace.services.dependencies import Handle, depends
from headrace.services.overrides import configured


class Color(enum.Enum):
    RED = "red"


@dataclass
class Sampling:
    temperature: float = 1.0


class Chat:
    def __init__(
        self,
        model_id: str,
        temperature: float = 0.7,
        lines: int | None = 4,
        fast: bool = False,
        stop: list[str] | None = None,
        color: Color = Color.RED,
        kind: Literal["a", 1] = "a",
        folder: Path = Path(),
        sampling: Sampling | None = None,
        since: datetime.date | None = None,
        anything: Any = None,
        untyped=None,  # type: ignore[no-untyped-def]
        either: int | str = 1,
    ) -> None: ...


class Proxy:
    def __init__(self, chat: object, other: object = None, *, size: int = 1) -> None: ...


class Loose:
    def __init__(self, **options: Any) -> None: ...


@pytest.mark.parametrize(
    ("parameter", "text", "value"),
    [
        ("model_id", "5", "5"),
        ("model_id", '"quoted"', '"quoted"'),
        ("model_id", "", ""),
        ("temperature", "0.2", 0.2),
        ("temperature", "1", 1.0),
        ("lines", "3", 3),
        ("lines", "null", None),
        ("fast", "true", True),
        ("fast", "yes", True),
        ("stop", '["a", "b"]', ["a", "b"]),
        ("color", "red", Color.RED),
        ("kind", "a", "a"),
        ("kind", "1", 1),
        ("folder", "/models", Path("/models")),
        ("sampling", '{"temperature": 0}', Sampling(0.0)),
        ("since", "2026-01-01", datetime.date(2026, 1, 1)),
        ("anything", "[1]", [1]),
        ("anything", "one", "one"),
        ("untyped", "1", 1),
        ("either", "5", 5),
        ("either", "five", "five"),
    ],
)
def test_the_text_is_read_as_the_parameters_type_wants_it(parameter: str, text: str, value: Any) -> None:
    bound = configured(Bound(Chat), {f"Chat.{parameter}": text})
    assert bound == Bound(Chat, (), {parameter: value})
    assert type(bound.kwargs[parameter]) is type(value)


def test_what_was_bound_is_replaced_where_it_stands() -> None:
    bound = Bound(Chat, ("tiny", 0.1), {"lines": 2, "fast": True})
    changed = configured(bound, {"Chat.model_id": "big", "Chat.lines": "9"})
    assert changed == Bound(Chat, ("big", 0.1), {"lines": 9, "fast": True})
    assert bound == Bound(Chat, ("tiny", 0.1), {"lines": 2, "fast": True})


def test_services_inside_a_service_are_reached_by_their_class() -> None:
    bound = Bound(Proxy, (Bound(Chat, ("tiny",)),), {"other": Bound(Chat, ("other",))})
    assert configured(bound, {"Chat.temperature": "0", "Proxy.size": "3"}) == Bound(
        Proxy,
        (Bound(Chat, ("tiny",), {"temperature": 0.0}),),
        {"other": Bound(Chat, ("other",), {"temperature": 0.0}), "size": 3},
    )


def test_a_constructor_that_takes_any_name_takes_any_name() -> None:
    assert configured(Bound(Loose), {"Loose.size": "3"}) == Bound(Loose, (), {"size": 3})


def test_without_assignments_nothing_changes() -> None:
    assert configured(Bound(Chat), {}) == Bound(Chat)


SOURCE = """\
from typing import Annotated, Literal
from pydantic import Field
from headrace import endpoint, service


class Ink: ...


@service
class Poet:
    def __init__(self, model_id: str = "tiny", size: Annotated[int, Field(ge=1)] = 1,
                 kind: Literal["a", "b"] = "a", ink: Ink | None = None, seeds: list[int] | None = None) -> None: ...


@service
class Singer: ...
"""


@pytest.mark.parametrize(
    ("assignments", "text"),
    [
        pytest.param(
            {"Poet.size": "big"},
            """\
HR19 Poet.size is int, not 'big'
  app.py:11
    def __init__(self, model_id: str = "tiny", size: Annotated[int, Field(ge=1)] = 1,
                                               ^
  Input should be a valid integer, unable to parse string as an integer.
  fix: --set Poet.size=1
""",
            id="a wrong value",
        ),
        pytest.param(
            {"Poet.size": "0", "Poet.kind": "c" * 100},
            """\
HR19 Poet.size is int, not '0'
  app.py:11
    def __init__(self, model_id: str = "tiny", size: Annotated[int, Field(ge=1)] = 1,
                                               ^
  Input should be greater than or equal to 1.
  fix: --set Poet.size=1

HR19 Poet.kind is Literal['a', 'b'], not 'ccccccccccccccccccccccccccccccccccccccccccccccccccccccccc...'
  app.py:12
    kind: Literal["a", "b"] = "a", ink: Ink | None = None, seeds: list[int] | None = None) -> None: ...
    ^
  Input should be 'a' or 'b'.
  fix: --set Poet.kind=a
""",
            id="two wrong values",
        ),
        pytest.param(
            {"Poet.seeds": "[1, 2.5]"},
            """\
HR19 Poet.seeds is list[int] | None, not '[1, 2.5]'
  app.py:12
    kind: Literal["a", "b"] = "a", ink: Ink | None = None, seeds: list[int] | None = None) -> None: ...
                                                           ^
  Input should be a valid integer, got a number with a fractional part.
  fix: --set Poet.seeds='[1]'
""",
            id="wrong JSON",
        ),
        pytest.param(
            {"Poet.ink": "blue"},
            """\
HR19 Poet.ink cannot be set from a text
  app.py:12
    kind: Literal["a", "b"] = "a", ink: Ink | None = None, seeds: list[int] | None = None) -> None: ...
                                   ^
  A text cannot become Ink | None.
  fix: app = Poet.bind(ink=...)
""",
            id="a type that no text becomes",
        ),
        pytest.param(
            {"Poet.sise": "1"},
            """\
HR19 Poet.__init__ has no "sise". Did you mean "size"?
  app.py:11
    def __init__(self, model_id: str = "tiny", size: Annotated[int, Field(ge=1)] = 1,
        ^
  It takes model_id, size, kind, ink, seeds.
  fix: --set Poet.size=...
""",
            id="an unknown parameter",
        ),
        pytest.param(
            {"Poe.size": "1"},
            """\
HR19 there is no service "Poe" here. Did you mean "Poet"?
  The services are Poet.
  fix: --set Poet.size=...
""",
            id="an unknown service",
        ),
        pytest.param(
            {"size": "1"},
            """\
HR19 --set "size" is not Class.parameter=value
  fix: --set Poet.size=...
""",
            id="no class",
        ),
    ],
)
def test_an_assignment_that_does_not_fit_is_told_in_full(
    written: Callable[[str], ModuleType],
    told: Callable[[Callable[[], object]], str],
    assignments: dict[str, str],
    text: str,
) -> None:
    module = written(SOURCE)
    assert told(lambda: configured(Bound(module.Poet), assignments)) == text


def test_a_service_without_a_constructor_takes_nothing(
    written: Callable[[str], ModuleType], told: Callable[[Callable[[], object]], str]
) -> None:
    module = written(SOURCE)
    assert told(lambda: configured(Bound(module.Singer), {"Singer.size": "1"})) == (
        'HR19 Singer.__init__ has no "size"\n'
        "  app.py:16\n"
        "    class Singer: ...\n"
        "          ^\n"
        "  It takes no arguments.\n"
        "  fix: app = Singer.bind()\n"
    )


@pytest.mark.parametrize("key", ["", ".", "Chat.", ".size", "a.b.c", "x" * 10_000])
def test_any_key_is_a_mistake_and_no_crash(key: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        configured(Bound(Chat), {key: "1"})
    assert len(str(caught.value)) < 500


def test_a_constraint_is_kept() -> None:
    class Warm:
        def __init__(self, temperature: Annotated[float, Field(le=2)]) -> None: ...

    with pytest.raises(DefinitionError, match="less than or equal to 2"):
        configured(Bound(Warm), {"Warm.temperature": "3"})


# services that others depend on


@service
class Leaf:
    def __init__(self, size: int = 1) -> None:
        self.size = size


@service
class Pipeline:
    leaf: Handle[Leaf] = depends(Leaf)

    def __init__(self, other: Handle[Leaf] = depends(Leaf.bind(size=2))) -> None:  # type: ignore[attr-defined]  # noqa: B008
        self.other = other


@pytest.mark.parametrize("place", ["attributes", "kwargs"])
def test_a_dependency_is_reached_by_its_class(place: str) -> None:
    found = configured(Bound(Pipeline), {"Leaf.size": "3"})
    (leaf,) = getattr(found, place).values()
    assert leaf.kwargs == {"size": 3}


def test_a_dependency_that_runs_elsewhere_is_not_reached() -> None:
    @service
    class Remote:
        leaf: Handle[Leaf] = depends(Leaf, url="http://127.0.0.1:8001")

    with pytest.raises(DefinitionError, match='there is no service "Leaf" here'):
        configured(Bound(Remote), {"Leaf.size": "3"})
