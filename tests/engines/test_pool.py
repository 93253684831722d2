import inspect

import pytest
from pools import ListPool, counting

from headrace.engines.pool import Pool
from headrace.engines.tiny.pool import LlamaPool


@pytest.mark.parametrize("name", ["compute", "move"])
@pytest.mark.parametrize("pool", [ListPool, LlamaPool])
def test_pools_have_the_protocols_signatures(pool: type[Pool], name: str) -> None:
    ours, theirs = (inspect.signature(getattr(each, name), eval_str=True) for each in (Pool, pool))
    assert theirs == ours


def test_a_pool_for_tests_is_one() -> None:
    pool: Pool = ListPool(counting, rows=3, positions=9)
    assert (pool.rows, pool.positions) == (3, 9)
