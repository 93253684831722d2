"""The events of one answer, from vLLM's outputs.

An output has what is new since the one before: a piece of text, and the tokens that were made. Text may be behind its
tokens, because vLLM holds back what may become a stop string.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headrace.engines.events import Alternative, EngineEvent, Finish, TextDelta, TokenLogprob, Usage
from headrace.engines.logprobs import HeldLogprobs
from headrace.engines.refusals import UpstreamFailed
from headrace.engines.vocabulary import Vocabulary


class Answer:
    """Makes the events of one answer.

    Args:
        vocabulary: of the model; it tells the bytes of tokens, which vLLM does not.
        prompt: how many tokens it has.
        logprobs: how many alternatives are told at each place; None: no logprobs at all.
    """

    def __init__(self, vocabulary: Vocabulary, prompt: int, logprobs: int | None) -> None:
        self._vocabulary = vocabulary
        self._prompt = prompt
        self._alternatives = logprobs
        self._made = 0
        self._text = vocabulary.text()
        self._held = HeldLogprobs()

    def read(self, output: Any) -> list[EngineEvent]:
        """The events of vLLM's next `RequestOutput`; with the last one, `Finish` and `Usage`.

        Raises:
            UpstreamFailed: vLLM gave the answer up.
        """
        part = output.outputs[0]
        stop = part.stop_reason if isinstance(part.stop_reason, str) else None
        tokens = list(part.token_ids)
        if part.finish_reason == "stop" and stop is None:
            tokens = tokens[:-1]  # the model's mark of the end
        self._made += len(tokens)
        logprobs = self._logprobs(part, tokens, stopped=stop is not None)
        events: list[EngineEvent] = []
        if part.text or logprobs:
            events.append(TextDelta(part.text, logprobs=logprobs))
        if part.finish_reason is not None:
            events += [self._finish(part.finish_reason, stop), self._usage(output)]
        return events

    def _finish(self, reason: str, stop: str | None) -> Finish:
        if reason == "stop":
            return Finish("stop", stop=stop)
        if reason == "length":
            return Finish("length")
        raise UpstreamFailed(f"vLLM gave this answer up ({reason}); try again", status=503)

    def _usage(self, output: Any) -> Usage:
        return Usage(self._prompt, self._made, cached_tokens=output.num_cached_tokens or 0)

    def _logprobs(self, part: Any, tokens: Sequence[int], *, stopped: bool) -> tuple[TokenLogprob, ...]:
        if self._alternatives is None:
            return ()
        for token, place in zip(tokens, part.logprobs or (), strict=False):
            self._held.add(self._told(token, place), self._text.feed(token))
        if part.finish_reason is None:
            return self._held.release(part.text)
        return self._held.end(part.text, stopped=stopped)

    def _told(self, token: int, place: Mapping[int, Any]) -> TokenLogprob:
        likeliest = sorted(place.items(), key=lambda each: -each[1].logprob)[: self._alternatives]
        chosen = self._alternative(token, place[token].logprob)
        top = tuple(self._alternative(each, logprob.logprob) for each, logprob in likeliest)
        return TokenLogprob(chosen.token, chosen.bytes, chosen.logprob, top)

    def _alternative(self, token: int, logprob: float) -> Alternative:
        text = self._vocabulary.token_bytes(token)
        return Alternative(text.decode("utf-8", "replace"), text, logprob)
