import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.engines.stopping import StopStrings


def run(strings: list[str], pieces: list[str]) -> tuple[list[str], str | None]:
    """What comes out for each piece, then what was left at the end; and the stop string that was there."""
    stops = StopStrings(strings)
    out = [stops.feed(piece) for piece in pieces]
    return [*out, stops.end()], stops.found


@pytest.mark.parametrize(
    ("strings", "pieces", "out", "found"),
    [
        pytest.param([], ["a", "b"], ["a", "b", ""], None, id="no stop strings"),
        pytest.param(["X"], ["ab", "c"], ["ab", "c", ""], None, id="not there"),
        pytest.param(["X"], ["abXcd"], ["ab", ""], "X", id="in one piece"),
        pytest.param(["END"], ["one E", "ND two"], ["one ", "", ""], "END", id="across a border"),
        pytest.param(["END"], ["one ", "E", "N", "D"], ["one ", "", "", "", ""], "END", id="across three borders"),
        pytest.param(["END"], ["E", "Nough"], ["", "ENough", ""], None, id="a false start is handed out later"),
        pytest.param(["END"], ["the E"], ["the ", "E"], None, id="a false start at the end of the text"),
        pytest.param(["aab"], ["a", "a", "a", "b"], ["", "", "a", "", ""], "aab", id="a start within a start"),
        pytest.param(["\n\n"], ["a\n", "b\n", "\nc"], ["a", "\nb", "", ""], "\n\n", id="a blank line"),
        pytest.param(["abcd", "bc"], ["abcd"], ["a", ""], "bc", id="the one complete first counts"),
        pytest.param(["bc", "abc"], ["abc"], ["", ""], "abc", id="complete together: the longer counts"),
        pytest.param(["X"], ["aX", "b", "c"], ["a", "", "", ""], "X", id="nothing after a stop"),
    ],
)
def test_what_goes_out(strings: list[str], pieces: list[str], out: list[str], found: str | None) -> None:
    assert run(strings, pieces) == (out, found)


STRINGS = st.lists(st.text(alphabet="ab", min_size=1, max_size=4), max_size=3)


@given(STRINGS, st.lists(st.text(alphabet="abc", max_size=5)))
def test_the_borders_between_pieces_never_show(strings: list[str], pieces: list[str]) -> None:
    out, found = run(strings, pieces)
    whole, whole_found = run(strings, ["".join(pieces)])
    assert ("".join(out), found) == ("".join(whole), whole_found)


@given(STRINGS, st.lists(st.text(alphabet="abc", max_size=5)))
def test_no_stop_string_ever_goes_out(strings: list[str], pieces: list[str]) -> None:
    out, found = run(strings, pieces)
    assert not any(string in "".join(out) for string in strings)
    assert (found is not None) == any(string in "".join(pieces) for string in strings)
