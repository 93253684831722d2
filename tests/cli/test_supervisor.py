"""When children are started, replaced and stopped: the same loop, on children and a clock made of paper."""

import signal
from collections.abc import Callable

import pytest

from headrace.cli.supervisor import Supervisor


class PaperChild:
    """A child that ends when it is told to, `slowness` seconds later."""

    def __init__(self, stage: "Stage", pid: int) -> None:
        self.stage = stage
        self.pid = pid
        self.code: int | None = None
        self.ends_at: float | None = None
        self.started_at = stage.now

    def poll(self) -> int | None:
        if self.code is None and self.ends_at is not None and self.stage.now >= self.ends_at:
            self.code = 0
        return self.code

    def ready(self) -> bool:
        return self.stage.now >= self.started_at + self.stage.takes

    def stop(self) -> None:
        self.stage.said.append(f"{self.stage.now:g}: stop {self.pid}")
        self.ends_at = self.stage.now + self.stage.slowness

    def kill(self) -> None:
        if self.code is None:
            self.stage.said.append(f"{self.stage.now:g}: kill {self.pid}")
            self.code = 137


class Stage:
    """The children, the clock, the files, and what happens when.

    Args:
        script: what happens at a time, in seconds; each once.
        slowness: how long children take to stop.
        look_takes: how long a look at the files takes.
    """

    def __init__(
        self, script: dict[float, Callable[["Stage"], None]], slowness: float = 0.0, look_takes: float = 0.0
    ) -> None:
        self.script = dict(script)
        self.slowness = slowness
        self.look_takes = look_takes
        self.takes = 0.09  # until a child is ready
        self.now = 0.0
        self.said: list[str] = []
        self.children: list[PaperChild] = []
        self.change: str | None = None
        self.looks = 0

    def start(self, *, announces: bool = True) -> PaperChild:
        child = PaperChild(self, len(self.children) + 1)
        self.children.append(child)
        self.said.append(f"{self.now:g}: start {child.pid}{'' if announces else ' quietly'}")
        return child

    def changed(self) -> str | None:
        self.looks += 1
        self.now = round(self.now + self.look_takes, 3)
        change, self.change = self.change, None
        return change

    def sleep(self, seconds: float) -> None:
        self.now = round(self.now + seconds, 3)
        for time in sorted(self.script):
            if time <= self.now:
                self.script.pop(time)(self)

    def supervisor(self) -> Supervisor:
        return Supervisor(self, lambda: self.now, self.sleep)


def receive(number: int) -> Callable[[Stage], None]:
    return lambda _: signal.raise_signal(number)


def edit(name: str) -> Callable[[Stage], None]:
    def act(stage: Stage) -> None:
        stage.change = name

    return act


def end(pid: int, code: int) -> Callable[[Stage], None]:
    def act(stage: Stage) -> None:
        stage.children[pid - 1].code = code

    return act


TERM, INT = receive(signal.SIGTERM), receive(signal.SIGINT)


# one child


def test_one_child_is_kept_until_a_signal() -> None:
    stage = Stage({1.0: TERM})
    assert stage.supervisor().keep_one(stage, patience=3) == 0
    assert stage.said == ["0: start 1", "1: stop 1"]


def test_ctrl_c_is_told_in_the_exit_code() -> None:
    stage = Stage({1.0: INT})
    assert stage.supervisor().keep_one(stage, patience=3) == 130


def test_a_change_stops_the_child_and_starts_another(capsys: pytest.CaptureFixture[str]) -> None:
    stage = Stage({1.0: edit("app.py"), 2.0: TERM}, slowness=0.1)
    assert stage.supervisor().keep_one(stage, patience=3) == 0
    assert stage.said == ["0: start 1", "1: stop 1", "1.1: start 2", "2.1: stop 2"]
    assert capsys.readouterr().err == "  app.py changed: starting again\n"


@pytest.mark.parametrize("code", [3, 137, 0])
def test_a_child_that_ends_by_itself_before_a_change_ends_the_command(code: int) -> None:
    stage = Stage({1.0: end(1, code)})
    assert stage.supervisor().keep_one(stage, patience=3) == code


def test_a_child_that_ends_after_a_change_is_waited_out(capsys: pytest.CaptureFixture[str]) -> None:
    stage = Stage({1.0: edit("app.py"), 2.0: end(2, 3), 4.0: edit("app.py"), 5.0: TERM})
    assert stage.supervisor().keep_one(stage, patience=3) == 0
    assert stage.said == ["0: start 1", "1: stop 1", "1: start 2", "4: stop 2", "4: start 3", "5: stop 3"]
    changed, waiting, _ = capsys.readouterr().err.splitlines()
    assert [changed, waiting] == ["  app.py changed: starting again", "  waiting for a change"]


def test_a_child_that_does_not_stop_is_killed_when_patience_ends() -> None:
    stage = Stage({1.0: edit("app.py"), 5.0: TERM}, slowness=100)
    assert stage.supervisor().keep_one(stage, patience=3) == 130
    assert stage.said == [
        *["0: start 1", "1: stop 1", "4: kill 1", "4.02: start 2"],
        *["5.02: stop 2", "8.02: kill 2"],
    ]  # fmt: skip


