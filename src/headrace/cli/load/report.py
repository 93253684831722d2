"""What a run is told as: the lines and the JSON members of `vllm bench serve`, by the same names, and some of our own.

Milliseconds everywhere; a number that there is none for is `-`, and null in JSON. Our own members are the parts of
the time to the first item, the failures by kind, what was not finished, and how busy this process was.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from headrace.cli.load.distribution import Distribution
from headrace.cli.load.run import Plan
from headrace.cli.load.tally import Tally
from headrace.cli.printable import printable

WIDTH = 50
BUSY = 0.8
"""Of a core: a client that works as much is what limits the load, or nearly."""

MESSAGE = 200
"""Characters of a failure's message that are shown."""


class Report:
    """A run that is over.

    Args:
        plan: that it followed.
        tally: what came of it.
        model: that was asked for; None: the server is not asked for one.
    """

    def __init__(self, plan: Plan, tally: Tally, model: str | None = None) -> None:
        self._plan = plan
        self._tally = tally
        self._model = model

    def members(self) -> dict[str, Any]:
        """As JSON."""
        plan, tally = self._plan, self._tally
        output, total = tally.output_tokens, tally.input_tokens + tally.output_tokens
        members: dict[str, Any] = {
            "model_id": self._model,
            "num_prompts": plan.requests,
            "request_rate": "inf" if math.isinf(plan.rate) else plan.rate,
            "max_concurrency": plan.concurrency,
            "duration": tally.seconds,
            "completed": tally.completed,
            "failed": tally.failed,
            "total_input_tokens": tally.input_tokens,
            "total_output_tokens": output,
            "request_throughput": self._rate(tally.completed),
            "output_throughput": self._rate(output),
            "total_token_throughput": self._rate(total),
        }
        for name, _, distribution in self._durations():
            members |= {f"{kind}_{name}_ms": value for kind, value in _columns(distribution)}
        told = {kind: tally.examples[kind] for kind in tally.failures}
        return members | {
            "tokens_told": tally.counted,
            "failures": dict(tally.failures),
            "failure_messages": told,
            "unfinished": tally.unfinished,
            "late": tally.late,
            "client_cpu": self._cpu,
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        plan, tally = self._plan, self._tally
        yield f"{' Serving Benchmark Result ':=^{WIDTH}}"
        yield _row("Successful requests", str(tally.completed))
        yield _row("Failed requests", str(tally.failed))
        yield _row("Maximum request concurrency", str(plan.concurrency))
        if not math.isinf(plan.rate):
            yield _row("Request rate configured (RPS)", f"{plan.rate:.2f}")
        yield _row("Benchmark duration (s)", f"{tally.seconds:.2f}")
        yield _row("Total input tokens", str(tally.input_tokens))
        yield _row("Total generated tokens", str(tally.output_tokens))
        yield _row("Request throughput (req/s)", _shown(self._rate(tally.completed)))
        yield _row("Output token throughput (tok/s)", _shown(self._rate(tally.output_tokens)))
        total = tally.input_tokens + tally.output_tokens
        yield _row("Total token throughput (tok/s)", _shown(self._rate(total)))
        for name, title, distribution in self._durations():
            yield f"{title:-^{WIDTH}}"
            for kind, value in _columns(distribution):
                yield _row(f"{kind.capitalize()} {_LABELS[name]} (ms)", _shown(value))
        yield "=" * WIDTH

    def notes(self) -> Iterator[str]:
        """What else is to be known, before the numbers are believed."""
        plan, tally = self._plan, self._tally
        for kind, count in tally.failures.most_common():
            yield f"{count} failed, {printable(kind)}: {printable(tally.examples[kind])[:MESSAGE]}"
        if tally.unfinished:
            yield f"{tally.unfinished} unfinished when the run ended; they are in no number above"
        if tally.completed and not tally.counted:
            yield "the server told no tokens: they are items here"
        elif tally.counted < tally.completed:
            yield f"the server told no tokens of {tally.completed - tally.counted} of the answers: they are items there"
        if tally.unrecorded:
            yield "an item is what one read of the network brought, for the answers have no records"
        if tally.late:
            yield f"{tally.late} requests were sent late, for all {plan.concurrency} connections were busy"
        if self._cpu is not None and self._cpu > BUSY:
            yield f"the client was the bottleneck: it used {self._cpu:.0%} of a core"

    @property
    def _cpu(self) -> float | None:
        """Cores that this process has used; None where nothing was run."""
        return self._tally.cpu_seconds / self._tally.seconds if self._tally.seconds > 0 else None

    def _rate(self, count: int) -> float | None:
        return count / self._tally.seconds if self._tally.seconds > 0 else None

    def _durations(self) -> Iterator[tuple[str, str, Distribution]]:
        tally = self._tally
        yield "ttft", "Time to First Token", tally.ttft
        yield "tpot", "Time per Output Token (excl. 1st token)", tally.tpot
        yield "itl", "Inter-token Latency", tally.itl
        yield "e2el", "End-to-end Latency", tally.e2el
        if tally.server.count:
            yield "server_ttft", "First Token: the server's part", tally.server
            yield "network_ttft", "First Token: network and waiting", tally.elsewhere


_LABELS = {
    "ttft": "TTFT",
    "tpot": "TPOT",
    "itl": "ITL",
    "e2el": "E2EL",
    "server_ttft": "server TTFT",
    "network_ttft": "network TTFT",
}


def _columns(distribution: Distribution) -> Iterator[tuple[str, float | None]]:
    for kind, seconds in (
        ("mean", distribution.mean),
        ("median", distribution.percentile(50)),
        ("p99", distribution.percentile(99)),
    ):
        yield kind, None if seconds is None else seconds * 1000


def _row(label: str, value: str) -> str:
    return f"{label + ':':<40} {value}"


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
