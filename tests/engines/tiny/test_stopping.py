import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.engines.tiny.stopping import StopStrings


def run(strings: list[str], pieces: list[str]) -> tuple[list[str], bool]:
    """What comes out for each piece, then what was left at the end; and whether a stop string was there."""
    stops = StopStrings(strings)
    out = [stops.feed(piece) for piece in pieces]
    return [*out, stops.end()], stops.stopped


@pytest.mark.parametrize(
    ("strings", "pieces", "out", "stopped"),
    [
        pytest.param([], ["a", "b"], ["a", "b", ""], False, id="no stop strings"),
        pytest.param(["X"], ["ab", "c"], ["ab", "c", ""], False, id="not there"),
        pytest.param(["X"], ["abXcd"], ["ab", ""], True, id="in one piece"),
        pytest.param(["END"], ["one E", "ND two"], ["one ", "", ""], True, id="across a border"),
        pytest.param(["END"], ["one ", "E", "N", "D"], ["one ", "", "", "", ""], True, id="across three borders"),
        pytest.param(["END"], ["E", "Nough"], ["", "ENough", ""], False, id="a false start is handed out later"),
        pytest.param(["END"], ["the E"], ["the ", "E"], False, id="a false start at the end of the text"),
        pytest.param(["aab"], ["a", "a", "a", "b"], ["", "", "a", "", ""], True, id="a start within a start"),
        pytest.param(["\n\n"], ["a\n", "b\n", "\nc"], ["a", "\nb", "", ""], True, id="a blank line"),
        pytest.param(["abcd", "bc"], ["abcd"], ["a", ""], True, id="the one complete first counts"),
        pytest.param(["bc", "abc"], ["abc"], ["", ""], True, id="complete together: the longer counts"),
        pytest.param(["X"], ["aX", "b", "c"], ["a", "", "", ""], True, id="nothing after a stop"),
    ],
)
def test_what_goes_out(strings: list[str], pieces: list[str], out: list[str], stopped: bool) -> None:
    assert run(strings, pieces) == (out, stopped)


STRINGS = st.lists(st.text(alphabet="ab", min_size=1, max_size=4), max_size=3)


@given(STRINGS, st.lists(st.text(alphabet="abc", max_size=5)))
def test_the_borders_between_pieces_never_show(strings: list[str], pieces: list[str]) -> None:
    out, stopped = run(strings, pieces)
    whole, whole_stopped = run(strings, ["".join(pieces)])
    assert ("".join(out), stopped) == ("".join(whole), whole_stopped)


@given(STRINGS, st.lists(st.text(alphabet="abc", max_size=5)))
def test_no_stop_string_ever_goes_out(strings: list[str], pieces: list[str]) -> None:
    out, stopped = run(strings, pieces)
    assert not any(string in "".join(out) for string in strings)
    assert stopped == any(string in "".join(pieces) for string in strings)
