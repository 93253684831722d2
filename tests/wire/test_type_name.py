from collections.abc import Callable
from typing import Annotated, Any, Literal, Optional

import pytest

from headrace.wire.events import Event
from headrace.wire.type_name import type_name


class Token:
    pass


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (str, "str"),
        (Token, "Token"),
        (None, "None"),
        (Any, "Any"),
        (list[int], "list[int]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (dict[str, list[Token]], "dict[str, list[Token]]"),
        (Token | None, "Token | None"),
        (Optional[int], "int | None"),  # noqa: UP045
        (Literal["a", 2], "Literal['a', 2]"),
        (Annotated[int, "metadata"], "int"),
        (Event[str], "Event[str]"),
        (Callable[[int], str], "Callable[[int], str]"),
        (5, "5"),
    ],
)
def test_a_type_is_called_as_its_author_writes_it(annotation: Any, name: str) -> None:
    assert type_name(annotation) == name