def test_a_signal_during_a_reload_starts_no_other_child() -> None:
    stage = Stage({1.0: edit("app.py"), 1.5: INT}, slowness=1)
    assert stage.supervisor().keep_one(stage, patience=3) == 130
    assert [line for line in stage.said if "start" in line] == ["0: start 1"]


def test_a_second_signal_kills() -> None:
    stage = Stage({1.0: INT, 1.5: INT}, slowness=100)
    assert stage.supervisor().keep_one(stage, patience=50) == 130
    assert stage.said == ["0: start 1", "1: stop 1", "1.5: kill 1"]


def test_files_are_looked_at_five_times_a_second() -> None:
    stage = Stage({10.0: TERM})
    stage.supervisor().keep_one(stage, patience=3)
    assert stage.looks == 50


def test_looks_that_take_long_are_taken_seldom() -> None:
    stage = Stage({21.0: TERM}, look_takes=0.1)
    stage.supervisor().keep_one(stage, patience=3)
    assert stage.looks == 10


def test_the_handlers_of_signals_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    stage = Stage({1.0: TERM})
    stage.supervisor().keep_one(stage, patience=3)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


# several children


def test_of_several_children_one_announces_itself() -> None:
    stage = Stage({1.0: TERM})
    assert stage.supervisor().keep_many(3) == 0
    assert stage.said == [
        *["0: start 1", "0: start 2 quietly", "0: start 3 quietly"],
        *["1: stop 1", "1: stop 2", "1: stop 3"],
    ]  # fmt: skip


def test_a_child_that_dies_is_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    stage = Stage({1.0: end(1, 137), 2.0: TERM})
    assert stage.supervisor().keep_many(2) == 0
    assert stage.said[2:] == ["1: start 3 quietly", "2: stop 3", "2: stop 2"]
    assert capsys.readouterr().err == "  worker 1 ended with 137: starting another\n"


def test_a_child_that_cannot_start_ends_them_all() -> None:
    stage = Stage({1.0: end(2, 3)}, slowness=0.5)
    assert stage.supervisor().keep_many(3) == 3
    assert stage.said[3:] == ["1: stop 1", "1: stop 2", "1: stop 3"]
    assert stage.now >= 1.5


def test_children_that_die_again_and_again_are_replaced_ever_more_slowly() -> None:
    stage = Stage({30.0: TERM})

    def start(*, announces: bool = True) -> PaperChild:
        child = Stage.start(stage, announces=announces)
        child.code = 1
        return child

    stage.start = start  # type: ignore[method-assign]
    stage.supervisor().keep_many(1)
    times = [float(line.split(":")[0]) for line in stage.said if "start" in line]
    assert times == [0.0, 0.0, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 11.4, 16.4, 21.4, 26.4]


def test_a_death_after_a_long_life_is_not_held_against_the_next() -> None:
    script = {
        1.0: end(1, 1),
        1.2: end(2, 1),
        1.4: end(3, 1),
        1.8: end(4, 1),
        90.0: end(5, 1),
        90.2: end(6, 1),
        91.0: TERM,
    }
    stage = Stage(script)
    stage.supervisor().keep_many(1)
    times = [float(line.split(":")[0]) for line in stage.said if "start" in line]
    assert times == [0.0, 1.0, 1.2, 1.4, 1.8, 90.0, 90.2]


def test_a_second_signal_kills_all_that_still_run() -> None:
    stage = Stage({1.0: INT, 2.0: INT}, slowness=100)
    assert stage.supervisor().keep_many(2) == 130
    assert stage.said[2:] == ["1: stop 1", "1: stop 2", "2: kill 1", "2: kill 2"]


def test_children_that_serve_may_take_their_time_to_stop() -> None:
    stage = Stage({1.0: TERM}, slowness=500)
    assert stage.supervisor().keep_many(2) == 0
    assert stage.now >= 501


# a rolling restart


def HANGUP(_: Stage) -> None:
    signal.raise_signal(signal.SIGHUP)


def test_a_hangup_replaces_each_child_once_its_successor_answers(capsys: pytest.CaptureFixture[str]) -> None:
    stage = Stage({1.0: HANGUP, 5.0: TERM}, slowness=0.5)
    assert stage.supervisor().keep_many(2) == 0
    assert stage.said == [
        *["0: start 1", "0: start 2 quietly"],
        *["1: start 3 quietly", "1.1: stop 1", "1.1: start 4 quietly", "1.2: stop 2"],
        *["5: stop 3", "5: stop 4"],
    ]  # fmt: skip
    assert capsys.readouterr().err == "  2 workers replaced\n"


def test_a_successor_that_does_not_come_up_leaves_the_old_ones(capsys: pytest.CaptureFixture[str]) -> None:
    stage = Stage({1.0: HANGUP, 1.05: end(3, 3), 5.0: TERM})
    assert stage.supervisor().keep_many(2) == 0
    assert stage.said[2:] == ["1: start 3 quietly", "1.06: stop 3", "5.06: stop 1", "5.06: stop 2"]
    assert capsys.readouterr().err == "  the new worker ended with 3: the old ones go on\n"


def test_a_replaced_child_that_still_drains_is_waited_for() -> None:
    stage = Stage({1.0: HANGUP, 1.5: TERM}, slowness=10)
    assert stage.supervisor().keep_many(1) == 0
    assert stage.now >= 11.5
