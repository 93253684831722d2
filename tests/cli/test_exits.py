"""What is said on the way out, and the exit code."""

import pytest

from headrace.cli.exits import fail, refuse, refuse_definition, show_mistakes
from headrace.errors import DefinitionError, Mistake, Place

FIRST = Mistake("HR05", "add a type", Place("app.py", 3, "def f(self, x):", 13), "It becomes the check.", "x: str")
SECOND = Mistake("HR17", "no endpoint")


def test_mistakes_stand_apart_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    show_mistakes([FIRST, SECOND])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "HR05 add a type\n"
        "  app.py:3\n"
        "    def f(self, x):\n"
        "                ^\n"
        "  It becomes the check.\n"
        "  fix: x: str\n"
        "\n"
        "HR17 no endpoint\n"
    )


def test_a_failure_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        fail("no such thing", 2)
    assert (ended.value.code, capsys.readouterr().err) == (2, "error: no such thing\n")


def test_a_refusal_shows_all_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        refuse([SECOND, SECOND], 3)
    assert (ended.value.code, capsys.readouterr().err) == (3, "HR17 no endpoint\n\nHR17 no endpoint\n")


@pytest.mark.parametrize(("code", "expected"), [("HR01", 3), ("HR02", 1), ("HR03", 1), ("HR05", 1)])
def test_a_target_that_is_not_there_is_no_mistake_in_the_code(code: str, expected: int) -> None:
    with pytest.raises(SystemExit) as ended:
        refuse_definition(DefinitionError([Mistake(code, "what")]))
    assert ended.value.code == expected
