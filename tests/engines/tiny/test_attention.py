import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.engines.tiny.attention import WASTE, Attention, groups
from headrace.engines.tiny.checkpoint import Array


def slowly(queries: Array, keys: Array, values: Array, seen: int) -> Array:
    """One token: queries (H, E), keys and values (K, positions, E), position by position."""
    shared = len(queries) // len(keys)
    mixed = np.empty_like(queries)
    for head, query in enumerate(queries):
        weights = [np.exp(query @ keys[head // shared, at]) for at in range(seen)]
        mixed[head] = sum(w * values[head // shared, at] for at, w in enumerate(weights)) / sum(weights)
    return mixed


@pytest.mark.parametrize(
    ("lengths", "new"),
    [
        pytest.param([0], [1], id="the first token"),
        pytest.param([5, 3, 9], [1, 1, 1], id="one token each"),
        pytest.param([0], [6], id="a prompt"),
        pytest.param([7], [6], id="a part of a prompt"),
        pytest.param([0, 0, 2], [4, 2, 3], id="several prompts"),
        pytest.param([5, 3, 0, 4], [1, 1, 4, 2], id="one token each, and prompts behind them"),
        pytest.param([5, 0, 8], [1, 3, 1], id="one token behind a prompt"),
    ],
)
def test_every_token_sees_its_row_up_to_itself(lengths: list[int], new: list[int]) -> None:
    dice = np.random.default_rng(1)
    keys, values = dice.normal(size=(2, len(new), 2, 20, 8)).astype(np.float32)  # (B, K, positions, E)
    row = np.repeat(np.arange(len(new)), new)
    column = np.concatenate([np.arange(count) for count in new])
    position = np.asarray(lengths)[row] + column
    queries = dice.normal(size=(len(row), 6, 8)).astype(np.float32)  # (N, H, E)
    mixed = np.full_like(queries, np.nan)
    Attention(row, column, position).mix(queries, keys, values, mixed)
    for token, (its_row, at) in enumerate(zip(row, position, strict=True)):
        wanted = slowly(queries[token], keys[its_row], values[its_row], at + 1)
        assert mixed[token] == pytest.approx(wanted, abs=1e-5)


def test_large_scores_do_not_overflow() -> None:
    keys = np.full((1, 1, 2, 1), 100, np.float32)
    mixed = np.empty((1, 1, 1), np.float32)
    Attention(*np.array([[0], [0], [1]])).mix(np.full((1, 1, 1), 100, np.float32), keys, keys, mixed)
    assert mixed.tolist() == [[[100]]]


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        ([7], [(1, 7)]),
        ([50] * 32, [(32, 50)]),
        ([300, 200, 200, 199, 20, 20], [(4, 300), (2, 20)]),
        ([1000, 10, 1000], [(1, 1000), (1, 10), (1, 1000)]),
    ],
)
def test_rows_of_about_one_length_are_one_group(seen: list[int], found: list[tuple[int, int]]) -> None:
    assert [(rows.stop - rows.start, most) for rows, most, _ in groups(np.array(seen))] == found


@given(st.lists(st.integers(1, 1024), min_size=1, max_size=64))
def test_groups_have_every_row_and_waste_little(seen: list[int]) -> None:
    stop = 0
    for rows, most, hidden in groups(np.array(seen)):
        its = seen[rows]
        assert rows.start == stop
        assert most == max(its)
        assert sum(most - each for each in its) <= WASTE
        assert (hidden is None) == (len({*its}) == 1)
        if hidden is not None:
            assert hidden.shape == (len(its), 1, 1, most)
            assert (hidden == 0).sum(axis=(1, 2, 3)).tolist() == its
            assert np.isneginf(hidden[hidden != 0]).all()
        stop = rows.stop
    assert stop == len(seen)
