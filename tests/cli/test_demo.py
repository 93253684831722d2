"""`headrace demo`: how an answer is told. With a server it is tested in tests/e2e/test_command.py."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from headrace.cli.demo import tell
from headrace.errors import StreamTruncated, WireError
from headrace.wire.events import End, Failure, Item, StreamEvent


def clock(*times: float) -> Callable[[], float]:
    """A clock that shows these times, one after another."""
    return iter(times).__next__


def test_an_answer_is_printed_with_its_first_token_time_and_rate(capsys: pytest.CaptureFixture[str]) -> None:
    events: list[StreamEvent] = [Item("Water "), Item("flows"), Item("."), End(3)]
    assert tell(events, clock(10.0, 10.084, 10.1, 10.134)) == 0
    assert capsys.readouterr().out == "Water flows.\n\n  first token 84 ms · 40 pieces/s · 3 pieces\n"


def test_an_answer_of_one_piece_has_no_rate(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell([Item("yes"), End(1)], clock(0.0, 0.5)) == 0
    assert capsys.readouterr().out == "yes\n\n  first token 500 ms · 1 piece\n"


def test_a_failure_is_told_and_has_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell([Item("Wa"), Failure("model_busy", "all slots are taken")], clock(0.0, 0.1)) == 4
    assert capsys.readouterr() == ("Wa", "\nerror: model_busy: all slots are taken\n")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (StreamTruncated("the connection was lost: gone"), 5, "\nerror: truncated: the connection was lost: gone\n"),
        (WireError("a line that is not JSON"), 4, "\nerror: not an answer: a line that is not JSON\n"),
    ],
)
def test_an_answer_that_breaks_off_has_its_exit_code(
    capsys: pytest.CaptureFixture[str], error: Exception, code: int, said: str
) -> None:
    def events() -> Iterator[StreamEvent]:
        yield Item("Wa")
        raise error

    assert tell(events(), clock(0.0, 0.1)) == code
    assert capsys.readouterr() == ("Wa", said)


def test_a_port_that_is_none_is_a_mistake_of_use(project: Any) -> None:
    assert project.run("demo", "--port", "70000").exit_code == 2
