"""The table, the JSON and the notes, to the letter."""

import json
import math
from typing import Any

from headrace.cli.load.answer import Failed
from headrace.cli.load.report import Report
from headrace.cli.load.run import Plan
from headrace.cli.load.tally import Tally

PLAN = Plan(requests=10, concurrency=2, duration=60.0)


def measured() -> Tally:
    tally = Tally(completed=4, counted=4, input_tokens=12, output_tokens=36, seconds=2.0, cpu_seconds=0.5)
    for distribution, milliseconds in (
        (tally.ttft, (10, 20, 30, 40)),
        (tally.tpot, (1, 2, 3, 4)),
        (tally.itl, (1, 2, 3, 4, 5)),
        (tally.e2el, (100, 200, 300, 400)),
    ):
        for each in milliseconds:
            distribution.add(each / 1000)
    return tally


TABLE = """\
============ Serving Benchmark Result ============
Successful requests:                     4
Failed requests:                         0
Maximum request concurrency:             2
Benchmark duration (s):                  2.00
Total input tokens:                      12
Total generated tokens:                  36
Request throughput (req/s):              2.00
Output token throughput (tok/s):         18.00
Total token throughput (tok/s):          24.00
---------------Time to First Token----------------
Mean TTFT (ms):                          25.00
Median TTFT (ms):                        25.00
P99 TTFT (ms):                           39.70
-----Time per Output Token (excl. 1st token)------
Mean TPOT (ms):                          2.50
Median TPOT (ms):                        2.50
P99 TPOT (ms):                           3.97
---------------Inter-token Latency----------------
Mean ITL (ms):                           3.00
Median ITL (ms):                         3.00
P99 ITL (ms):                            4.96
----------------End-to-end Latency----------------
Mean E2EL (ms):                          250.00
Median E2EL (ms):                        250.00
P99 E2EL (ms):                           397.00
=================================================="""

PARTS = """\
----------First Token: the server's part----------
Mean server TTFT (ms):                   5.00
Median server TTFT (ms):                 5.00
P99 server TTFT (ms):                    5.00
---------First Token: network and waiting---------
Mean network TTFT (ms):                  20.00
Median network TTFT (ms):                20.00
P99 network TTFT (ms):                   20.00
"""


def table(tally: Tally, plan: Plan = PLAN) -> str:
    return "\n".join(Report(plan, tally).lines())


def test_the_table() -> None:
    assert table(measured()) == TABLE


def test_the_table_has_the_parts_of_the_first_item_where_the_server_tells_its_own() -> None:
    tally = measured()
    tally.server.add(0.005)
    tally.elsewhere.add(0.02)
    end = "=" * 50
    assert table(tally) == TABLE.removesuffix(end) + PARTS + end


def test_the_table_has_the_rate_where_there_is_one() -> None:
    assert "Request rate configured (RPS):           2.50\n" in table(measured(), Plan(10, 2, 60.0, rate=2.5))


def test_what_was_not_measured_is_a_dash() -> None:
    empty = table(Tally())
    assert "Request throughput (req/s):              -\n" in empty
    assert "P99 E2EL (ms):                           -\n" in empty


def test_the_members_have_the_names_of_vllm() -> None:
    tally = measured()
    tally.fail(Failed("status 503", "busy"))
    tally.late, tally.unfinished = 3, 1
    members = Report(PLAN, tally, "tiny").members()
    rounded = {name: round(value, 6) if isinstance(value, float) else value for name, value in members.items()}
    assert rounded == {
        "model_id": "tiny",
        "num_prompts": 10,
        "request_rate": "inf",
        "max_concurrency": 2,
        "duration": 2.0,
        "completed": 4,
        "failed": 1,
        "total_input_tokens": 12,
        "total_output_tokens": 36,
        "request_throughput": 2.0,
        "output_throughput": 18.0,
        "total_token_throughput": 24.0,
        "mean_ttft_ms": 25.0,
        "median_ttft_ms": 25.0,
        "p99_ttft_ms": 39.7,
        "mean_tpot_ms": 2.5,
        "median_tpot_ms": 2.5,
        "p99_tpot_ms": 3.97,
        "mean_itl_ms": 3.0,
        "median_itl_ms": 3.0,
        "p99_itl_ms": 4.96,
        "mean_e2el_ms": 250.0,
        "median_e2el_ms": 250.0,
        "p99_e2el_ms": 397.0,
        "tokens_told": 4,
        "failures": {"status 503": 1},
        "failure_messages": {"status 503": "busy"},
        "unfinished": 1,
        "late": 3,
        "client_cpu": 0.25,
    }


def test_the_members_are_json_whatever_was_measured() -> None:
    tally = measured()
    tally.server.add(0.005)
    tally.elsewhere.add(0.02)
    members: dict[str, Any] = json.loads(json.dumps(Report(PLAN, tally).members(), allow_nan=False))
    assert (members["p99_server_ttft_ms"], members["mean_network_ttft_ms"]) == (5.0, 20.0)
    empty = json.loads(json.dumps(Report(PLAN, Tally()).members(), allow_nan=False))
    assert (empty["mean_ttft_ms"], empty["client_cpu"], empty["request_throughput"]) == (None, None, None)
    assert Report(Plan(1, 1, 1.0, rate=2.5), Tally()).members()["request_rate"] == 2.5
    assert Report(Plan(1, 1, 1.0, rate=math.inf), Tally()).members()["request_rate"] == "inf"


def test_nothing_is_noted_of_a_plain_run() -> None:
    assert list(Report(PLAN, measured()).notes()) == []


def test_what_is_to_be_known_is_noted() -> None:
    tally = measured()
    tally.counted, tally.unrecorded, tally.late, tally.unfinished, tally.cpu_seconds = 0, 4, 3, 2, 1.7
    tally.fail(Failed("truncated", "cut"))
    for _ in range(2):
        tally.fail(Failed("error a\x1b[2J", "no\x1b]0;owned\x07" + "x" * 1000))
    told = list(Report(PLAN, tally).notes())
    assert told[0].startswith("2 failed, error a\ufffd[2J: no\ufffd]0;owned\ufffdxxx")
    assert len(told[0]) < 250
    assert told[1:] == [
        "1 failed, truncated: cut",
        "2 unfinished when the run ended; they are in no number above",
        "the server told no tokens: they are items here",
        "an item is what one read of the network brought, for the answers have no records",
        "3 requests were sent late, for all 2 connections were busy",
        "the client was the bottleneck: it used 85% of a core",
    ]


def test_tokens_that_were_told_for_some_answers_only_are_noted() -> None:
    tally = measured()
    tally.counted = 3
    assert list(Report(PLAN, tally).notes()) == ["the server told no tokens of 1 of the answers: they are items there"]


def test_a_client_at_four_fifths_of_a_core_is_no_bottleneck() -> None:
    tally = measured()
    tally.cpu_seconds = 1.6
    assert list(Report(PLAN, tally).notes()) == []
