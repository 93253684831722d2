from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace.engines.generation import Sampling
from headrace.engines.sampling import Sampler, nucleus

LOGITS = np.log(np.array([0.1, 0.5, 0.15, 0.25], np.float32))  # probabilities, at temperature 1


def chosen(sampling: Sampling, count: int = 2000) -> Counter[int]:
    sampler = Sampler(sampling)
    return Counter(sampler.choose(LOGITS) for _ in range(count))


def test_temperature_zero_takes_the_likeliest() -> None:
    assert chosen(Sampling(temperature=0.0), 20) == {1: 20}


def test_of_equally_likely_tokens_greedy_takes_the_first() -> None:
    assert Sampler(Sampling()).choose(np.array([1, 3, 3, 2], np.float32)) == 1


def test_temperature_one_draws_in_proportion() -> None:
    counts = chosen(Sampling(temperature=1.0, seed=1))
    shares = [counts[token] / 2000 for token in range(4)]
    assert shares == pytest.approx([0.1, 0.5, 0.15, 0.25], abs=0.03)


def test_a_lower_temperature_sharpens() -> None:
    counts = chosen(Sampling(temperature=0.5, seed=1))  # probabilities squared, over their sum of 0.345
    shares = [counts[token] / 2000 for token in range(4)]
    assert shares == pytest.approx([0.029, 0.725, 0.065, 0.181], abs=0.03)


@pytest.mark.parametrize(
    ("top_p", "tokens"),
    [(0.01, {1}), (0.49, {1}), (0.51, {1, 3}), (0.74, {1, 3}), (0.76, {1, 2, 3}), (1.0, {0, 1, 2, 3})],
)
def test_top_p_keeps_the_smallest_set_that_reaches_it(top_p: float, tokens: set[int]) -> None:
    assert set(chosen(Sampling(temperature=1.0, top_p=top_p, seed=1))) == tokens


def test_the_same_seed_draws_the_same_tokens() -> None:
    one, other = Sampler(Sampling(temperature=1.0, seed=5)), Sampler(Sampling(temperature=1.0, seed=5))
    assert [one.choose(LOGITS) for _ in range(50)] == [other.choose(LOGITS) for _ in range(50)]


def test_another_seed_draws_other_tokens() -> None:
    one, other = Sampler(Sampling(temperature=1.0, seed=5)), Sampler(Sampling(temperature=1.0, seed=6))
    assert [one.choose(LOGITS) for _ in range(50)] != [other.choose(LOGITS) for _ in range(50)]


def test_without_a_seed_each_sampler_draws_its_own_tokens() -> None:
    one, other = Sampler(Sampling(temperature=1.0)), Sampler(Sampling(temperature=1.0))
    assert [one.choose(LOGITS) for _ in range(200)] != [other.choose(LOGITS) for _ in range(200)]


def test_huge_logits_and_a_tiny_temperature_do_not_overflow() -> None:
    sampler = Sampler(Sampling(temperature=1e-6, seed=1))
    assert sampler.choose(np.array([-3e38, 3e38, 1e38], np.float32)) == 1


def test_impossible_tokens_are_never_drawn() -> None:
    sampler = Sampler(Sampling(temperature=2.0, seed=1))
    logits = np.array([-np.inf, 0, -np.inf, 0], np.float32)
    assert {sampler.choose(logits) for _ in range(100)} == {1, 3}


@pytest.mark.parametrize(
    ("top_k", "tokens"), [(1, {1}), (2, {1, 3}), (3, {1, 2, 3}), (4, {0, 1, 2, 3}), (9, {0, 1, 2, 3})]
)
def test_top_k_keeps_so_many_of_the_likeliest(top_k: int, tokens: set[int]) -> None:
    assert set(chosen(Sampling(temperature=1.0, top_k=top_k, seed=1))) == tokens


def test_of_the_tokens_that_are_left_the_shares_stay_in_proportion() -> None:
    for sampling in (Sampling(temperature=1.0, top_k=2, seed=1), Sampling(temperature=1.0, top_p=0.7, seed=1)):
        counts = chosen(sampling)
        assert [counts[1] / 2000, counts[3] / 2000] == pytest.approx([2 / 3, 1 / 3], abs=0.03)


def test_top_p_counts_within_top_k() -> None:
    assert set(chosen(Sampling(temperature=1.0, top_k=2, top_p=0.6, seed=1))) == {1}  # 0.5 of 0.75 reaches 0.6


def test_of_equally_likely_tokens_at_the_border_the_first_are_kept() -> None:
    sampler = Sampler(Sampling(temperature=1.0, top_p=0.5, seed=1))
    assert {sampler.choose(np.zeros(4, np.float32)) for _ in range(100)} == {0, 1}


@given(st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=50), st.floats(0.01, 1))
@example([11.0, -10.0, -12.0], 1.0)
def test_what_is_left_out_before_sorting_changes_nothing(values: list[float], top_p: float) -> None:
    weights = np.exp(np.array(values) - max(values))
    likely = sorted(range(len(weights)), key=lambda place: (-weights[place], place))
    kept = nucleus(weights, top_p).tolist()
    assert kept == likely[: len(kept)]
    share, rounding = top_p * weights.sum(), 1e-12
    assert weights[kept].sum() >= share * (1 - rounding)
    assert weights[kept[:-1]].sum() < share * (1 + rounding)  # one fewer would not reach it


@pytest.mark.parametrize(
    ("sampling", "tokens"),
    [
        pytest.param(Sampling(presence_penalty=0.8), [1, 3, 1, 1], id="presence, once however often"),
        pytest.param(Sampling(frequency_penalty=0.8), [1, 3, 1, 2], id="frequency, each time"),
        pytest.param(Sampling(presence_penalty=-2.0), [1, 1, 1, 1], id="a negative one keeps it going"),
        pytest.param(Sampling(logit_bias={0: 100.0}), [0, 0, 0, 0], id="a bias that forces"),
        pytest.param(Sampling(logit_bias={1: -100.0, 3: -100.0}), [2, 2, 2, 2], id="biases that forbid"),
        pytest.param(Sampling(logit_bias={0: 1.0}), [1, 1, 1, 1], id="a bias that is not enough"),
        pytest.param(Sampling(logit_bias={2: 1.3}, frequency_penalty=1.0), [2, 1, 3, 2], id="both"),
    ],
)
def test_penalties_and_biases_are_added_to_the_logits(sampling: Sampling, tokens: list[int]) -> None:
    sampler = Sampler(sampling)
    assert [sampler.choose(LOGITS) for _ in tokens] == tokens
    assert np.exp(LOGITS) == pytest.approx([0.1, 0.5, 0.15, 0.25])  # the caller's own are as they were


def test_penalties_count_for_drawn_tokens_too() -> None:
    sampler = Sampler(Sampling(temperature=0.01, frequency_penalty=2.0, seed=1))
    assert [sampler.choose(LOGITS) for _ in range(5)] == [1, 3, 2, 0, 1]


@pytest.mark.parametrize(
    ("sampling", "greedy"),
    [
        (Sampling(), True),
        (Sampling(top_p=0.5, top_k=3, seed=1, logprobs=5), True),
        (Sampling(temperature=0.1), False),
        (Sampling(presence_penalty=0.1), False),
        (Sampling(frequency_penalty=-0.1), False),
        (Sampling(logit_bias={1: 1.0}), False),
    ],
)
def test_only_a_plain_greedy_one_need_not_be_asked(sampling: Sampling, greedy: bool) -> None:
    assert Sampler(sampling).greedy == greedy
