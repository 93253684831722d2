"""`headrace bench` as a process: on our own server, on our model, and on a server that is not ours."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import REPOSITORY, Served
from upstream import CUT, HELLO, RESET, Request, Script, Status, error, says, upstream_on_a_thread

ENVIRONMENT = {**os.environ, "HEADRACE_API_KEY": "", "OPENAI_API_KEY": ""}
DURATIONS = ("ttft", "tpot", "itl", "e2el")


@pytest.fixture(scope="module")
def tiny() -> Iterator[Served]:
    served = Served("run", "--engine", "tiny", "--port", "0").ready()
    try:
        yield served
        served.assert_every_stream_ended()
    finally:
        served.stop()


def bench(*arguments: str) -> tuple[int, str, str]:
    """The command: exit code, standard output, standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "headrace", "bench", *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def numbers(*arguments: str) -> dict[str, Any]:
    """The numbers of a run that succeeds."""
    code, out, err = bench(*arguments, "--json", "-")
    assert code == 0, err
    told: dict[str, Any] = json.loads(out)
    return told


def at(served: Served, path: str = "") -> str:
    return f"http://127.0.0.1:{served.port}{path}"


# an endpoint of ours


@pytest.mark.parametrize("wire", [(), ("--wire", "sse"), ("--wire", "ndjson")])
def test_the_items_of_an_endpoint(trials: Served, wire: tuple[str, ...]) -> None:
    before = trials.metric("headrace_streams_started_total", 'endpoint="Trials.tokens"')
    told = numbers(at(trials, "/tokens"), "to:=50", "--requests", "20", "--warmup", "2", *wire)
    assert (told["completed"], told["failed"], told["total_output_tokens"]) == (20, 0, 1000)
    assert (told["tokens_told"], told["total_input_tokens"], told["model_id"]) == (0, 0, None)
    assert all(told[f"mean_{name}_ms"] >= 0 for name in DURATIONS)  # between items of one read nothing passes
    assert 0 < told["median_ttft_ms"] <= told["median_e2el_ms"]
    assert told["output_throughput"] == pytest.approx(1000 / told["duration"])
    assert trials.metric("headrace_streams_started_total", 'endpoint="Trials.tokens"') - before == 22


def test_the_servers_part_of_the_first_item_is_told(trials: Served) -> None:
    told = numbers(at(trials, "/slow_add"), "a:=1", "b:=2", "--requests", "4", "--concurrency", "1")
    assert 10 <= told["mean_server_ttft_ms"] <= told["mean_ttft_ms"]
    assert told["mean_server_ttft_ms"] + told["mean_network_ttft_ms"] == pytest.approx(told["mean_ttft_ms"])


def test_the_times_are_those_of_the_server(trials: Served) -> None:
    told = numbers(
        at(trials, "/count"), "to:=5", "pause:=0.05", "--requests", "4", "--concurrency", "4", "--wire", "sse"
    )
    # A timer of the loop is up to a millisecond early, and the gap after a late read is as much shorter.
    assert 45 <= told["median_itl_ms"] < 100
    assert 245 <= told["median_e2el_ms"] < 600
    assert told["median_tpot_ms"] == pytest.approx((told["median_e2el_ms"] - told["median_ttft_ms"]) / 4, rel=0.2)
    assert told["median_ttft_ms"] < 100


def test_text_and_sound_are_counted_by_reads(trials: Served) -> None:
    for path in ("/count", "/sound"):
        arguments = ["to:=3", "pause:=0.02"] if path == "/count" else []
        code, out, err = bench(at(trials, path), *arguments, "--wire", "raw", "--requests", "2")
        assert (code, "Successful requests:                     2\n" in out) == (0, True)
        assert "an item is what one read of the network brought" in err


def test_a_failure_in_the_stream_ends_with_4_and_a_cut_with_5(trials: Served) -> None:
    code, out, err = bench(at(trials, "/fails"), "after:=2", "how=busy", "--requests", "3", "--wire", "sse")
    assert (code, "3 failed, error model_busy: all slots are taken" in err) == (4, True)
    assert "Failed requests:                         3\n" in out
    assert "Mean TTFT (ms):                          -\n" in out
    code, _, err = bench(at(trials, "/fails"), "after:=2", "--requests", "3", "--wire", "raw")
    assert (code, "3 failed, truncated: " in err) == (5, True)


def test_a_refusal_is_told_in_the_servers_words(trials: Served) -> None:
    code, _, err = bench(at(trials, "/tokens"), "--requests", "2")
    assert code == 4
    assert "2 failed, status 422: " in err
    code, _, err = bench(at(trials))
    assert code == 4
    assert "there is nothing at this path. Trials answers at" in err


def test_a_run_ends_on_time_and_its_streams_on_the_server_with_it(trials: Served) -> None:
    before = trials.state()["closed"]
    code, out, err = bench(at(trials, "/silent"), "--duration", "0.5", "--warmup", "0", "--concurrency", "3")
    assert code == 4
    assert "3 unfinished when the run ended; they are in no number above" in err
    assert re.search(r"Benchmark duration \(s\): +0\.5", out)
    trials.until(lambda: trials.state()["closed"] == before + 3, within=5)
    assert trials.state()["running"] == 0


