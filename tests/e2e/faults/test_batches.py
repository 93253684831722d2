"""Rows F1 to F4 with `@batch`: one bad request, leavers, wrong steps, long beside short."""

import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from crowd import answer_in, crowd, lift_descriptor_limit, request, reset, rest_of
from figures import FULL, Figure
from served import Served, receive

LOOM = "tests/e2e/faults/loom.py"


@pytest.fixture(scope="module")
def loom() -> Iterator[Served]:
    """One loom for all of these tests."""
    lift_descriptor_limit()
    served = Served("run", LOOM, "--port", "0", "--log-format", "json").ready()
    try:
        yield served
        served.assert_every_stream_ended()
        assert served.metric("headrace_batch_waiting") == 0
    finally:
        served.stop()


def cloth(name: str, count: int) -> list[str]:
    """What somebody gets who asked for so many items."""
    return [f"{name}.{number}" for number in range(count)]


# F1


@pytest.mark.parametrize("path", ["/colour", "/yarn"])
def test_a_poisoned_request_fails_alone(loom: Served, figure: Figure, path: str) -> None:
    names = [f"mate{n}" for n in range(7)]
    names.insert(3, "poison")
    count = {} if path == "/colour" else {"count": 20}
    answers = crowd(loom.port, path, [{"name": name, **count} for name in names])
    bad = answers.pop(3)
    assert (bad.status, bad.error) == (500, "internal")
    assert b"spoiled" not in bad.body
    names.pop(3)
    right = [[name.upper()] if path == "/colour" else cloth(name, 20) for name in names]
    broken = sum(not answer.is_whole(items) for answer, items in zip(answers, right, strict=True))
    figure("F1", f"@batch {path}: of 7 mates of a poisoned request, not whole", broken, 0)


def test_a_storm_of_300_with_poison_gives_no_wrong_answer(loom: Served, figure: Figure) -> None:
    dice = random.Random(7)
    names = [f"{'poison' if dice.random() < 0.2 else 'n'}{n}" for n in range(300)]
    wrong = 0
    for name, answer in zip(names, crowd(loom.port, "/colour", [{"name": name} for name in names]), strict=True):
        if name.startswith("poison"):
            wrong += answer.error != "internal"
        else:
            wrong += not answer.is_whole([name.upper()])
    figure("F1", "@batch: wrong answers in a storm of 300", wrong, 0)
    assert max(loom.state()["sizes"]) == 8
    assert loom.metric("headrace_batch_size_sum", 'function="Loom.dye"') >= 300


# F2


@pytest.mark.parametrize("path", ["/cloth", "/cloth_in_a_thread"])
def test_members_that_leave_are_known_at_the_next_step_and_their_mates_are_on_time(
    loom: Served, figure: Figure, path: str
) -> None:
    kind = path.replace("/cloth", "x")
    leavers = [loom.send(path, {"name": f"{kind}leaver{n}", "count": 10_000}) for n in range(3)]
    mates = [loom.send(path, {"name": f"{kind}mate{n}", "count": 200}) for n in range(5)]
    for connection in (*leavers, *mates):
        receive(connection, b".2")
    left: dict[str, float] = {}
    for n, connection in enumerate(leavers):
        left[f"{kind}leaver{n}"] = time.monotonic()
        reset(connection)
    loom.until(lambda: left.keys() <= loom.state()["gone"].keys(), within=5)
    freed = loom.state()["gone"]
    figure(
        "F2", f"@batch {path}: a leaver's place is free after, s", max(freed[each] - left[each] for each in left), 0.5
    )
    whole = [receive(connection, f"{kind}mate{n}.199".encode()) for n, connection in enumerate(mates)]
    figure("F2", f"@batch {path}: of 5 mates, not whole", 5 - len(whole), 0)
    for connection in mates:
        connection.close()
    loom.until(lambda: loom.state()["running"] == 0, within=1)  # though the leavers' streams were far from their end


@pytest.mark.parametrize("path", ["/cloth", "/cloth_in_a_thread"])
def test_when_all_members_have_left_the_generator_is_closed(loom: Served, figure: Figure, path: str) -> None:
    connections = [loom.send(path, {"name": f"n{n}", "count": 10_000}) for n in range(8)]
    for connection in connections:
        receive(connection, b".2")
    started = time.monotonic()
    for connection in connections:
        reset(connection)
    loom.until(lambda: loom.state()["running"] == 0, within=5)
    figure("F2", f"@batch {path}: closed after the last member left, s", loom.state()["closed"] - started, 0.5)


# F3


@pytest.mark.parametrize("how", ["short", "long", "text", "none", "raise"])
def test_a_wrong_step_is_told_to_every_member_after_its_own_items(loom: Served, figure: Figure, how: str) -> None:
    answers = crowd(loom.port, "/rag", [{"name": f"n{n}", "how": how} for n in range(4)])
    for n, answer in enumerate(answers):
        assert answer.items == cloth(f"n{n}", 2)
        assert answer.error == "internal"
        assert answer.clean
        assert b"4711" not in answer.body
    after = crowd(loom.port, "/rag", [{"name": f"n{n}"} for n in range(4)])
    figure(
        "F3",
        f"@batch: not whole after a wrong step ({how})",
        sum(not a.is_whole(cloth(f"n{n}", 2)) for n, a in enumerate(after)),
        0,
    )


def test_no_item_reaches_another_member(loom: Served, figure: Figure) -> None:
    size = 2000 if FULL else 200
    foreign = items = 0
    for lap in range(10):
        asked: list[Any] = [{"name": f"lap{lap}n{n}", "count": size - n} for n in range(60)]
        for each, answer in zip(asked, crowd(loom.port, "/yarn", asked, within=120), strict=True):
            foreign += sum(not item.startswith(f"{each['name']}.") for item in answer.items)
            items += len(answer.items)
            assert answer.is_whole(cloth(each["name"], each["count"]))
    figure("F3", f"@batch: foreign items in {items:,}", foreign, 0)


# F4


def test_a_short_request_beside_a_long_one_ends_when_it_ends(loom: Served, figure: Figure) -> None:
    long = loom.send("/cloth", {"name": "long", "count": 10_000})
    short = loom.connect()
    started = time.monotonic()
    short.sendall(request("/cloth", {"name": "short", "count": 2}, headers="connection: close\r\n"))
    assert answer_in(rest_of(short)).is_whole(cloth("short", 2))
    figure("F4", "@batch: 2 items in a batch with 10,000, s", time.monotonic() - started, 1)
    receive(long, b"long.9")
    assert loom.state()["running"] == 1
    reset(long)
    loom.until(lambda: loom.state()["running"] == 0, within=1)
