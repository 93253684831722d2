from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pools import ListPool, counting

from headrace.engines.rows import GROUP, Rows


def standing(lengths: Sequence[int]) -> tuple[Rows[str], ListPool]:
    """Rows of these lengths, named a, b, c ...; each holds its own number, so many times."""
    pool = ListPool(counting, rows=len(lengths), positions=100)
    rows: Rows[str] = Rows(pool)
    for row, length in enumerate(lengths):
        pool.held[row] = [row] * length
        rows.places.append(chr(ord("a") + row))
        rows.lengths[row] = length
        rows.tokens[row] = 1000 + row
    return rows, pool


@pytest.mark.parametrize(
    ("count", "row", "left"),
    [
        pytest.param(1, 0, "", id="the only one"),
        pytest.param(3, 2, "ab", id="the last one"),
        pytest.param(3, 0, "cb", id="the last one moves up"),
        pytest.param(8, 3, "abchefg", id="within a group"),
        pytest.param(9, 0, "ibcdefgh", id="the only one of the next group"),
        pytest.param(17, 2, "abidefghqjklmnop", id="through the groups"),
    ],
)
def test_the_rows_in_use_stay_the_first_ones(count: int, row: int, left: str) -> None:
    rows, _ = standing([50 - number for number in range(count)])
    rows.free(row)
    assert "".join(rows.places) == left


def test_the_longest_of_the_next_group_moves_up() -> None:
    rows, _ = standing([50] * GROUP + [7, 9, 8])
    rows.free(5)
    assert "".join(rows.places) == "abcdejghik"


@given(st.lists(st.integers(1, 100), min_size=1, max_size=24), st.data())
def test_each_keeps_its_tokens_its_length_and_its_last_token(lengths: list[int], data: st.DataObject) -> None:
    rows, pool = standing(lengths)
    while rows.places:
        leaving = data.draw(st.integers(0, len(rows.places) - 1))
        stay = {*rows.places} - {rows.places[leaving]}
        rows.free(leaving)
        assert {*rows.places} == stay
        for row, name in enumerate(rows.places):
            number = ord(name) - ord("a")
            assert pool.held[row][: lengths[number]] == [number] * lengths[number]
            assert (rows.lengths[row], rows.tokens[row]) == (lengths[number], 1000 + number)


def test_a_row_that_leaves_costs_one_move_for_each_group() -> None:
    rows, pool = standing([50] * 24)
    moves: list[tuple[int, int, int]] = []
    pool.move = lambda *move: moves.append(move)  # type: ignore[method-assign]
    rows.free(3)
    assert moves == [(8, 3, 50), (16, 8, 50), (23, 16, 50)]
