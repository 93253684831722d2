"""What is measured of the upstreams of a server: `docs/reference/metrics.md` says what each of the metrics means."""

from __future__ import annotations

from headrace.engines.openai_upstream.measures import Measures
from headrace.metrics import Metrics


def observe(metrics: Metrics, model: str, measures: Measures) -> None:
    """A generation is over.

    Args:
        metrics: of the server whose code asked for it.
        model: the upstream's name for it.
        measures: of the generation.
    """
    metrics.upstream_generations.labels(model, measures.outcome or "cancelled").inc()
    metrics.upstream_retries.labels(model).inc(measures.retries)
    if measures.first_token_seconds is not None:
        metrics.upstream_first_token.labels(model).observe(measures.first_token_seconds)
    if measures.tokens_per_second is not None:
        metrics.upstream_token_rate.labels(model).observe(measures.tokens_per_second)
    for kind, tokens in (("prompt", measures.prompt_tokens), ("completion", measures.tokens)):
        if tokens is not None:
            metrics.upstream_tokens.labels(model, kind).inc(tokens)
