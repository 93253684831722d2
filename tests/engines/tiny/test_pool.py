from collections.abc import Sequence

import numpy as np
import pytest
from llama import SMALL, small_tensors

from headrace.engines.tiny.checkpoint import Array
from headrace.engines.tiny.model import Llama
from headrace.engines.tiny.pool import LlamaPool

# "What is streaming?" as a conversation. The expected values come from an independent implementation in float32.
PROMPT = [1, 4, 447, 287, 529, 36, 2, 5]
LOGITS = {
    1628: 17.1718,
    60: 13.6358,
    1699: 13.3786,
    464: 11.2843,
    1375: 11.2289,
    56: 10.8176,
    0: -5.6513,
    2: -0.4925,
    100: -5.6147,
    2047: -2.6628,
}
ANSWER = [1628, 284, 919, 1906, 262, 1372, 322, 440, 1471, 336, 1480, 336, 501, 1371, 287, 1230, 17, 1543, 316, 1250]
OTHERS = [[1, 4, 1404, 2, 5], [1, *range(300, 317)], [1, 70]]


@pytest.fixture
def pool(model: Llama) -> LlamaPool:
    return LlamaPool(model, rows=8, positions=64)


def read(pool: LlamaPool, first: int, new: Sequence[Sequence[int]], lengths: Sequence[int]) -> Array:
    """Computes ragged rows; what is no token is one that would show."""
    tokens = np.full((len(new), max(map(len, new))), 2047)
    for row, each in enumerate(new):
        tokens[row, : len(each)] = each
    return pool.compute(first, tokens, np.array([len(each) for each in new]), np.array(lengths))


def assert_reference(logits: Array) -> None:
    assert {token: float(logits[token]) for token in LOGITS} == pytest.approx(LOGITS, abs=1e-4)


def test_the_logits_of_a_prompt_are_those_of_the_reference(pool: LlamaPool) -> None:
    logits = read(pool, 0, [PROMPT], [0])
    assert (logits.shape, logits.dtype) == ((1, 2048), np.float32)
    assert_reference(logits[0])


@pytest.mark.parametrize("first", [1, 3, 7])
def test_a_prompt_in_two_parts_gives_the_same_logits(pool: LlamaPool, first: int) -> None:
    read(pool, 2, [PROMPT[:first]], [0])
    assert_reference(read(pool, 2, [PROMPT[first:]], [first])[0])


def test_a_prompt_token_by_token_gives_the_same_logits(pool: LlamaPool) -> None:
    logits = [read(pool, 5, [[token]], [length])[0] for length, token in enumerate(PROMPT)]
    assert_reference(logits[-1])


@pytest.mark.parametrize("row", [0, 1, 2, 3])
def test_a_prompt_beside_others_gives_the_same_logits(pool: LlamaPool, row: int) -> None:
    prompts = [*OTHERS[:row], PROMPT, *OTHERS[row:]]
    assert_reference(read(pool, 3, prompts, [0, 0, 0, 0])[row])


def test_answers_under_way_and_newcomers_in_one_call_give_the_same_logits(pool: LlamaPool) -> None:
    read(pool, 0, [PROMPT[:-1], OTHERS[0]], [0, 0])
    logits = read(pool, 0, [PROMPT[-1:], [100], PROMPT, OTHERS[1]], [7, 5, 0, 0])
    assert_reference(logits[0])
    assert_reference(logits[2])


def test_the_likeliest_tokens_are_those_of_the_reference_alone_and_beside_others(pool: LlamaPool) -> None:
    tokens = read(pool, 0, [*OTHERS, PROMPT], [0, 0, 0, 0]).argmax(axis=1)
    lengths = np.array([len(prompt) for prompt in (*OTHERS, PROMPT)])
    answer = [int(tokens[3])]
    while len(answer) < len(ANSWER):
        tokens = pool.compute(0, tokens[:, None], np.ones(4, np.int64), lengths).argmax(axis=1)
        lengths += 1
        answer.append(int(tokens[3]))
    assert answer == ANSWER


def test_a_row_that_has_moved_goes_on_where_it_was(pool: LlamaPool) -> None:
    read(pool, 0, [*OTHERS, PROMPT[:-1]], [0, 0, 0, 0])
    pool.move(3, 1, 7)
    assert_reference(read(pool, 1, [PROMPT[-1:]], [7])[0])


def test_a_row_is_used_again_as_if_it_were_new(pool: LlamaPool) -> None:
    read(pool, 0, [[*range(100, 160)]], [0])
    assert_reference(read(pool, 0, [PROMPT], [0])[0])


def test_tokens_after_those_that_count_are_not_kept(pool: LlamaPool) -> None:
    read(pool, 0, [PROMPT[:3], [1] * 8], [0, 0])
    assert_reference(read(pool, 0, [PROMPT[3:]], [3])[0])


def test_the_last_position_can_be_read(model: Llama) -> None:
    pool = LlamaPool(model, rows=1, positions=8)
    assert_reference(read(pool, 0, [PROMPT], [0])[0])


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8])
def test_any_number_of_rows_gives_as_many_logits(pool: LlamaPool, count: int) -> None:
    logits = read(pool, 0, [PROMPT] * count, [0] * count)
    assert logits.shape == (count, 2048)
    for each in logits:
        assert_reference(each)


def test_a_model_by_hand() -> None:
    """Every token is embedded as four ones, and all that is added to them is alike: the norm makes ones of it again."""
    pool = LlamaPool(Llama(SMALL, small_tensors()), rows=1, positions=4)
    assert read(pool, 0, [[0, 1]], [0])[0].tolist() == pytest.approx([4, 4, 4], abs=1e-5)
