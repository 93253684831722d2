"""Rows F1 to F4 and D5 with `@continuous_batch`: one bad request, leavers, wrong endings, long beside short, a dead
loop."""

import json
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from crowd import Answer, answer_in, crowd, lift_descriptor_limit, p99, request, reset, rest_of
from figures import FULL, Figure
from served import Serve, Served, receive

MILL = "tests/e2e/faults/mill.py"


@pytest.fixture(scope="module")
def mill() -> Iterator[Served]:
    """One mill for the tests that need nothing special."""
    lift_descriptor_limit()
    served = Served("run", MILL, "--port", "0", "--log-format", "json").ready()
    try:
        yield served
        served.assert_every_stream_ended()
        served.until(lambda: served.metric("headrace_slots") == served.metric("headrace_batch_waiting") == 0, within=1)
    finally:
        served.stop()


@pytest.fixture(params=["", "_in_place"], ids=["generator", "in place"])
def in_place(request: pytest.FixtureRequest) -> str:
    """The end of an endpoint's name: one reads the batch, or returns it, and then items need no task of its own."""
    end: str = request.param
    return end


def flour(name: str, items: int) -> list[str]:
    """What somebody gets who asked for so many items."""
    return [f"{name}.{number}" for number in range(items)]


def ask(served: Served, path: str, arguments: dict[str, Any]) -> Answer:
    connection = served.connect()
    connection.sendall(request(path, arguments, headers="connection: close\r\n"))
    return answer_in(rest_of(connection))


# F1


def test_a_poisoned_request_fails_alone(mill: Served, figure: Figure, in_place: str) -> None:
    asked: list[dict[str, Any]] = [{"name": f"mate{n}", "items": 20} for n in range(7)]
    asked.insert(3, {"name": "bad", "items": 20, "how": "poison"})
    answers = crowd(mill.port, f"/grind{in_place}", asked)
    bad = answers.pop(3)
    assert (bad.status, bad.error) == (500, "internal")
    assert b"poisoned" not in bad.body
    asked.pop(3)
    broken = sum(not answer.is_whole(flour(each["name"], 20)) for each, answer in zip(asked, answers, strict=True))
    figure("F1", "continuous: of 7 mates of a poisoned request, not whole", broken, 0)


def test_a_storm_of_300_with_poison_gives_no_wrong_answer(mill: Served, figure: Figure, in_place: str) -> None:
    dice = random.Random(7)
    asked = [
        {"name": f"n{n}", "items": dice.randint(1, 60), "how": "poison" if dice.random() < 0.2 else ""}
        for n in range(300)
    ]
    wrong = 0
    for each, answer in zip(asked, crowd(mill.port, f"/hurry{in_place}", asked), strict=True):
        if each["how"] == "poison":
            wrong += answer.error != "internal"
        else:
            wrong += not answer.is_whole(flour(each["name"], each["items"]))
    figure("F1", "continuous: wrong answers in a storm of 300", wrong, 0)


# F2


def test_slots_of_clients_that_left_are_free_within_100_ms_and_the_mates_are_on_time(
    mill: Served, figure: Figure, in_place: str
) -> None:
    leavers = [mill.send(f"/grind{in_place}", {"name": f"leaver{n}", "items": 100_000}, "text/plain") for n in range(3)]
    mates = [mill.send(f"/grind{in_place}", {"name": f"mate{n}", "items": 100}) for n in range(5)]
    for connection in (*leavers, *mates):
        receive(connection, b".2")
    mill.post("/releases", {})
    left: dict[str, float] = {}
    for n, connection in enumerate(leavers):
        left[f"leaver{n}"] = time.monotonic()
        reset(connection)
    freed: dict[str, float] = {}

    def all_free() -> bool:
        freed.update(json.loads(mill.post("/releases", {})[2]))
        return left.keys() <= freed.keys()

    mill.until(all_free, within=5)
    figure("F2", "continuous: a leaver's slot is free after, s", max(freed[name] - left[name] for name in left), 0.1)
    started = time.monotonic()
    answers = [receive(connection, b"mate%d.99" % n) for n, connection in enumerate(mates)]
    figure("F2", "continuous: of 5 mates, not served", 5 - len(answers), 0)
    assert time.monotonic() - started < 5
    for connection in mates:
        connection.close()


