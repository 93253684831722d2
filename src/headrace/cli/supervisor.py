"""Keeps child processes that serve: one that starts again when a file changes, or several that share the port."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import click

from headrace.cli.exits import EXIT_CANNOT_START, EXIT_OK, EXIT_STOPPED

LOOK_SECONDS = 0.2
STOP_LOOK_SECONDS = 0.02
RESTING = 20
"""After a look at the files we rest so many times as long as it took: a huge folder costs a twentieth of a core."""

BACKOFF_SECONDS = (0.1, 5.0)
FORGIVEN_SECONDS = 60.0
"""After so long without a death the next one is replaced without a pause again."""


class Process(Protocol):
    """A child; `headrace.cli.children.Child` is one."""

    @property
    def pid(self) -> int:
        """Its process id."""

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""

    def ready(self) -> bool:
        """Whether it answers requests."""

    def stop(self) -> None:
        """Asks it to drain and end."""

    def kill(self) -> None:
        """Ends it at once."""


class Nursery(Protocol):
    """Where children come from; `headrace.cli.children.Children` is one."""

    def start(self, *, announces: bool = True) -> Process:
        """One more child."""


class Changes(Protocol):
    """Where changes come from; `headrace.cli.watch.Watch` is one."""

    def changed(self) -> str | None:
        """What changed since the last call."""


class Supervisor:
    """Starts children, keeps them, and stops them with itself.

    Args:
        nursery: starts them.
        clock: seconds that never go back.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        nursery: Nursery,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._nursery = nursery
        self._clock = clock
        self._sleep = sleep
        self._signals: list[int] = []
        self._roll_asked = False
        self._retired: list[Process] = []  # replaced, and still draining

    def keep_one(self, changes: Changes, patience: float) -> int:
        """One child, started again on every change. Returns the exit code.

        When it ends by itself before the first change, so do we; after that we wait for the change that mends it.

        Args:
            patience: seconds until a child that does not stop is killed.
        """
        with self._taking_signals():
            child, first, told = self._nursery.start(), True, False
            while not self._signals:
                looked = self._clock()
                name = changes.changed()
                rest = max(LOOK_SECONDS, RESTING * (self._clock() - looked))
                if name is not None:
                    click.secho(f"  {name} changed: starting again", fg="yellow", err=True)
                    self._stop([child], patience)
                    if self._signals:
                        break
                    child, first, told = self._nursery.start(), False, False
                elif (code := child.poll()) is not None and first:
                    return code
                elif code is not None and not told:
                    click.secho("  waiting for a change", fg="yellow", err=True)
                    told = True
                self._sleep(rest)
            return self._end([child], patience)

    def keep_many(self, count: int) -> int:
        """Several children that share the port. Returns the exit code.

        One that cannot start ends them all; one that dies is replaced, the more slowly the more often it happens. On
        SIGHUP all of them are replaced, one after the other, by new ones that run the code as it is now; since they
        share the listening socket, no client notices.
        """
        with self._taking_signals(), self._taking_hangups():
            children = [self._nursery.start(announces=number == 0) for number in range(count)]
            pause, retry_at = BACKOFF_SECONDS[0], 0.0
            while not self._signals:
                now = self._clock()
                dead = [(child, code) for child in children if (code := child.poll()) is not None]
                if any(code == EXIT_CANNOT_START for _, code in dead):
                    self._stop(children)
                    return EXIT_CANNOT_START
                if dead and now >= retry_at:
                    child, code = dead[0]
                    click.secho(f"  worker {child.pid} ended with {code}: starting another", fg="red", err=True)
                    children[children.index(child)] = self._nursery.start(announces=False)
                    retry_at, pause = now + pause, min(pause * 2, BACKOFF_SECONDS[1])
                elif not dead and now > retry_at + FORGIVEN_SECONDS:
                    pause = BACKOFF_SECONDS[0]
                if self._roll_asked:
                    self._roll_asked = False
                    self._roll(children)
                self._retired = [child for child in self._retired if child.poll() is None]
                self._sleep(LOOK_SECONDS)
            return self._end([*children, *self._retired])

    def _roll(self, children: list[Process]) -> None:
        """Replaces each child once its successor answers; one that does not come up leaves the rest as they are."""
        for number, old in enumerate(list(children)):
            new = self._nursery.start(announces=False)
            while (code := new.poll()) is None and not new.ready() and not self._signals:
                self._sleep(STOP_LOOK_SECONDS)
            if code is not None or self._signals:
                new.stop()
                self._retired.append(new)
                if code is not None:
                    click.secho(f"  the new worker ended with {code}: the old ones go on", fg="red", err=True)
                return
            children[number] = new
            self._retired.append(old)
            old.stop()
        click.secho(f"  {len(children)} workers replaced", fg="yellow", err=True)

    @contextlib.contextmanager
    def _taking_signals(self) -> Iterator[None]:
        def take(number: int, _: object) -> None:
            self._signals.append(number)

        before = {number: signal.signal(number, take) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def _taking_hangups(self) -> Iterator[None]:
        def take(*_: object) -> None:
            self._roll_asked = True

        before = signal.signal(signal.SIGHUP, take)
        try:
            yield
        finally:
            signal.signal(signal.SIGHUP, before)

    def _stop(self, children: list[Process], patience: float | None = None) -> bool:
        """Asks the children to drain and waits for them; whether they did. A second signal to us ends them at once."""
        for child in children:
            child.stop()
        received, until = len(self._signals), None if patience is None else self._clock() + patience
        killed = False
        while any(child.poll() is None for child in children):
            late = until is not None and self._clock() >= until
            if not killed and (late or len(self._signals) > received):
                killed = True
                for child in children:
                    child.kill()
            self._sleep(STOP_LOOK_SECONDS)
        return not killed

    def _end(self, children: list[Process], patience: float | None = None) -> int:
        drained = self._stop(children, patience)
        return EXIT_OK if drained and signal.SIGINT not in self._signals else EXIT_STOPPED
