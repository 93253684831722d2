"""The first-token time and the rate of an answer."""

from collections.abc import Callable

from headrace.cli.pace import Pace


def clock(*times: float) -> Callable[[], float]:
    """A clock that shows these times, one after another."""
    return iter(times).__next__


def told(times: tuple[float, ...], tokens: int | None = None) -> str:
    pace = Pace(clock(*times))
    for _ in times[1:]:
        pace.piece()
    return pace.told(tokens)


def test_the_rate_is_of_what_followed_the_first_token() -> None:
    assert told((10.0, 10.5, 11.5), tokens=41) == "first token 500 ms · 40 tokens/s · 41 tokens"


def test_without_a_count_of_tokens_pieces_are_told_as_pieces() -> None:
    assert told((10.0, 10.084, 10.1, 10.134)) == "first token 84 ms · 40 pieces/s · 3 pieces"


def test_one_token_has_no_rate() -> None:
    assert told((0.0, 0.5), tokens=1) == "first token 500 ms · 1 token"


def test_many_tokens_in_one_piece_have_no_rate() -> None:
    assert told((0.0, 0.5), tokens=20) == "first token 500 ms · 20 tokens"


def test_pieces_that_were_read_at_once_have_no_rate() -> None:
    assert told((0.0, 0.5, 0.5)) == "first token 500 ms · 2 pieces"
    assert told((0.0, 0.5, 0.504), tokens=100) == "first token 500 ms · 100 tokens"


def test_nothing_has_no_pace() -> None:
    assert told((0.0,), tokens=0) == ""
