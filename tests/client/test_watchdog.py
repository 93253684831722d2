"""Interrupts at the moment, for reads that block."""

import threading
import time
from collections.abc import Callable

from headrace.client.watchdog import Watchdog

WITHIN = 5.0


def barking() -> tuple[Callable[[], None], threading.Event]:
    heard = threading.Event()
    return heard.set, heard


def running() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "headrace-watchdog"]


def ended() -> bool:
    for thread in running():
        thread.join(WITHIN)
    return running() == []


def test_a_read_is_interrupted_at_its_moment() -> None:
    interrupt, heard = barking()
    watch = Watchdog().watch(interrupt)
    began = time.monotonic()
    watch.set(0.1)
    assert heard.wait(WITHIN)
    assert 0.1 <= time.monotonic() - began < 1
    assert watch.fired
    watch.end()
    assert ended()


def test_a_read_that_is_over_is_not_interrupted() -> None:
    dog = Watchdog()
    interrupt, heard = barking()
    other, later = barking()
    first, second = dog.watch(interrupt), dog.watch(other)
    first.set(0.05)
    first.clear()
    second.set(0.1)
    assert later.wait(WITHIN)
    assert not heard.is_set()
    assert not first.fired
    first.end()
    second.end()
    assert ended()


def test_an_earlier_moment_wakes_the_thread_that_sleeps_for_a_later_one() -> None:
    dog = Watchdog()
    interrupt, heard = barking()
    late, early = dog.watch(lambda: None), dog.watch(interrupt)
    late.set(60.0)
    asleep_until = late.until
    until = time.monotonic() + WITHIN
    while dog._wakes != asleep_until:
        assert time.monotonic() < until
    early.set(0.05)
    assert heard.wait(WITHIN)
    assert not late.fired
    late.end()
    early.end()
    assert ended()


def test_a_moment_that_was_put_off_is_the_later_one() -> None:
    interrupt, heard = barking()
    watch = Watchdog().watch(interrupt)
    began = time.monotonic()
    for _ in range(20):
        watch.set(0.15)
        watch.clear()
    watch.set(0.15)
    assert heard.wait(WITHIN)
    assert time.monotonic() - began >= 0.15
    watch.end()
    assert ended()


def test_the_thread_ends_with_the_last_watch_and_begins_again_with_the_next() -> None:
    dog = Watchdog()
    for _ in range(3):
        watch = dog.watch(lambda: None)
        watch.set(60.0)
        assert len(running()) == 1
        watch.end()
        assert ended()


def test_an_interrupt_may_end_its_watch() -> None:
    heard = threading.Event()
    watch = Watchdog().watch(lambda: (watch.end(), heard.set())[1])
    watch.set(0.01)
    assert heard.wait(WITHIN)
    assert ended()
