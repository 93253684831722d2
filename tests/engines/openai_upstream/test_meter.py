"""What a server's metrics know of its upstreams."""

from headrace.engines.openai_upstream.measures import Measures
from headrace.engines.openai_upstream.meter import observe
from headrace.metrics import Metrics

WHOLE = Measures(
    outcome="complete",
    reasons=("stop",),
    retries=2,
    total_seconds=3.0,
    first_token_seconds=0.2,
    longest_gap_seconds=0.1,
    prompt_tokens=7,
    tokens=40,
    tokens_per_second=30.0,
)
CUT = Measures("truncated", (), 0, 3.0, None, None, None, None, None)


def samples(*measured: Measures) -> dict[str, float]:
    metrics = Metrics()
    for measures in measured:
        observe(metrics, "tiny", measures)
    lines = metrics.exposition().decode().splitlines()
    values = (line.rsplit(" ", 1) for line in lines if line.startswith("headrace_upstream"))
    return {name: float(value) for name, value in values if "_created" not in name and "_bucket" not in name}


def test_a_generation_is_measured() -> None:
    assert samples(WHOLE) == {
        'headrace_upstream_generations_total{model="tiny",outcome="complete"}': 1.0,
        'headrace_upstream_first_token_seconds_count{model="tiny"}': 1.0,
        'headrace_upstream_first_token_seconds_sum{model="tiny"}': 0.2,
        'headrace_upstream_tokens_total{kind="prompt",model="tiny"}': 7.0,
        'headrace_upstream_tokens_total{kind="completion",model="tiny"}': 40.0,
        'headrace_upstream_tokens_per_second_count{model="tiny"}': 1.0,
        'headrace_upstream_tokens_per_second_sum{model="tiny"}': 30.0,
        'headrace_upstream_retries_total{model="tiny"}': 2.0,
    }


def test_what_is_not_known_is_not_measured() -> None:
    assert samples(CUT) == {
        'headrace_upstream_generations_total{model="tiny",outcome="truncated"}': 1.0,
        'headrace_upstream_retries_total{model="tiny"}': 0.0,
    }
