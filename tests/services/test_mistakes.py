"""Places in the user's file, and HR12. `written` and `plain` come from the conftest."""

import asyncio
import functools
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

import headrace
from headrace.config import Settings
from headrace.errors import Place, SetupError
from headrace.metrics import Metrics
from headrace.services.mistakes import (
    RETURN,
    described,
    is_users,
    place_of,
    place_of_class,
    place_of_error,
    setup_mistake,
    user_frames,
)
from headrace.services.runtime import Runtime

Written = Callable[[str], ModuleType]
Plain = Callable[[str], str]

SOURCE = '''\
import functools


def doubled(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)
    return wrapper


class Poet:
    @doubled
    async def write(self, write: str, größe: "Größe" = "ö", *more: int,
                    lines: list[Verse] = 4) -> Poem:
        """Text
without indentation.
"""

    def short(self): ...

    verse = lambda self: 1
'''


@pytest.fixture
def poet(written: Written) -> Any:
    return written("from __future__ import annotations\n" + SOURCE).Poet


def line_and_caret(place: Place | None) -> tuple[int, str]:
    assert place is not None
    return place.line, place.text[place.column - 1 :][:8] if place.column else ""


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("", (14, "write(se")),
        ("write", (14, "write: s")),
        ("größe", (14, 'größe: "')),
        ("more", (14, "more: in")),
        ("lines", (15, "lines: l")),
        ("Verse", (15, "Verse] =")),
        (RETURN, (15, "Poem:")),
        ("nowhere", (14, "write(se")),
    ],
)
def test_a_part_of_a_function_is_found(poet: Any, word: str, found: tuple[int, str]) -> None:
    assert line_and_caret(place_of(poet.write, word)) == found


def test_a_function_without_a_return_type_is_pointed_at_itself(poet: Any) -> None:
    assert line_and_caret(place_of(poet.short, RETURN)) == (20, "short(se")


def test_a_lambda_is_found(poet: Any) -> None:
    assert line_and_caret(place_of(poet.verse)) == (22, "lambda s")


def test_a_class_is_found(poet: Any) -> None:
    assert line_and_caret(place_of_class(poet)) == (12, "Poet:")


def test_without_source_there_is_no_place() -> None:
    assert place_of(len) is None
    assert place_of(functools.partial(len)) is None
    assert place_of_class(int) is None


def test_a_path_below_the_current_folder_is_short() -> None:
    place = place_of(test_a_path_below_the_current_folder_is_short)
    assert place is not None
    assert place.file.endswith("test_mistakes.py")


def test_the_users_last_frame_is_the_place_of_an_error(written: Written, plain: Plain) -> None:
    module = written("import json\n\n\ndef load(text):\n    größe = json.loads(text)\n    return größe\n")
    with pytest.raises(ValueError, match="Expecting value") as caught:
        module.load("x")
    place = place_of_error(caught.value)
    assert place is not None
    assert (plain(place.file), place.line, place.text, place.column) == ("app.py", 5, "größe = json.loads(text)", 9)
    frames = [plain(frame.filename) for frame in user_frames(caught.value.__traceback__)]
    assert frames == [__file__, "app.py"]


@pytest.mark.parametrize("file", ["<string>", asyncio.__file__, pytest.__file__, headrace.__file__])
def test_what_is_installed_is_not_the_users(file: str) -> None:
    assert not is_users(file)
    assert is_users(__file__)


def test_an_error_that_was_not_raised_has_no_place() -> None:
    assert place_of_error(ValueError()) is None


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no such model"), "ValueError: no such model"),
        (ValueError(), "ValueError"),
        (KeyError("x"), "KeyError: 'x'"),
        (RuntimeError("first\nsecond"), "RuntimeError: first"),
        (RuntimeError("a" * 400), "RuntimeError: " + "a" * 297 + "..."),
    ],
)
def test_an_error_is_described_in_one_line(error: Exception, text: str) -> None:
    assert described(error) == text


# HR12, the text


POET = """\
import os
import sys
from headrace import endpoint, service


@service
class Poet:
    def __init__(self, path: str = "poems.txt") -> None:
        {init}

    {hook}

    @endpoint
    def write(self) -> str:
        return "rain"
"""

START = "async def on_start(self) -> None:\n        "


@pytest.mark.parametrize(
    ("init", "hook", "text"),
    [
        pytest.param(
            'raise ValueError("no such model")',
            "",
            """\
HR12 Poet.__init__ raised ValueError: no such model
  app.py:9
    raise ValueError("no such model")
    ^
  A service that cannot start answers nothing, so the server does not start either.
  fix: what line 9 needs must be there when the service starts""",
            id="a constructor",
        ),
        pytest.param(
            "pass",
            START + 'self.model = open("nowhere/model.bin")',
            """\
HR12 Poet.on_start raised FileNotFoundError: [Errno 2] No such file or directory: 'nowhere/model.bin'
  app.py:12
    self.model = open("nowhere/model.bin")
                 ^
  A service that cannot start answers nothing, so the server does not start either.
  fix: ls -ld 'nowhere/model.bin'  # is it there, seen from FOLDER, and may this user read it?""",
            id="a hook",
        ),
        pytest.param(
            "pass",
            'def on_start(self) -> None:\n        self.key = os.environ["NO_SUCH_KEY_HERE"]',
            """\
HR12 Poet.on_start raised KeyError: 'NO_SUCH_KEY_HERE'
  app.py:12
    self.key = os.environ["NO_SUCH_KEY_HERE"]
               ^
  A service that cannot start answers nothing, so the server does not start either.
  fix: export NO_SUCH_KEY_HERE=...""",
            id="a sync hook, and the environment",
        ),
        pytest.param(
            "import no_such_package.part",
            "",
            """\
HR12 Poet.__init__ raised ModuleNotFoundError: No module named 'no_such_package'
  app.py:9
    import no_such_package.part
    ^
  A service that cannot start answers nothing, so the server does not start either.
  fix: python -m pip install no_such_package""",
            id="a missing package",
        ),
        pytest.param(
            'sys.exit("no GPU")',
            "",
            """\
HR12 Poet.__init__ raised SystemExit: no GPU
  app.py:9
    sys.exit("no GPU")
    ^
  A service that cannot start answers nothing, so the server does not start either.
  fix: what line 9 needs must be there when the service starts""",
            id="an exit",
        ),
    ],
)
async def test_a_service_that_cannot_start_says_why(
    written: Written, plain: Plain, init: str, hook: str, text: str
) -> None:
    module = written(POET.format(init=init, hook=hook))
    runtime = Runtime(module.Poet, Settings(), Metrics())
    with pytest.raises(SetupError) as caught:
        await runtime.__aenter__()
    error = caught.value
    assert error.__cause__ is not None
    assert _told(error, plain) == text
    assert _told(error.__cause__, plain) == text


def _told(error: BaseException, plain: Plain) -> str:
    return plain(str(setup_mistake("Poet", error))).replace(os.getcwd(), "FOLDER")


def test_an_error_of_nobodys_line_has_no_place() -> None:
    assert str(setup_mistake("Poet", SetupError("the engine is not running"))) == (
        "HR12 Poet could not be started: SetupError: the engine is not running\n"
        "  A service that cannot start answers nothing, so the server does not start either.\n"
        "  fix: what the service needs must be there when the service starts"
    )
