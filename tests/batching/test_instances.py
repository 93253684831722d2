"""A queue per instance and event loop, and nothing kept alive by that."""

import asyncio
import gc
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from headrace.batching.instances import Instances


class Queue:
    """What is made for each."""


@pytest.fixture
def instances() -> Instances[Queue]:
    return Instances(Queue)


@pytest.fixture
def loops() -> Iterator[list[asyncio.AbstractEventLoop]]:
    made = [asyncio.new_event_loop(), asyncio.new_event_loop()]
    yield made
    for loop in made:
        loop.close()


class Plain:
    pass


@dataclass
class Equal:
    """Without a hash; all are equal."""


class Slotted:
    __slots__ = ("token",)


@pytest.mark.parametrize("kind", [Plain, Equal, Slotted])
def test_an_instance_has_one_queue_per_loop(instances: Instances[Queue], loops: Any, kind: type) -> None:
    one, other, (here, there) = kind(), kind(), loops
    queue = instances.queue(one, here)
    assert instances.queue(one, here) is queue
    assert len({queue, instances.queue(one, there), instances.queue(other, here)}) == 3
    assert set(instances.queues(one)) == {queue, instances.queue(one, there)}


def test_the_queues_of_all_instances_are_known(instances: Instances[Queue], loops: Any) -> None:
    one, other = Plain(), Plain()
    queues = [instances.queue(one, loops[0]), instances.queue(one, loops[1]), instances.queue(other, loops[0])]
    assert set(instances.all()) == set(queues)


def test_a_plain_function_has_one_too(instances: Instances[Queue], loops: Any) -> None:
    assert instances.queue(None, loops[0]) is instances.queue(None, loops[0])


def test_an_instance_is_not_kept_alive(instances: Instances[Queue], loops: Any) -> None:
    model = Plain()
    died, queue = weakref.ref(model), weakref.ref(instances.queue(model, loops[0]))
    del model
    gc.collect()
    assert (died(), queue(), instances._entries) == (None, None, {})


def test_a_loop_is_not_kept_alive(instances: Instances[Queue]) -> None:
    model, loop = Plain(), asyncio.new_event_loop()
    died, queue = weakref.ref(loop), weakref.ref(instances.queue(model, loop))
    loop.close()
    del loop
    gc.collect()
    assert (died(), queue()) == (None, None)


def test_an_instance_that_cannot_be_held_weakly_is_let_go_at_rest(instances: Instances[Queue], loops: Any) -> None:
    model = Slotted()
    model.token = Plain()
    died = weakref.ref(model.token)
    instances.queue(model, loops[0])
    instances.rest(model)
    del model
    gc.collect()
    assert (died(), instances._entries) == (None, {})


def test_one_that_can_keeps_its_queue_at_rest(instances: Instances[Queue], loops: Any) -> None:
    model = Plain()
    queue = instances.queue(model, loops[0])
    instances.rest(model)
    assert instances.queue(model, loops[0]) is queue


def test_an_address_that_is_used_again_is_another_instance(loops: Any) -> None:
    instances: Instances[Queue] = Instances(Queue)
    seen = set()
    for _ in range(100):
        model = Plain()
        queue = instances.queue(model, loops[0])
        assert queue not in seen
        seen.add(queue)


def test_the_only_open_loop_of_an_instance_is_known(instances: Instances[Queue], loops: Any) -> None:
    model, (here, there) = Plain(), loops
    with pytest.raises(RuntimeError, match="this thread has none, and no event loop uses it yet"):
        instances.loop(model)
    instances.queue(model, here)
    assert instances.loop(model) is here
    instances.queue(model, there)
    with pytest.raises(RuntimeError, match="this thread has none, and several event loops use it"):
        instances.loop(model)
    here.close()
    assert instances.loop(model) is there
