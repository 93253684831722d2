import asyncio

from headrace.errors import ClientGone, DeadlineExceeded, StreamError
from headrace.streams.children import Children


class Child:
    """A stream that ends when it is let, however often it is stopped."""

    def __init__(self) -> None:
        self.causes: list[StreamError | None] = []
        self.end = asyncio.Event()

    def cancel(self, cause: StreamError | None = None) -> None:
        self.causes.append(cause)


def adopted(children: Children, child: Child) -> asyncio.Task[None]:
    async def own() -> None:
        await child.end.wait()

    owner = asyncio.get_running_loop().create_task(own())
    children.adopt(child, owner)
    return owner


async def test_all_are_stopped_with_the_cause() -> None:
    children, first, second = Children(), Child(), Child()
    adopted(children, first)
    adopted(children, second)
    cause = ClientGone()
    children.cancel(cause)
    assert (first.causes, second.causes) == ([cause], [cause])
    first.end.set()
    second.end.set()
    assert await children.end() is False


async def test_one_that_comes_after_the_stop_is_stopped_with_the_same_cause() -> None:
    children, late = Children(), Child()
    cause = ClientGone()
    children.cancel(cause)
    adopted(children, late)
    assert late.causes == [cause]
    late.end.set()
    await children.end()


async def test_one_that_comes_in_time_is_not_stopped() -> None:
    children, child = Children(), Child()
    adopted(children, child)
    assert child.causes == []
    child.end.set()
    await children.end()


async def test_the_first_cause_counts() -> None:
    children, child = Children(), Child()
    cause = ClientGone()
    children.cancel(cause)
    children.cancel(DeadlineExceeded())
    adopted(children, child)
    assert child.causes == [cause]
    child.end.set()
    await children.end()


async def test_one_that_has_ended_is_not_stopped_any_more() -> None:
    children, child = Children(), Child()
    owner = adopted(children, child)
    child.end.set()
    await owner
    await asyncio.sleep(0)
    children.cancel()
    assert child.causes == []


async def test_the_end_is_waited_for() -> None:
    children, child = Children(), Child()
    owner = adopted(children, child)
    cause = ClientGone()
    ending = asyncio.get_running_loop().create_task(children.end(cause))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not ending.done()
    assert child.causes == [cause]
    child.end.set()
    assert await ending is False
    assert owner.done()


async def test_one_that_is_adopted_while_the_end_is_waited_for_is_waited_for_too() -> None:
    children, child, late = Children(), Child(), Child()
    adopted(children, child)
    ending = asyncio.get_running_loop().create_task(children.end())
    await asyncio.sleep(0)
    owner = adopted(children, late)
    child.end.set()
    await asyncio.sleep(0)
    late.end.set()
    await ending
    assert owner.done()


async def test_a_cancelled_wait_goes_on_and_is_told() -> None:
    children, child = Children(), Child()
    owner = adopted(children, child)
    ending = asyncio.get_running_loop().create_task(children.end())
    await asyncio.sleep(0)
    ending.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not ending.done()
    child.end.set()
    assert await ending is True
    assert owner.done()


async def test_without_children_there_is_nothing_to_wait_for() -> None:
    assert await Children().end() is False