def test_a_client_of_a_sync_endpoint_that_leaves_frees_its_slot(mill: Served) -> None:
    connection = mill.send("/grind_in_a_thread", {"name": "sync", "items": 100_000}, "text/plain")
    receive(connection, b"sync.2")
    reset(connection)
    mill.until(lambda: mill.metric("headrace_slots", 'function="Mill.turn"') == 0, within=3)


# F3


def test_what_a_slot_sends_after_its_end_reaches_nobody(mill: Served, in_place: str) -> None:
    answers = crowd(
        mill.port, f"/grind{in_place}", [{"name": f"n{n}", "items": n + 1, "how": "early"} for n in range(20)]
    )
    assert all(answer.is_whole(flour(f"n{n}", n + 1)) for n, answer in enumerate(answers))


def test_no_item_reaches_another_member(mill: Served, figure: Figure, in_place: str) -> None:
    size = 2000 if FULL else 100
    foreign = items = 0
    for lap in range(10):
        asked = [{"name": f"lap{lap}n{n}", "items": size - n} for n in range(60)]
        for each, answer in zip(asked, crowd(mill.port, f"/hurry{in_place}", asked, within=120), strict=True):
            prefix = f"{each['name']}."
            foreign += sum(not item.startswith(prefix) for item in answer.items)
            items += len(answer.items)
            assert answer.is_whole(flour(str(each["name"]), int(str(each["items"]))))
    figure("F3", f"continuous: foreign items in {items:,}", foreign, 0)


# F4


def test_a_short_request_beside_long_ones_is_over_at_once(mill: Served, figure: Figure, in_place: str) -> None:
    long = [mill.send(f"/grind{in_place}", {"name": f"long{n}", "items": 100_000}, "text/plain") for n in range(7)]
    for connection in long:
        receive(connection, b".2")
    seconds = []
    for n in range(20):
        started = time.monotonic()
        assert ask(mill, f"/grind{in_place}", {"name": f"short{n}", "items": 2}).is_whole(flour(f"short{n}", 2))
        seconds.append(time.monotonic() - started)
    figure("F4", "continuous: 2 items beside 7 long streams, p99, s", p99(seconds), 1)
    for connection in long:
        reset(connection)


def test_a_worker_thread_gets_its_items_from_the_same_batch(mill: Served) -> None:
    assert ask(mill, "/grind_in_a_thread", {"name": "sync", "items": 50}).is_whole(flour("sync", 50))


# D5


def test_a_step_that_kills_the_batch_is_told_to_its_members_and_the_next_ones_are_served(
    serve: Serve, in_place: str
) -> None:
    served = serve(MILL)
    mate = served.send(f"/grind{in_place}", {"name": "mate", "items": 100_000}, "application/x-ndjson")
    receive(mate, b"mate.2")
    killer = ask(served, f"/grind{in_place}", {"name": "killer", "items": 1, "how": "kill"})
    assert (killer.status, killer.error) == (502, "worker_lost")
    assert b'{"error":{"code":"worker_lost"' in receive(mate, b"\r\n0\r\n\r\n")
    mate.close()
    assert served.request("GET", "/readyz")[0] == 200
    assert ask(served, f"/grind{in_place}", {"name": "next", "items": 3}).is_whole(flour("next", 3))


def test_a_batch_that_fails_six_times_makes_the_service_not_ready(serve: Serve, figure: Figure) -> None:
    served = serve(MILL)
    for n in range(5):
        assert ask(served, "/grind", {"name": f"killer{n}", "items": 1, "how": "kill"}).error == "worker_lost"
    assert served.request("GET", "/readyz")[0] == 200
    assert ask(served, "/grind", {"name": "killer", "items": 1, "how": "kill"}).error == "worker_lost"
    failed = time.monotonic()
    served.until(lambda: served.request("GET", "/readyz")[0] == 503, within=3)
    figure("D5", "continuous: not ready after the last failure, s", time.monotonic() - failed, 3)
    refused = ask(served, "/grind", {"name": "next", "items": 3})
    assert (refused.status, refused.error) == (503, "overloaded")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert served.request("GET", "/livez")[0] == 200


def test_a_step_that_does_not_return_makes_the_service_not_ready_until_it_does(serve: Serve) -> None:
    served = serve(MILL)
    stuck = served.send("/jam", {"seconds": 2.0})
    served.until(lambda: served.request("GET", "/readyz")[0] == 503, within=1.5)
    receive(stuck, b"moved")
    stuck.close()
    served.until(lambda: served.request("GET", "/readyz")[0] == 200, within=1)
