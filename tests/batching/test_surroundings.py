"""Surroundings hold for the code inside a block and for what it starts."""

import asyncio

import pytest

from headrace.batching.surroundings import SURROUNDINGS, Surroundings, surrounded
from headrace.metrics import Metrics


@pytest.fixture
async def surroundings() -> Surroundings:
    return Surroundings(asyncio.get_running_loop(), Metrics(), lambda: None)


async def test_there_are_none_until_somebody_sets_them(surroundings: Surroundings) -> None:
    assert SURROUNDINGS.get() is None
    with surrounded(surroundings):
        assert SURROUNDINGS.get() is surroundings
    assert SURROUNDINGS.get() is None


async def test_they_go_with_tasks_and_threads(surroundings: Surroundings) -> None:
    async def read() -> Surroundings | None:
        return SURROUNDINGS.get()

    with surrounded(surroundings):
        task = asyncio.create_task(read())
        assert await asyncio.to_thread(SURROUNDINGS.get) is surroundings
    assert await task is surroundings