def test_requests_arrive_at_their_rate(trials: Served) -> None:
    told = numbers(
        at(trials, "/tokens"), "to:=3", "--requests", "40", "--rate", "50", "--seed", "3", "--concurrency", "40"
    )
    assert 0.3 < told["duration"] < 3
    assert (told["request_rate"], told["completed"]) == (50.0, 40)


def test_ctrl_c_prints_what_was_measured_and_ends_with_130(trials: Served) -> None:
    before = trials.state()["closed"]
    process = subprocess.Popen(
        [sys.executable, "-m", "headrace", "bench", at(trials, "/work"), "seconds:=0.2", "--concurrency", "2"],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    trials.until(lambda: trials.state()["closed"] >= before + 6, within=20)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 130
    completed = re.search(r"Successful requests: +(\d+)\n", out)
    assert completed is not None
    assert 4 <= int(completed[1]) < 100
    assert "2 unfinished when the run ended" in err
    assert "Traceback" not in err
    trials.until(lambda: trials.state()["running"] == 0, within=5)


def test_the_client_costs_less_than_what_it_measures(trials: Served) -> None:
    told = numbers(at(trials, "/never_awaits"), "to:=20000", "--requests", "10", "--wire", "sse")
    assert told["total_output_tokens"] == 200_000
    assert told["client_cpu"] * told["duration"] / 200_000 < 3e-6


# a model of ours


@pytest.mark.parametrize("path", ["", "/v1", "/v1/completions"])
def test_the_tokens_of_the_built_in_model(tiny: Served, path: str) -> None:
    told = numbers(at(tiny, path), "--requests", "4", "--concurrency", "2", "--max-tokens", "8", "temperature:=0")
    assert (told["completed"], told["failed"], told["tokens_told"], told["model_id"]) == (4, 0, 4, "tiny")
    assert 4 <= told["total_output_tokens"] <= 32
    assert told["total_input_tokens"] > 0
    total = (told["total_input_tokens"] + told["total_output_tokens"]) / told["duration"]
    assert told["total_token_throughput"] == pytest.approx(total)


def test_a_model_that_is_not_there_is_told(tiny: Served) -> None:
    code, _, err = bench(at(tiny), "--model", "large", "--requests", "2")
    assert code == 4
    assert "2 failed, status 404: " in err


# a server that is not ours


def test_a_server_of_others_with_all_ways_to_fail() -> None:
    scripts: list[Script] = [
        HELLO,
        [Status(429, {"error": {"message": "slow down"}})],
        [*HELLO[:2], error("it broke")],
        [*HELLO[:2], CUT],
        [*HELLO[:2], RESET],
        [says("x"), b"data: nonsense\n\n"],
    ]

    def answer(request: Request) -> Script:
        return scripts[request.body.get("n", 0)]

    with upstream_on_a_thread(answer) as server:
        told = numbers(server.url, "--model", "gpt", "--requests", "10")
        assert (told["completed"], told["total_output_tokens"], told["total_input_tokens"]) == (10, 40, 30)
        assert "mean_server_ttft_ms" not in told
        for number, code, kind in (
            (1, 4, "status 429"),
            (2, 4, "error server_error"),
            (3, 5, "truncated"),
            (4, 5, "truncated"),
            (5, 4, "malformed"),
        ):
            ended, out, err = bench(server.url, f"n:={number}", "--model", "gpt", "--requests", "2", "--json", "-")
            assert (ended, json.loads(out)["failures"]) == (code, {kind: 2}), err


def test_a_server_that_has_gone_ends_with_3() -> None:
    with upstream_on_a_thread(lambda _: HELLO) as server:
        url = server.url
    code, out, err = bench(url, "--model", "gpt")
    assert (code, out) == (3, "")
    assert "is the address right, and the server running?" in err


# the page


def test_the_commands_of_its_page_run(trials: Served, tiny: Served, tmp_path: Path) -> None:
    page = (REPOSITORY / "docs/howto/benchmarks.md").read_text("utf-8")
    commands = re.findall(r"^    headrace bench (.+)$", page, re.MULTILINE)
    assert len(commands) >= 3
    for line in commands:
        words = line.replace("http://localhost:8000/write", at(trials, "/tokens")).replace("topic=rain", "to:=3")
        words = words.replace("http://localhost:8000", at(tiny)).replace("numbers.json", f"{tmp_path}/numbers.json")
        code, out, err = bench(*words.split(), "--requests", "2", "--duration", "20")
        assert (code, bool(out)) == (0, True), (line, err)


def test_its_page_names_every_flag_and_member(trials: Served) -> None:
    page = (REPOSITORY / "docs/howto/benchmarks.md").read_text("utf-8")
    help_text = bench("--help")[1]
    assert set(re.findall(r"--[a-z-]+", help_text)) - {"--help"} <= set(re.findall(r"--[a-z-]+", page))
    told = numbers(at(trials, "/tokens"), "to:=3", "--requests", "2")
    durations = re.compile(r"(mean|median|p99)_(\w+)_ms")
    named = {durations.sub(r"mean_\2_ms", name) for name in told}
    assert named <= set(re.findall(r"`([a-z0-9_]+)`", page))
