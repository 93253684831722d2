from collections import Counter

import numpy as np
import pytest

from headrace.engines.engine import Sampling
from headrace.engines.tiny.sampling import Sampler

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
